"""The order workflow: start an Express execution and wait for its end."""

from __future__ import annotations

import functools
import json
import os
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from steps.aws.sdk import client_config, translated
from steps.contract import limits
from steps.contract.errors import WorkflowUnavailable
from steps.contract.state import FailureEnd

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


TRACE = "X-Amzn-Trace-Id"


def trace_header(rate: float) -> str:
    """Begin a trace, to be kept with the probability `rate`.

    All who are called heed the decision (AWS X-Ray Developer Guide, "Configuring sampling rules").
    """
    sampled = random.random() < rate  # noqa: S311 - picks, hides nothing
    return f"Root=1-{int(time.time()):08x}-{os.urandom(12).hex()};Sampled={int(sampled)}"


@functools.cache
def stepfunctions(tracing_rate: float = 0.0) -> SFNClient:
    """Return the client that starts executions: a batch at a time, each once, waiting for its end.

    Each has a trace of its own. What Step Functions heeds is the header (StartSyncExecution, `traceHeader`), in
    which the SDK would put the dispatcher's.
    """

    def begin_trace(params: dict[str, Any], **_: object) -> None:
        params["headers"][TRACE] = trace_header(tracing_rate)

    client = boto3.client(
        "stepfunctions",
        config=client_config(
            connect=limits.WORKFLOW_CONNECT_TIMEOUT,
            read=limits.WORKFLOW_READ_TIMEOUT,
            attempts=1,
            connections=limits.DISPATCHER_BATCH,
        ),
    )
    client.meta.events.register("before-call.sfn.StartSyncExecution", begin_trace)
    return client


@dataclass(frozen=True, kw_only=True)
class OrderExecution:
    """How an execution of the order workflow ended.

    status: SUCCEEDED, FAILED or TIMED_OUT.
    end: the Fail state it ended in; None where it succeeded, timed out, or broke.
    error: the name of the error that ended it, empty after success.
    output: the machine's last state, empty after a failure.
    """

    arn: str
    status: str
    end: FailureEnd | None = None
    error: str = ""
    output: dict[str, Any] = field(default_factory=dict)

    @property
    def broke(self) -> bool:
        """Whether the workflow itself failed: in no Fail state of its own, and not by taking too long."""
        return self.status == "FAILED" and self.end is None

    @classmethod
    def failed(cls, arn: str, error: str, cause: str) -> OrderExecution:
        """Read the error and cause of a failed execution; a Fail state's cause holds the original's."""
        if error not in set(FailureEnd):
            return cls(arn=arn, status="FAILED", error=error)
        try:
            original = str(json.loads(cause)["Error"])
        except (ValueError, KeyError, TypeError):
            original = error  # Step Functions cuts a long cause off.
        return cls(arn=arn, status="FAILED", end=FailureEnd(error), error=original)


@dataclass(frozen=True)
class OrderWorkflow:
    """The state machine with this ARN; of its executions the share `tracing_rate` has traces."""

    arn: str
    tracing_rate: float = 0.0

    def run(self, *, name: str, request: str) -> OrderExecution:
        """Start an execution with `request` (JSON) and wait for its end.

        StartSyncExecution answers 200 for failed executions, too. It is asked once: a repetition would
        be a second execution.

        Raises:
            WorkflowUnavailable: throttled or no answer.
        """
        with translated("Step Functions", WorkflowUnavailable):
            answer = stepfunctions(self.tracing_rate).start_sync_execution(
                stateMachineArn=self.arn, name=name, input=request
            )
        arn, status = answer["executionArn"], answer["status"]
        if status == "SUCCEEDED":
            output = json.loads(answer.get("output") or "{}")
            return OrderExecution(arn=arn, status=status, output=output)
        if status == "FAILED":
            return OrderExecution.failed(arn, answer.get("error", ""), answer.get("cause", ""))
        return OrderExecution(arn=arn, status=status, error="States.Timeout")
