"""moto interprets the generated ASL; the tasks run the real handlers, in this process."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

from steps.contract.state import Outcome

if TYPE_CHECKING:
    from pathlib import Path

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


@dataclass
class Lambdas:
    """Stands in for Lambda: calls `steps.<name>.handler`, or throws what a scenario asks for."""

    throws: dict[str, list[str]]
    calls: Counter[str] = field(default_factory=Counter)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        """Answer as Lambda's Invoke does."""
        event = json.loads(Payload)
        step = FunctionName.rsplit(":", maxsplit=1)[-1].split("-")[1]
        outcome = event.get("outcome")
        state = {None: step.capitalize(), Outcome.SENT: "Record"}.get(
            outcome, f"Record{(outcome or '').capitalize()}"
        )
        self.calls[state] += 1
        thrown = self.throws.get(state, [])
        if self.calls[state] <= len(thrown):
            return self._error(thrown[self.calls[state] - 1])
        context = SimpleNamespace(aws_request_id=f"request-{time.monotonic_ns()}")
        try:
            result = import_module(f"steps.{step}").handler(event, context)
        except Exception as error:
            return self._error(type(error).__name__)
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(result).encode())}

    @staticmethod
    def _error(name: str) -> dict[str, Any]:
        payload = json.dumps({"errorType": name, "errorMessage": "as asked"})
        return {
            "StatusCode": 200,
            "FunctionError": "Unhandled",
            "Payload": io.BytesIO(payload.encode()),
        }


def run(
    asl: Path, request: dict[str, Any], throws: dict[str, list[str]], patch: pytest.MonkeyPatch
) -> Run:
    """Run one execution of the machine in `asl` with input `request`; call it inside `mock_aws`."""
    return interpret(asl, request, Lambdas(throws), patch)


def interpret(asl: Path, request: dict[str, Any], lambdas: Any, patch: pytest.MonkeyPatch) -> Run:
    """Run one execution whose tasks call `lambdas.invoke`, as boto3's Lambda client would."""
    patch.setattr(lambda_eval_utils, "boto_client_for", lambda **_: lambdas)
    patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda _seconds: None))
    client = boto3.client("stepfunctions", region_name="us-east-1")
    machine = client.create_state_machine(
        name=f"machine-{time.monotonic_ns()}", definition=asl.read_text(), roleArn=ROLE
    )["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=machine, input=json.dumps(request))[
        "executionArn"
    ]
    wait = time.monotonic() + 20
    while (ended := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < wait, "the execution did not end"
        time.sleep(0.01)
    history = client.get_execution_history(executionArn=execution, maxResults=1000)["events"]
    return Run(
        path=tuple(
            e["stateEnteredEventDetails"]["name"]
            for e in history
            if "stateEnteredEventDetails" in e
        ),
        status=ended["status"],
        error=ended.get("error", ""),
        cause=ended.get("cause", ""),
        output=json.loads(ended.get("output") or "{}"),
    )
