"""Who starts an execution decides whether there is a trace of it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from steps.aws.workflow import OrderWorkflow, stepfunctions, trace_header
from tests.support.in_memory_aws import set_environment

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

RATE = 0.125
"""A share of no other test, so that the client is this test's alone."""


class Answer:
    """A body that says that the execution succeeded."""

    def stream(self, **_: object) -> list[bytes]:
        return [b'{"executionArn": "arn", "status": "SUCCEEDED"}']


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[AWSPreparedRequest]:
    """Return the requests as they leave for Step Functions; each is answered."""
    set_environment(monkeypatch)
    requests: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), Answer())

    events: Any = stepfunctions(RATE).meta.events
    events.register("before-send.sfn.StartSyncExecution", answer)
    return requests


def test_an_execution_begins_a_trace_of_its_own_whatever_the_dispatchers(
    sent: list[AWSPreparedRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "email-processor-prod")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-00000000-000000000000000000000000;Sampled=1")
    workflow = OrderWorkflow("arn:aws:states:us-east-1:123456789012:stateMachine:w", RATE)
    for number in range(400):
        workflow.run(name=f"n{number}", request="{}")
    sent_headers: list[Any] = [request.headers["X-Amzn-Trace-Id"] for request in sent]
    headers = [header.decode() for header in sent_headers]
    assert len(set(headers)) == 400
    pattern = r"Root=1-([0-9a-f]{8})-[0-9a-f]{24};Sampled=([01])"
    read = [re.fullmatch(pattern, header) for header in headers]
    assert all(match and abs(int(match[1], 16) - time.time()) < 60 for match in read)
    # 50 are expected; outside of this it is one in ten million.
    assert 15 < sum(match[2] == "1" for match in read if match) < 90


@pytest.mark.parametrize(("rate", "sampled"), [(0.0, "0"), (1.0, "1")])
def test_none_or_all_have_a_trace(rate: float, sampled: str) -> None:
    assert {trace_header(rate)[-1] for _ in range(1000)} == {sampled}
