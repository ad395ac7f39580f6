"""The order workflow: order and retry of the steps, and a visible end for every outcome.

    Validate -> Valid? -> Dedup -> Claim? -> Render -> Send -> Record -> Sent
                  |                  |-- Duplicate       |
              RecordRejected         `-- InProgress      `-- RecordRejected -> Rejected
                  `-> Rejected

What fails ends in a Fail state that carries the error's name: Deferred (it passes: the message waits
on the queue), InDoubt (SES may have the mail), Failed (a bug), GaveUp (the last attempt of either).
JSONPath, not JSONata: two independent interpreters read it, see DECISIONS.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration, IResolvable
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from steps import errors, limits

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_
    from constructs import Construct

_LEDGER = errors.LedgerUnavailable.__name__
_THROTTLED = "Lambda.TooManyRequestsException"

NOT_SENT = sorted(
    [e.__name__ for e in (*errors.DEFERRED, errors.ClaimLost)] + [_LEDGER, _THROTTLED]
)
"""After these the send step certainly did not hand the mail to SES; after any other it may have."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The functions that the order workflow calls."""

    validate: lambda_.IFunction
    dedup: lambda_.IFunction
    render: lambda_.IFunction
    send: lambda_.IFunction
    record: lambda_.IFunction


def order_workflow(scope: Construct, steps: Steps) -> sfn.IChainable:
    """Chain the steps. Input: `{message: string, attempt: number}`; see `steps.model.State`."""
    record_failed = _task(scope, "RecordFailed", steps.record, outcome="FAILED").next(
        _fail(scope, "GaveUp", "The last attempt failed; the event is in the dead-letter queue.")
    )
    waits = _last_attempt(
        scope,
        limits.QUEUE_MAX_RECEIVES,
        record_failed,
        _fail(scope, "Deferred", "The cause passes by itself; the message waits on the queue."),
    )
    in_doubt = _last_attempt(
        scope,
        limits.QUEUE_MAX_RECEIVES,
        record_failed,
        _fail(
            scope,
            "InDoubt",
            "SES may have the mail; its own event settles it, or the grace period.",
        ),
    )
    failed = _last_attempt(
        scope,
        limits.UNEXPECTED_MAX_ATTEMPTS,
        record_failed,
        _fail(scope, "Failed", "A bug; a few more attempts, then the dead-letter queue."),
    )

    def step(task: tasks.LambdaInvoke) -> tasks.LambdaInvoke:
        task.add_retry(
            errors=[*limits.LAMBDA_SERVICE_ERRORS, *limits.FUNCTION_DIED, _LEDGER],
            interval=Duration.seconds(limits.STEP_RETRY_INTERVAL),
            max_attempts=limits.STEP_RETRIES,
            backoff_rate=limits.STEP_RETRY_BACKOFF,
            jitter_strategy=sfn.JitterType.FULL,
        )
        task.add_catch(waits, errors=sorted(limits.PASSING_ERRORS), result_path="$.error")
        task.add_catch(failed, errors=["States.ALL"], result_path="$.error")
        return task

    rejected = step(_task(scope, "RecordRejected", steps.record, outcome="REJECTED")).next(
        sfn.Succeed(scope, "Rejected", comment="Kept with its reasons; not retried.")
    )

    send = _task(scope, "Send", steps.send, result_path="$.receipt")
    # Only what certainly did not reach SES: the send step is never repeated blindly.
    send.add_retry(
        errors=[errors.SendThrottled.__name__, _LEDGER, _THROTTLED],
        interval=Duration.seconds(limits.SEND_RETRY_INTERVAL),
        max_attempts=limits.SEND_RETRIES,
        backoff_rate=limits.SEND_RETRY_BACKOFF,
        jitter_strategy=sfn.JitterType.FULL,
    )
    send.add_catch(rejected, errors=[errors.SendRejected.__name__], result_path="$.error")
    send.add_catch(waits, errors=NOT_SENT, result_path="$.error")
    send.add_catch(failed, errors=[errors.UnexpectedError.__name__], result_path="$.error")
    send.add_catch(in_doubt, errors=["States.ALL"], result_path="$.error")

    deliver = (
        sfn.Chain.start(step(_task(scope, "Render", steps.render, result_path="$")))
        .next(send)
        .next(step(_task(scope, "Record", steps.record, outcome="SENT")))
        .next(sfn.Succeed(scope, "Sent", comment="SES accepted the mail."))
    )

    claimed = (
        sfn.Choice(scope, "Claim?", comment="Whose is the notification?")
        .when(
            sfn.Condition.string_equals("$.claim.result", "DUPLICATE"),
            sfn.Succeed(scope, "Duplicate", comment="Its outcome is recorded already."),
        )
        .when(
            sfn.Condition.string_equals("$.claim.result", "IN_PROGRESS"),
            sfn.Succeed(
                scope, "InProgress", comment="Someone else is at it; the message comes back."
            ),
        )
        .otherwise(deliver)
    )
    dedup = step(_task(scope, "Dedup", steps.dedup, result_path="$.claim")).next(claimed)

    valid = (
        sfn.Choice(scope, "Valid?")
        .when(sfn.Condition.is_present("$.rejection"), rejected)
        .otherwise(dedup)
    )
    return step(_task(scope, "Validate", steps.validate, result_path="$")).next(valid)


def _task(
    scope: Construct,
    name: str,
    function: lambda_.IFunction,
    *,
    result_path: str = sfn.JsonPath.DISCARD,
    outcome: str | None = None,
) -> tasks.LambdaInvoke:
    payload: dict[str, str | IResolvable] = {
        "execution": sfn.JsonPath.string_at("$$.Execution.Id"),
        "state": sfn.JsonPath.object_at("$"),
    }
    return tasks.LambdaInvoke(
        scope,
        name,
        lambda_function=function,
        payload=sfn.TaskInput.from_object(payload | ({"outcome": outcome} if outcome else {})),
        payload_response_only=True,
        result_path=result_path,
        # CDK's own retry takes up to two minutes, and on Send it would be a second mail.
        retry_on_service_exceptions=False,
        task_timeout=sfn.Timeout.duration(Duration.seconds(limits.STEP_TASK_TIMEOUT)),
    )


def _fail(scope: Construct, name: str, comment: str) -> sfn.Fail:
    return sfn.Fail(
        scope, name, error_path="$.error.Error", cause_path="$.error.Cause", comment=comment
    )


def _last_attempt(
    scope: Construct, attempts: int, give_up: sfn.IChainable, end: sfn.Fail
) -> sfn.Choice:
    return (
        sfn.Choice(scope, f"{end.id}: last attempt?")
        .when(sfn.Condition.number_greater_than_equals("$.attempt", attempts), give_up)
        .otherwise(end)
    )
