"""The bounce-rate check, hourly: the sending reputation's verdict, and an alert when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

from steps.contract.report_tasks import Task, Verdict

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_

    from statemachines.scheduled_report import ScheduledReport


def bounce_rate_check(
    report: ScheduledReport, *, pause: lambda_.IFunction | None
) -> sfn.IChainable:
    """Chain the tasks of `steps.bounce_rate`; `pause` is `steps.pause`, where it is allowed to."""
    verdict = sfn.JsonPath.string_at("$.report.verdict")
    outcome = report.outcome(
        "Verdict?",
        {
            "Healthy": sfn.Condition.string_equals(verdict, Verdict.OK),
            "TooFewMails": sfn.Condition.string_equals(verdict, Verdict.TOO_FEW),
        },
        otherwise="AlertedBefore",
        pause=_pausing(report, pause) if pause else None,
    )
    return report.check().next(outcome)


def _pausing(report: ScheduledReport, function: lambda_.IFunction) -> sfn.Chain:
    pausing = report.task("Pause", Task.PAUSE, function=function, result_path="$.report.alert")
    not_paused = sfn.Pass(
        report.scope,
        f"{report.name} NotPaused",
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
