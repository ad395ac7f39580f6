"""The cost analysis, daily: what the mails cost, and an alert when the budget is at risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

if TYPE_CHECKING:
    from statemachines.scheduled_report import ScheduledReport


def cost_analysis(report: ScheduledReport) -> sfn.IChainable:
    """Chain the tasks of `steps.cost_monitoring`. The input is not read."""
    breached = sfn.Condition.is_present("$.report.breaches[0]")
    return report.check().next(
        report.outcome("Budget?", {"AlertedBefore": breached}, otherwise="WithinBudget")
    )
