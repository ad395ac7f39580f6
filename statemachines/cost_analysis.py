"""The cost analysis, daily: what the mails cost, and an alert when the budget is at risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_stepfunctions as sfn

    from statemachines.watch import Watch

SOURCES = ("costs", "mails", "account", "previous")


def cost_analysis(watch: Watch) -> sfn.IChainable:
    """Chain the tasks of `steps.cost_monitoring`. The input is not read."""
    return watch.chain(
        watch.collect(SOURCES), watch.task("Report", "report", result_path="$.report")
    )
