"""What the scheduled workflows have in common.

    Collect (in parallel, each source or what it lacks) -> [work] -> Report -> [Pause] -> Alert? -> Keep -> Done
                                                                        any failure -> AlertFailed -> Failed

A source that does not answer does not fail the workflow: the report says what it lacks. Whatever else
fails is alerted by the workflow itself, since nothing monitors the monitors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from statemachines.retries import retry_what_passes
from steps.contract import limits
from steps.contract.report_tasks import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_sns as sns
    from constructs import Construct


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

    def collect(self, sources: Iterable[str]) -> sfn.Parallel:
        """Ask all sources at once; the state becomes `{source: its answer or {Error, Cause}}`."""
        parallel = sfn.Parallel(
            self.scope,
            f"{self.name} Collect",
            state_name="Collect",
            result_selector={source: sfn.JsonPath.object_at(f"$[{i}]") for i, source in enumerate(sources)},
        )  # fmt: skip
        for source in sources:
            title = source.capitalize()
            asking = self.task(title, source)
            self.or_gap(asking, title)
            parallel.branch(asking)
        return parallel

    def or_gap(self, asking: tasks.LambdaInvoke, title: str) -> None:
        """Have `{Error, Cause}` stand in the place of what a task does not answer."""
        missing = sfn.Pass(
            self.scope,
            f"{self.name} {title}Missing",
            state_name=f"{title}Missing",
            comment="The report says what it lacks.",
        )
        asking.add_catch(missing, errors=["States.ALL"], result_path="$")

    def task(
        self,
        title: str,
        task: str,
        *,
        function: lambda_.IFunction | None = None,
        result_path: str = "$",
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
                    "state": sfn.JsonPath.object_at("$"),
                }
            ),
            payload_response_only=True,
            result_path=result_path,
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

    def report(self) -> tasks.LambdaInvoke:
        """Make the report of what the sources gave."""
        return self.task("Report", Task.REPORT, result_path="$.report")

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

    def chain(
        self,
        sources: Iterable[str],
        *,
        work: sfn.Chain | None = None,
        pause: sfn.Chain | None = None,
    ) -> sfn.IChainable:
        """Chain the states; alerts go out before the report is kept, so that none is lost.

        `work` comes between the sources and the report, `pause` before an alert that asks for it.
        """
        report = self.report()
        keep = self.task("Keep", Task.KEEP, result_path=sfn.JsonPath.DISCARD)
        keep.next(sfn.Succeed(self.scope, f"{self.name} Done", state_name="Done"))
        alert = self.publish(
            "Alert",
            subject=sfn.JsonPath.string_at("$.report.alert.subject"),
            message=sfn.JsonPath.string_at("$.report.alert.message"),
        )
        failure = self._failure()
        for state in (report, alert, keep):
            state.add_catch(failure, errors=["States.ALL"], result_path="$.error")
        alerting = sfn.Chain.start(alert).next(keep)
        choice = sfn.Choice(self.scope, f"{self.name} Alert?", state_name="Alert?")
        if pause:
            choice.when(sfn.Condition.is_present("$.report.pause"), pause.next(alerting))
        choice.when(sfn.Condition.is_present("$.report.alert"), alerting)
        choice.otherwise(keep)
        collected = sfn.Chain.start(self.collect(sources))
        return (collected.next(work) if work else collected).next(report).next(choice)

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
