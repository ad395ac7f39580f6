"""The rule of what a workflow tries again: our own UnexpectedError is a bug, whatever else fails passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn

from steps.contract.errors import UnexpectedError

if TYPE_CHECKING:
    from aws_cdk import aws_stepfunctions_tasks as tasks


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
