"""What a workflow tries again: by rule, our own UnexpectedError is a bug, whatever else fails passes.

The send step alone goes by a list, since a repetition could be a second mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn

from steps.contract import limits
from steps.contract.errors import (
    LedgerUnavailable,
    SendThrottled,
    SesUnreachable,
    UnexpectedError,
)

if TYPE_CHECKING:
    from aws_cdk import aws_stepfunctions_tasks as tasks

NOT_INVOKED = "Lambda.TooManyRequestsException"
"""Lambda throttled the invocation: the function did not run."""

NOT_RUN = (
    NOT_INVOKED,
    "Lambda.CodeArtifactUser*",
    "Lambda.KMS*",
    "Lambda.ResourceConflictException",
    "Lambda.ResourceNotFoundException",
    "Lambda.ResourceNotReadyException",
    "Runtime.HandlerNotFound",
    "Runtime.ImportModuleError",
    "Runtime.MalformedHandlerName",
    "Runtime.UserCodeSyntaxError",
)
"""Errors, as patterns, of a function that did not run: Lambda did not invoke it (Lambda API Reference, Invoke,
Errors), or its code could not be loaded."""

SEND_AGAIN = (
    SendThrottled.__name__,
    SesUnreachable.__name__,
    LedgerUnavailable.__name__,
    NOT_INVOKED,
)
"""After these SES certainly does not have the mail, and the send step may be tried again at once."""


def retry_what_passes(
    task: tasks.LambdaInvoke, *, interval: int, retries: int, backoff: float
) -> None:
    """Let a task be tried again, except after a bug; `interval` is in seconds, with full jitter.

    Retriers are read in order (Amazon States Language, "Retrying after error"), so the first takes bugs out.
    """
    task.add_retry(errors=[UnexpectedError.__name__], max_attempts=0)
    task.add_retry(
        errors=["States.ALL"],
        interval=Duration.seconds(interval),
        max_attempts=retries,
        backoff_rate=backoff,
        jitter_strategy=sfn.JitterType.FULL,
    )


def retry_send(task: tasks.LambdaInvoke) -> None:
    """Let the send step be tried again where SES certainly does not have the mail."""
    task.add_retry(
        errors=list(SEND_AGAIN),
        interval=Duration.seconds(limits.SEND_RETRY_INTERVAL),
        max_attempts=limits.SEND_RETRIES,
        backoff_rate=limits.SEND_RETRY_BACKOFF,
        jitter_strategy=sfn.JitterType.FULL,
    )
