"""The order workflow: order and retry of the steps, and a visible end for every outcome.

    Validate -> Valid? -> Dedup -> Claim? -> Render -> Send -> Record -> Sent
                  |                  |-- Duplicate       |
                  |                  `-- InProgress      |
                  `-----------> RecordRejected <---------'
                                      `-> Rejected

    Send fails -> HandedOver? -> InDoubt
                       |-- not handed over --.
    Dedup, Render fail -----------------> Release -> WhatFailed?
    any other fails -------------------------------> WhatFailed? -> Deferred | Failed
                                                         `-> RecordFailed -> Settled? -> GaveUp | Sent
                                                             at the last attempt

The Fail states are the dispatcher's to read (`steps.contract.state.FailureEnd`). Whether to give up is
decided here alone. JSONPath, not JSONata: two independent interpreters read it, see DECISIONS.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from aws_cdk import Duration, IResolvable
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from statemachines.retries import NOT_RUN, retry_send, retry_what_passes
from steps.contract import limits
from steps.contract.errors import (
    DEFERRED,
    AttachmentsLinked,
    ClaimLost,
    SendOutcomeUnknown,
    SendRejected,
    UnexpectedError,
)
from steps.contract.state import ClaimResult, FailureEnd, Outcome

if TYPE_CHECKING:
    from aws_cdk import aws_lambda as lambda_
    from constructs import Construct

_TIMEOUT = "timeout"


def _step_function(timeout: int) -> lambda_.IFunction:
    """Declare a step; `timeout` is its function's, in seconds."""
    declared: lambda_.IFunction = field(metadata={_TIMEOUT: timeout})
    return declared


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The functions that the order workflow calls: the one list of its steps.

    A step `name` is the module `steps.name`, deployed as the function `email-name-{env}`.
    """

    validate: lambda_.IFunction = _step_function(limits.PURE_STEP_TIMEOUT)
    dedup: lambda_.IFunction = _step_function(limits.DEDUP_TIMEOUT)
    render: lambda_.IFunction = _step_function(limits.PURE_STEP_TIMEOUT)
    send: lambda_.IFunction = _step_function(limits.SEND_TIMEOUT)
    record: lambda_.IFunction = _step_function(limits.RECORD_TIMEOUT)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the steps' names."""
        return tuple(TIMEOUTS)


TIMEOUTS: dict[str, int] = {step.name: step.metadata[_TIMEOUT] for step in fields(Steps)}
"""Each step's function's time-out in seconds; its task waits `limits.TASK_MARGIN` longer."""


def order_workflow(scope: Construct, steps: Steps) -> sfn.IChainable:
    """Chain the steps.

    Input: `{message: string, publishedAt: number, attempt: number, lastReceive: boolean}`; see
    `steps.contract.state.State`.
    """
    sent = sfn.Succeed(scope, "Sent", comment="SES accepted the mail.")
    failure = _failure(scope, steps, sent=sent)
    ends = _Ends(
        sent=sent,
        rejected=_rejection(scope, steps, failure),
        release=_release(scope, steps, failure),
        failure=failure,
    )
    return _claim(scope, steps, ends, delivery=_delivery(scope, steps, ends))


@dataclass(frozen=True, kw_only=True)
class _Ends:
    """Where the steps lead: SES has the mail, it is refused, the claim is given back, something failed."""

    sent: sfn.IChainable
    rejected: sfn.IChainable
    release: sfn.IChainable
    failure: sfn.IChainable


def _claim(
    scope: Construct, steps: Steps, ends: _Ends, *, delivery: sfn.IChainable
) -> sfn.IChainable:
    """Validate and claim; go on to `delivery` with what is valid and ours."""
    claimed = (
        sfn.Choice(scope, "Claim?", comment="Whose is the notification?")
        .when(
            sfn.Condition.string_equals("$.claim.result", ClaimResult.DUPLICATE),
            sfn.Succeed(scope, "Duplicate", comment="Its outcome is recorded already."),
        )
        .when(
            sfn.Condition.string_equals("$.claim.result", ClaimResult.IN_PROGRESS),
            sfn.Succeed(
                scope, "InProgress", comment="Someone else is at it; the message comes back."
            ),
        )
        .otherwise(delivery)
    )
    # A claim whose answer was lost is a claim all the same.
    dedup = _step(scope, steps, "dedup", ends.release, result_path="$.claim").next(claimed)
    valid = (
        sfn.Choice(scope, "Valid?")
        .when(sfn.Condition.is_present("$.rejection"), ends.rejected)
        .otherwise(dedup)
    )
    return _step(scope, steps, "validate", ends.failure, result_path="$").next(valid)


def _delivery(scope: Construct, steps: Steps, ends: _Ends) -> sfn.IChainable:
    """Render, send and record."""
    send = _task(scope, steps, "send", result_path="$.receipt")
    retry_send(send)
    send.add_catch(ends.rejected, errors=[SendRejected.__name__], result_path="$.error")
    send.add_catch(_handed_over(scope, ends), errors=["States.ALL"], result_path="$.error")
    return (
        sfn.Chain.start(_step(scope, steps, "render", ends.release, result_path="$"))
        .next(send)
        .next(_step(scope, steps, "record", ends.failure, outcome=Outcome.SENT))
        .next(ends.sent)
    )


def _rejection(scope: Construct, steps: Steps, failure: sfn.IChainable) -> sfn.IChainable:
    """Record what is refused: an invalid event, or a mail that SES does not take as it is."""
    return _step(
        scope, steps, "record", failure, state="RecordRejected", outcome=Outcome.REJECTED
    ).next(sfn.Succeed(scope, "Rejected", comment="Kept with its reasons; not retried."))


def _release(scope: Construct, steps: Steps, failure: sfn.IChainable) -> sfn.IChainable:
    """End the claim's lease, so that the next attempt need not wait until it ends by itself."""
    release = _task(scope, steps, "record", state="Release", outcome=Outcome.RELEASED)
    release.add_catch(failure, errors=["States.ALL"], result_path=sfn.JsonPath.DISCARD)
    return release.next(failure)


_LAST_RECEIVE = sfn.Condition.boolean_equals("$.lastReceive", True)  # noqa: FBT003 - CDK's signature


def _failure(scope: Construct, steps: Steps, *, sent: sfn.IChainable) -> sfn.IChainable:
    """Decide what a failed step means: wait, look at a bug, or give up."""
    deferred = _fail(
        scope, FailureEnd.DEFERRED, "The cause passes by itself; the message waits on the queue."
    )
    failed = _fail(
        scope, FailureEnd.FAILED, "A bug; a few more attempts, then the dead-letter queue."
    )
    bug = sfn.Condition.string_equals("$.error.Error", UnexpectedError.__name__)
    last_of_a_bug = sfn.Condition.number_greater_than_equals(
        "$.attempt", limits.UNEXPECTED_MAX_ATTEMPTS
    )
    # A mail whose attachments become links is ready: it goes at one receive more.
    linked = sfn.Condition.string_equals("$.error.Error", AttachmentsLinked.__name__)
    last = sfn.Condition.or_(_LAST_RECEIVE, sfn.Condition.and_(bug, last_of_a_bug))
    return (
        sfn.Choice(scope, "WhatFailed?", comment="Will it pass, is it a bug, was it the last try?")
        .when(linked, deferred)
        .when(last, _give_up(scope, steps, sent=sent, failed=failed, deferred=deferred))
        .when(bug, failed)
        .otherwise(deferred)
    )


def _give_up(
    scope: Construct,
    steps: Steps,
    *,
    sent: sfn.IChainable,
    failed: sfn.IChainable,
    deferred: sfn.IChainable,
) -> sfn.IChainable:
    """Record the end, unless SES turns out to have the mail."""
    gave_up = _fail(
        scope,
        FailureEnd.GAVE_UP,
        "The last attempt failed; the event is in the dead-letter queue.",
    )
    give_up = _task(
        scope,
        steps,
        "record",
        state="RecordFailed",
        outcome=Outcome.FAILED,
        result_path="$.recorded",
    )
    _retry(give_up)
    # An end that is not recorded is none: the dispatcher decides, where the message cannot come back.
    give_up.add_catch(failed, errors=[UnexpectedError.__name__], result_path="$.error")
    give_up.add_catch(deferred, errors=["States.ALL"], result_path="$.error")
    settled = sfn.Condition.boolean_equals("$.recorded.settled", True)  # noqa: FBT003 - CDK's signature
    return give_up.next(
        sfn.Choice(scope, "Settled?", comment="Is SES known to have the mail?")
        .when(settled, sent)
        .otherwise(gave_up)
    )


def _handed_over(scope: Construct, ends: _Ends) -> sfn.IChainable:
    """Tell a send step that may have handed the mail to SES from one that certainly did not.

    Errors of Lambda and Step Functions have a dot in their names. But for those that say that the
    function did not run, they say nothing of how far the step came. Whatever is raised inside the handler
    becomes one of our own errors, which say it. A name that is neither was raised while the function's
    code was loaded, before the handler ran.
    """
    error = "$.error.Error"
    not_told = sfn.Condition.and_(
        sfn.Condition.string_matches(error, "*.*"),
        *(sfn.Condition.not_(sfn.Condition.string_matches(error, name)) for name in NOT_RUN),
    )
    may_have_it = sfn.Condition.or_(
        sfn.Condition.string_equals(error, SendOutcomeUnknown.__name__), not_told
    )
    in_doubt = _fail(
        scope,
        FailureEnd.IN_DOUBT,
        "SES may have the mail; its own event settles it, or the grace period.",
    )
    without_claim = [error_class.__name__ for error_class in (*DEFERRED, ClaimLost)]
    return (
        sfn.Choice(scope, "HandedOver?", comment="May SES have the mail?")
        .when(sfn.Condition.and_(may_have_it, sfn.Condition.not_(_LAST_RECEIVE)), in_doubt)
        .when(
            sfn.Condition.or_(*(sfn.Condition.string_equals(error, n) for n in without_claim)),
            ends.failure,
        )
        .otherwise(ends.release)
    )


def _fail(scope: Construct, end: FailureEnd, comment: str) -> sfn.Fail:
    return sfn.Fail(
        scope,
        end,
        error=end,
        # Not `$.error.Cause` alone: it may be missing, and the original's name is needed, too.
        cause_path=sfn.JsonPath.json_to_string(sfn.JsonPath.object_at("$.error")),
        comment=comment,
    )


def _step(
    scope: Construct,
    steps: Steps,
    step: str,
    failure: sfn.IChainable,
    *,
    state: str = "",
    result_path: str = sfn.JsonPath.DISCARD,
    outcome: Outcome | None = None,
) -> tasks.LambdaInvoke:
    """Make the state of a step that may be repeated, which is any but the send step."""
    task = _task(scope, steps, step, state=state, result_path=result_path, outcome=outcome)
    _retry(task)
    task.add_catch(failure, errors=["States.ALL"], result_path="$.error")
    return task


def _retry(task: tasks.LambdaInvoke) -> None:
    retry_what_passes(
        task,
        interval=limits.STEP_RETRY_INTERVAL,
        retries=limits.STEP_RETRIES,
        backoff=limits.STEP_RETRY_BACKOFF,
    )


def _task(
    scope: Construct,
    steps: Steps,
    step: str,
    *,
    state: str = "",
    result_path: str = sfn.JsonPath.DISCARD,
    outcome: Outcome | None = None,
) -> tasks.LambdaInvoke:
    """Make the state of a step; it is called as the step is, unless `state` says otherwise."""
    payload: dict[str, str | IResolvable] = {
        "execution": sfn.JsonPath.string_at("$$.Execution.Id"),
        "state": sfn.JsonPath.object_at("$"),
    }
    return tasks.LambdaInvoke(
        scope,
        state or step.capitalize(),
        lambda_function=getattr(steps, step),
        payload=sfn.TaskInput.from_object(payload | ({"outcome": outcome} if outcome else {})),
        payload_response_only=True,
        result_path=result_path,
        # CDK's own retry takes up to two minutes, and on Send it would be a second mail.
        retry_on_service_exceptions=False,
        task_timeout=sfn.Timeout.duration(Duration.seconds(TIMEOUTS[step] + limits.TASK_MARGIN)),
    )
