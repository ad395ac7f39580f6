"""What the two scheduled workflows have in common.

    Collect (in parallel, each source or what it lacks) -> Report -> [Pause] -> Alert? -> Keep -> Done
                                                                        any failure -> AlertFailed -> Failed

A source that does not answer does not fail the workflow: the report says what it lacks. Whatever else
fails is alerted by the workflow itself, since nobody watches the watch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from steps import errors, limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_sns as sns
    from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The function that does a workflow's tasks, and where alerts go.

    Both workflows may live in one stack, so a state's construct is named after the workflow, too.
    """

    scope: Construct
    name: str
    function: lambda_.IFunction
    alerts: sns.ITopic

    def collect(self, sources: Sequence[str]) -> sfn.Parallel:
        """Ask all sources at once; the state becomes `{source: its answer or {Error, Cause}}`."""
        parallel = sfn.Parallel(
            self.scope,
            f"{self.name} Collect",
            state_name="Collect",
            result_selector={source: sfn.JsonPath.object_at(f"$[{i}]") for i, source in enumerate(sources)},
        )  # fmt: skip
        for source in sources:
            title = source.capitalize()
            task = self.task(title, source)
            lacking = sfn.Pass(
                self.scope,
                f"{self.name} {title}Lacking",
                state_name=f"{title}Lacking",
                comment="The report says what it lacks.",
            )
            task.add_catch(lacking, errors=["States.ALL"], result_path="$")
            parallel.branch(task)
        return parallel

    def task(
        self,
        title: str,
        task: str,
        *,
        function: lambda_.IFunction | None = None,
        result_path: str = "$",
    ) -> tasks.LambdaInvoke:
        """Invoke the function for one task."""
        made = tasks.LambdaInvoke(
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
            task_timeout=sfn.Timeout.duration(Duration.seconds(limits.WATCH_TASK_TIMEOUT)),
        )
        made.add_retry(
            errors=[
                *limits.LAMBDA_SERVICE_ERRORS,
                *limits.FUNCTION_DIED,
                errors.SourceUnavailable.__name__,
            ],
            interval=Duration.seconds(limits.WATCH_RETRY_INTERVAL),
            max_attempts=limits.WATCH_RETRIES,
            backoff_rate=limits.WATCH_RETRY_BACKOFF,
            jitter_strategy=sfn.JitterType.FULL,
        )
        return made

    def publish(self, title: str, *, subject: str, message: str) -> tasks.SnsPublish:
        """Publish to the alerts topic."""
        made = tasks.SnsPublish(
            self.scope,
            f"{self.name} {title}",
            state_name=title,
            topic=self.alerts,
            subject=subject,
            message=sfn.TaskInput.from_text(message),
            result_path=sfn.JsonPath.DISCARD,
        )
        made.add_retry(
            errors=["States.ALL"],
            interval=Duration.seconds(limits.WATCH_RETRY_INTERVAL),
            max_attempts=limits.WATCH_RETRIES,
            backoff_rate=limits.WATCH_RETRY_BACKOFF,
            jitter_strategy=sfn.JitterType.FULL,
        )
        return made

    def chain(
        self, collect: sfn.Parallel, report: tasks.LambdaInvoke, pause: sfn.Chain | None = None
    ) -> sfn.IChainable:
        """Chain the states; alerts go out before the report is kept, so that none is lost."""
        keep = self.task("Keep", "keep", result_path=sfn.JsonPath.DISCARD)
        keep.next(sfn.Succeed(self.scope, f"{self.name} Done", state_name="Done"))
        alert = self.publish(
            "Alert",
            subject=sfn.JsonPath.string_at("$.report.alert.subject"),
            message=sfn.JsonPath.string_at("$.report.alert.message"),
        )
        failed = self.publish(
            "AlertFailed",
            subject=f"Order mails: the {self.name} workflow failed",
            message=sfn.JsonPath.format(
                "Nobody watches until it runs again. What failed: {}. Execution: {}",
                sfn.JsonPath.string_at("$.error.Error"),
                sfn.JsonPath.string_at("$$.Execution.Id"),
            ),
        )
        failed.next(
            sfn.Fail(
                self.scope,
                f"{self.name} Failed",
                state_name="Failed",
                error_path="$.error.Error",
                cause_path="$.error.Cause",
            )
        )
        for state in (report, alert, keep):
            state.add_catch(failed, errors=["States.ALL"], result_path="$.error")
        alerting = sfn.Chain.start(alert).next(keep)
        choice = sfn.Choice(self.scope, f"{self.name} Alert?", state_name="Alert?")
        if pause:
            choice.when(sfn.Condition.is_present("$.report.pause"), pause.next(alerting))
        choice.when(sfn.Condition.is_present("$.report.alert"), alerting)
        choice.otherwise(keep)
        return sfn.Chain.start(collect).next(report).next(choice)
