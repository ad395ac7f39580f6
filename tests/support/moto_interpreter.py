"""moto interprets the generated ASL; the tasks run the real handlers, in this process."""

from __future__ import annotations

import io
import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

from statemachines.__main__ import ENVIRONMENT
from tests.support.asl import FOLDER, called_state
from tests.support.lambda_context import lambda_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

ROLE = "arn:aws:iam::123456789012:role/any"


@dataclass(frozen=True, kw_only=True)
class Run:
    """How an execution went: the states it entered, its end, and what it put out."""

    path: tuple[str, ...]
    status: str
    error: str
    cause: str
    output: dict[str, Any]


class LambdaInProcess(ABC):
    """Stands in for boto3's Lambda client: calls the function's handler, or fails as a test asks."""

    @abstractmethod
    def error(self, function_arn: str, event: dict[str, Any]) -> str | None:
        """Return the error by which this invocation fails instead of being made, if any."""

    def invoke(self, **request: Any) -> dict[str, Any]:
        """Answer as Lambda's Invoke does."""
        function_arn, event = request["FunctionName"], json.loads(request["Payload"])
        if error := self.error(function_arn, event):
            return _failure(error, "as asked")
        function = function_arn.rpartition(":")[2].removesuffix(f"-{ENVIRONMENT}")
        module = function.removeprefix("email-").replace("-", "_")
        try:
            answer = import_module(f"steps.{module}").handler(event, lambda_context())
        except Exception as exception:
            return _failure(type(exception).__name__, str(exception))
        return {"StatusCode": 200, "Payload": _payload(answer)}


@dataclass
class OrderSteps(LambdaInProcess):
    """The functions of the order workflow; `throws` has the errors of a state's first calls."""

    throws: Mapping[str, list[str]]
    calls: Counter[str] = field(default_factory=Counter)

    def error(self, function_arn: str, event: dict[str, Any]) -> str | None:
        state = called_state(function_arn, event.get("outcome"))
        self.calls[state] += 1
        errors = self.throws.get(state, [])
        return errors[self.calls[state] - 1] if self.calls[state] <= len(errors) else None


def _failure(error: str, message: str) -> dict[str, Any]:
    answer = {"errorType": error, "errorMessage": message}
    return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": _payload(answer)}


def _payload(answer: object) -> io.BytesIO:
    return io.BytesIO(json.dumps(answer).encode())


def run(
    machine: str, request: dict[str, Any], functions: LambdaInProcess, patch: pytest.MonkeyPatch
) -> Run:
    """Run one execution of a machine, such as `order_workflow`; call it while moto runs workflows."""
    patch.setattr(lambda_eval_utils, "boto_client_for", lambda **_: functions)
    patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda _seconds: None))
    client = boto3.client("stepfunctions", region_name="us-east-1")
    machine_arn = client.create_state_machine(
        name=f"machine-{time.monotonic_ns()}",
        definition=(FOLDER / f"{machine}.asl.json").read_text(),
        roleArn=ROLE,
    )["stateMachineArn"]
    started = client.start_execution(stateMachineArn=machine_arn, input=json.dumps(request))
    arn = started["executionArn"]
    deadline = time.monotonic() + 20
    while (execution := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, "the execution did not end"
        time.sleep(0.01)
    history = client.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    return Run(
        path=tuple(
            event["stateEnteredEventDetails"]["name"]
            for event in history
            if "stateEnteredEventDetails" in event
        ),
        status=execution["status"],
        error=execution.get("error", ""),
        cause=execution.get("cause", ""),
        output=json.loads(execution.get("output") or "{}"),
    )
