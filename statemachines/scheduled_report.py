"""What the scheduled workflows have in common.

    Check, or Collect -> work -> Report -> a Choice -> an end where nothing is to be told
                                                    -> [Pause] -> Alert -> Keep -> Alerted
                                                        any failure -> AlertFailed -> Failed

Each state is paid for each time. So one task asks all sources and reports, and keeps what needs no alert; an
alert goes out before its report is kept, so that none is lost.

A source that does not answer, however often the task is tried, does not fail the workflow: the report says what
it lacks. Whatever else fails is alerted by the workflow itself, since nothing monitors the monitors.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from statemachines.retries import retry_what_passes
from steps.contract import limits
from steps.contract.report_tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_sns as sns
    from constructs import Construct


Guarded = TypeVar("Guarded", tasks.LambdaInvoke, tasks.SnsPublish, sfn.Map)
"""A state whose failure can be caught."""


@dataclass(frozen=True, kw_only=True)
class ScheduledReport:
    """The function that does a workflow's tasks, and where alerts go.

    All workflows may live in one stack, so a state's construct is named after the workflow, too.
    `task_timeout` is in seconds.
    """

    scope: Construct
    name: str
    function: lambda_.IFunction
    alerts: sns.ITopic
    task_timeout: int = limits.REPORT_TASK_TIMEOUT

    def check(self) -> tasks.LambdaInvoke:
        """Ask all sources and report; the state becomes `{report}`."""
        return self.alerting_failure(
            self.task("Check", Task.CHECK, result_selector={"report": sfn.JsonPath.object_at("$")})
        )

    def collect(self) -> tasks.LambdaInvoke:
        """Ask all sources; the state becomes `{source: its answer or {Error, Cause}}`."""
        return self.alerting_failure(self.task("Collect", Task.COLLECT))

    def report(self) -> tasks.LambdaInvoke:
        """Report on what the state has, as `report`."""
        return self.alerting_failure(self.task("Report", Task.REPORT, result_path="$.report"))

    def task(
        self,
        title: str,
        task: str,
        *,
        function: lambda_.IFunction | None = None,
        result_path: str = "$",
        result_selector: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """Invoke the function for one task."""
        invocation = tasks.LambdaInvoke(
            self.scope,
            f"{self.name} {title}",
            state_name=title,
            lambda_function=function or self.function,
            payload=sfn.TaskInput.from_object(
                {
                    "task": task,
                    "now": sfn.JsonPath.string_at("$$.Execution.StartTime"),
                    "execution": sfn.JsonPath.string_at("$$.Execution.Id"),
                    "retries": sfn.JsonPath.number_at("$$.State.RetryCount"),
                    "state": sfn.JsonPath.object_at("$"),
                }
            ),
            payload_response_only=True,
            result_path=result_path,
            result_selector=result_selector,
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(self.task_timeout)),
        )
        retry_what_passes(
            invocation,
            interval=limits.REPORT_RETRY_INTERVAL,
            retries=limits.REPORT_RETRIES,
            backoff=limits.REPORT_RETRY_BACKOFF,
        )
        return invocation

    def publish(self, title: str, *, subject: str, message: str) -> tasks.SnsPublish:
        """Publish to the alerts topic."""
        publication = tasks.SnsPublish(
            self.scope,
            f"{self.name} {title}",
            state_name=title,
            topic=self.alerts,
            subject=subject,
            message=sfn.TaskInput.from_text(message),
            result_path=sfn.JsonPath.DISCARD,
            task_timeout=sfn.Timeout.duration(Duration.seconds(limits.ALERT_TIMEOUT)),
        )
        publication.add_retry(
            errors=["States.ALL"],
            interval=Duration.seconds(limits.REPORT_RETRY_INTERVAL),
            max_attempts=limits.REPORT_RETRIES,
            backoff_rate=limits.REPORT_RETRY_BACKOFF,
            jitter_strategy=sfn.JitterType.FULL,
        )
        return publication

    def outcome(
        self,
        question: str,
        ends: Mapping[str, sfn.Condition],
        *,
        otherwise: str,
        pause: sfn.Chain | None = None,
    ) -> sfn.Choice:
        """Alert where the report does; end elsewhere in the first state whose condition holds.

        `pause` comes before an alert that asks for it.
        """
        alerting = self._alerting()
        choice = sfn.Choice(self.scope, f"{self.name} {question}", state_name=question)
        if pause:
            choice.when(sfn.Condition.is_present("$.report.pause"), pause.next(alerting))
        choice.when(sfn.Condition.is_present("$.report.alert"), alerting)
        for end, condition in ends.items():
            choice.when(condition, self._end(end))
        return choice.otherwise(self._end(otherwise))

    def alerting_failure(self, state: Guarded) -> Guarded:
        """Have the workflow alert that it failed where this state does."""
        state.add_catch(self._failure, errors=["States.ALL"], result_path="$.error")
        return state

    def _alerting(self) -> sfn.Chain:
        alert = self.publish(
            "Alert",
            subject=sfn.JsonPath.string_at("$.report.alert.subject"),
            message=sfn.JsonPath.string_at("$.report.alert.message"),
        )
        keep = self.task("Keep", Task.KEEP, result_path=sfn.JsonPath.DISCARD)
        return (
            sfn.Chain.start(self.alerting_failure(alert))
            .next(self.alerting_failure(keep))
            .next(self._end("Alerted"))
        )

    def _end(self, title: str) -> sfn.Succeed:
        return sfn.Succeed(self.scope, f"{self.name} {title}", state_name=title)

    @functools.cached_property
    def _failure(self) -> sfn.IChainable:
        failed = sfn.Fail(
            self.scope,
            f"{self.name} Failed",
            state_name="Failed",
            error_path="$.error.Error",
            cause_path="$.error.Cause",
        )
        return self.publish(
            "AlertFailed",
            subject=f"Order mails: the {self.name} workflow failed",
            message=sfn.JsonPath.format(
                "Nobody watches until it runs again. What failed: {}. Execution: {}",
                sfn.JsonPath.string_at("$.error.Error"),
                sfn.JsonPath.string_at("$$.Execution.Id"),
            ),
        ).next(failed)
