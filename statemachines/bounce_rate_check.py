"""The bounce-rate check, hourly: the sending reputation's verdict, and an alert when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_

    from statemachines.watch import Watch

SOURCES = ("mails", "account", "previous")


def bounce_rate_check(watch: Watch, *, pause: lambda_.IFunction | None) -> sfn.IChainable:
    """Chain the tasks of `steps.bounce_rate`; `pause` is `steps.pause`, where it is allowed to."""
    return watch.chain(
        watch.collect(SOURCES),
        watch.task("Report", "report", result_path="$.report"),
        _pausing(watch, pause) if pause else None,
    )


def _pausing(watch: Watch, function: lambda_.IFunction) -> sfn.Chain:
    pausing = watch.task("Pause", "pause", function=function, result_path="$.report.alert")
    not_paused = sfn.Pass(
        watch.scope,
        f"{watch.name} NotPaused",
        state_name="NotPaused",
        comment="The alert says so.",
        parameters={
            "subject": sfn.JsonPath.string_at("$.report.alert.subject"),
            "message": sfn.JsonPath.format(
                "SENDING COULD NOT BE PAUSED ({}), pause it by hand. {}",
                sfn.JsonPath.string_at("$.error.Error"),
                sfn.JsonPath.string_at("$.report.alert.message"),
            ),
        },
        result_path="$.report.alert",
    )
    pausing.add_catch(not_paused, errors=["States.ALL"], result_path="$.error")
    return sfn.Chain.custom(pausing, [pausing, not_paused], pausing)
