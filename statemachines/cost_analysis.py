"""The cost analysis, daily: what the mails cost, and an alert when the budget is at risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steps.contract.report_tasks import CostSource

if TYPE_CHECKING:
    from aws_cdk import aws_stepfunctions as sfn

    from statemachines.scheduled_report import ScheduledReport


def cost_analysis(report: ScheduledReport) -> sfn.IChainable:
    """Chain the tasks of `steps.cost_monitoring`. The input is not read."""
    return report.chain(CostSource)
