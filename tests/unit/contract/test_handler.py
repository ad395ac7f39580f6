"""The frame around the steps: nothing personal leaves it, and its metrics have no dimensions."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from steps.contract.errors import SendThrottled, UnexpectedError
from steps.contract.handler import count, logger, step_handler
from steps.contract.metrics import Metric
from steps.contract.order_id import shown

if TYPE_CHECKING:
    from steps.contract.state import StepEvent

Lines = Callable[[], list[dict[str, Any]]]

EVENT: StepEvent = {
    "execution": "arn:execution",
    "state": {"attempt": 2, "lastReceive": False, "orderId": "ORDER1", "notificationId": "n"},
}
CONTEXT = LambdaContext()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What the function wrote: its log lines, then its metrics."""
    log = io.StringIO()
    handlers = [
        handler
        for handler in logging.getLogger("order-mail").handlers
        if type(handler) is logging.StreamHandler
    ]
    streams = [handler.setStream(log) for handler in handlers]
    yield lambda: [
        json.loads(line) for line in (log.getvalue() + capsys.readouterr().out).splitlines()
    ]
    for handler, stream in zip(handlers, streams, strict=True):
        handler.setStream(stream or sys.stdout)


def test_the_message_of_an_unexpected_error_does_not_leave_the_function(lines: Lines) -> None:
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


def test_a_line_has_nothing_that_all_lines_have(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-65f1a2b3-0123456789abcdef01234567")

    @step_handler
    def handler(_event: StepEvent, _context: object) -> None:
        logger.info("accepted", message_id="m")
        logger.debug("recorded", status="SENT")

    before = datetime.now(UTC)
    handler({"execution": "arn", "state": {**EVENT["state"], "attempt": 1}}, CONTEXT)
    (line,) = lines()
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert before - timedelta(seconds=1) < at <= datetime.now(UTC)
    assert line == {
        "level": "INFO",
        "message": "accepted",
        "order_id": "ORDER1",
        "execution_id": "arn",
        "message_id": "m",
    }


def test_an_order_id_that_may_be_an_address_is_not_logged(lines: Lines) -> None:
    @step_handler
    def handler(_event: StepEvent, _context: object) -> None:
        logger.info("at work")

    state = {"orderId": "john@example.com"}
    handler({"execution": "arn:execution", "state": state}, CONTEXT)  # type: ignore[typeddict-item]
    (line,) = lines()
    assert line["order_id"] == shown("john@example.com")
    assert "john" not in json.dumps(line)


@pytest.mark.parametrize("simulated", [True, False])
def test_a_line_says_that_a_mail_is_to_the_simulator(lines: Lines, *, simulated: bool) -> None:
    @step_handler
    def handler(_event: StepEvent, _context: object) -> None:
        logger.info("at work")
        raise SendThrottled("x")

    domain = "simulator.amazonses.com" if simulated else "example.com"
    message = json.dumps({"customerEmail": f"john@{domain}"})
    with pytest.raises(SendThrottled):
        handler({"execution": "e", "state": {"message": message}}, CONTEXT)  # type: ignore[typeddict-item]
    written = lines()
    assert [line.get("simulated") for line in written] == [True if simulated else None] * 2
    assert "john" not in json.dumps(written)
    logger.info("of the next one")
    assert "simulated" not in lines()[-1]


def test_an_answer_that_cannot_be_encoded_is_a_bug_and_not_the_end_of_the_runtime(
    lines: Lines,
) -> None:
    @step_handler
    def handler(_event: StepEvent, _context: object) -> dict[str, str]:
        return {"name": "Maya \ud83d"}

    with pytest.raises(UnexpectedError, match=r"^UnicodeEncodeError in "):
        handler(EVENT, CONTEXT)
    (line,) = lines()
    assert line["error"] == "UnicodeEncodeError"
    assert "Maya" not in json.dumps(line)


def test_an_error_of_our_own_leaves_the_function_and_is_logged_by_its_name(lines: Lines) -> None:
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
    assert [declared["Name"] for declared in metric["Metrics"]] == ["EmailSent"]
    assert emf["EmailSent"] == [1.0]
