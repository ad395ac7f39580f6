"""The frame around the steps: nothing personal leaves it, and its metrics have no dimensions."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from steps.contract.errors import SendThrottled, UnexpectedError
from steps.contract.handler import count, logger, step_handler
from steps.contract.metrics import Metric

if TYPE_CHECKING:
    from steps.contract.state import StepEvent

Lines = Callable[[], list[dict[str, Any]]]

EVENT: StepEvent = {
    "execution": "arn:execution",
    "state": {"attempt": 2, "orderId": "ORDER1", "notificationId": "n"},
}
CONTEXT: Any = SimpleNamespace(aws_request_id="r")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the function wrote: its log lines, then its metrics."""
    log = io.StringIO()
    handlers = [
        h for h in logging.getLogger("order-mail").handlers if type(h) is logging.StreamHandler
    ]
    before = [h.setStream(log) for h in handlers]
    yield lambda: [
        json.loads(line) for line in (log.getvalue() + capsys.readouterr().out).splitlines()
    ]
    for handler, stream in zip(handlers, before, strict=True):
        handler.setStream(stream or sys.stdout)


def test_an_unexpected_message_stays_inside(lines: Lines) -> None:
    @step_handler
    def handler(_event: StepEvent, _context: object) -> None:
        raise KeyError("john@example.com")

    with pytest.raises(UnexpectedError) as raised:
        handler(EVENT, CONTEXT)
    assert str(raised.value).startswith("KeyError in handler:")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    (line,) = lines()
    assert "john" not in json.dumps(line)
    assert line["error"] == "KeyError"
    assert (line["order_id"], line["execution_id"], line["attempt"]) == (
        "ORDER1",
        "arn:execution",
        2,
    )


def test_our_own_errors_pass_and_are_logged_by_name(lines: Lines) -> None:
    @step_handler
    def handler(_event: StepEvent, _context: object) -> None:
        raise SendThrottled("SES answered TooManyRequestsException")

    with pytest.raises(SendThrottled):
        handler(EVENT, CONTEXT)
    (line,) = lines()
    assert (line["level"], line["error"]) == ("WARNING", "SendThrottled")


def test_a_metric_has_a_namespace_and_no_dimensions(lines: Lines) -> None:
    @step_handler
    def handler(_event: StepEvent, _context: object) -> str:
        count(Metric.SENT)
        logger.info("done")
        return "x"

    assert handler(EVENT, CONTEXT) == "x"
    log, emf = lines()
    assert log["message"] == "done"
    (metric,) = emf["_aws"]["CloudWatchMetrics"]
    assert metric["Namespace"] == "EmailNotification"
    assert metric["Dimensions"] == [[]]
    assert [m["Name"] for m in metric["Metrics"]] == ["EmailSent"]
    assert emf["EmailSent"] == [1.0]
