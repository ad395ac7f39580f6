"""What becomes of a message after its execution: it leaves the queue only when its outcome is known."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps import aws, dispatch, errors, limits, pace
from steps.dispatch import DeadLetter, Done, Later, execution_name, outcome


def ended(status: str, *, error: str = "", **output: Any) -> aws.Execution:
    return aws.Execution(arn="arn", status=status, error=error, output=output)


def record(body: str, *, receives: int = 1, message_id: str = "0123456789") -> dict[str, Any]:
    return {
        "messageId": message_id,
        "receiptHandle": f"handle-{message_id}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }


@pytest.mark.parametrize(
    ("execution", "receives", "expected"),
    [
        (ended("SUCCEEDED", claim={"result": "NEW"}), 1, Done()),
        (ended("SUCCEEDED", claim={"result": "DUPLICATE"}), 1, Done()),
        (ended("SUCCEEDED"), 1, Done()),
        (
            ended("SUCCEEDED", claim={"result": "IN_PROGRESS", "retryAfter": 75}),
            9,
            Later(75, "InProgress"),
        ),
        (ended("FAILED", error="SendThrottled"), 1, Later(5, "SendThrottled")),
        (ended("FAILED", error="SendThrottled"), 4, Later(40, "SendThrottled")),
        (ended("FAILED", error="SendingPaused"), 199, Later(1800, "SendingPaused")),
        (ended("FAILED", error="SendingPaused"), 200, DeadLetter("SendingPaused", "arn")),
        (ended("FAILED", error="UnexpectedError"), 4, Later(40, "UnexpectedError")),
        (ended("FAILED", error="UnexpectedError"), 5, DeadLetter("UnexpectedError", "arn")),
        (ended("FAILED", error="States.Runtime"), 5, DeadLetter("States.Runtime", "arn")),
        (ended("TIMED_OUT", error="States.Timeout"), 5, Later(80, "States.Timeout")),
    ],
)
def test_outcomes(execution: aws.Execution, receives: int, expected: dispatch.Outcome) -> None:
    assert outcome(execution, receives) == expected


@pytest.mark.parametrize(
    ("order_id", "shown"),
    [
        ("ORDER123456", "ORDER123456-01234567-3"),
        ("2024/10#7.1", "2024-10-7-1-01234567-3"),
        ("x" * 200, "x" * 69 + "-01234567-3"),
    ],
)
def test_an_execution_is_named_after_its_order(order_id: str, shown: str) -> None:
    assert execution_name(json.dumps({"orderId": order_id}), "0123456789", 3) == shown


@pytest.mark.parametrize(
    "message", ["", "[]", "{}", '{"orderId": 5}', '{"orderId": ""}', "[" * 99_999]
)
def test_a_malformed_message_is_named_so(message: str) -> None:
    assert execution_name(message, "0123456789", 1) == "malformed-01234567-1"


@given(st.text(min_size=1))
def test_names_are_legal_and_show_no_address(order_id: str) -> None:
    name = execution_name(json.dumps({"orderId": order_id}), "0123456789", 200)
    assert len(name) <= 80
    assert name.isascii()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert (
        execution_name(json.dumps({"orderId": "john@example.com"}), "0123456789", 1).count("john")
        == 0
    )


class Door:
    """Stands in for `steps.aws`, and notes what is asked of it."""

    def __init__(self, patch: pytest.MonkeyPatch, answer: aws.Execution | Exception) -> None:
        self.answer = answer
        self.started: list[str] = []
        self.hidden: dict[str, int] = {}
        self.dead: list[tuple[str, str, str]] = []
        self.sqs_answers = True
        self.account = aws.SendingAccount(rate=1000, quota_left=1000, enabled=True)
        patch.setattr(pace, "account", lambda: self.account)
        patch.setattr(aws, "reserve_slots", lambda _span, *, now, latest: min(now, latest))
        patch.setattr(aws, "run_order_workflow", self.run)
        patch.setattr(aws, "hide", self.hide)
        patch.setattr(aws, "dead_letter", self.dead_letter)

    def run(self, *, name: str, request: str) -> aws.Execution:
        self.started.append(name)
        assert isinstance(json.loads(request)["message"], str)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def hide(self, handle: str, seconds: int) -> None:
        if not self.sqs_answers:
            raise errors.QueueUnavailable("x")
        self.hidden[handle] = seconds

    def dead_letter(self, body: str, *, reason: str, execution: str) -> None:
        if not self.sqs_answers:
            raise errors.QueueUnavailable("x")
        self.dead.append((body, reason, execution))


def handle(*records: dict[str, Any]) -> list[str]:
    answer = dispatch.handler({"Records": list(records)}, SimpleNamespace())
    return [f["itemIdentifier"] for f in answer["batchItemFailures"]]


def test_what_waits_stays_on_the_queue_and_the_rest_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, ended("FAILED", error="SendThrottled"))
    stays = handle(record("{}", message_id="a"), record("{}", message_id="b", receives=200))
    assert stays == ["a"]
    assert door.hidden == {"handle-a": 5}
    assert door.dead == [("{}", "SendThrottled", "arn")]


def test_what_sqs_does_not_take_on_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, ended("FAILED", error="UnexpectedError"))
    door.sqs_answers = False
    assert handle(record("{}", message_id="a"), record("{}", message_id="b", receives=5)) == [
        "a",
        "b",
    ]


def test_an_execution_without_an_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, errors.WorkflowUnavailable("x"))
    assert handle(record("{}", message_id="a", receives=300)) == ["a"]
    assert door.hidden == {"handle-a": limits.RETRY_DELAY_MAX}


def test_a_message_too_large_for_an_execution_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    door = Door(monkeypatch, ended("SUCCEEDED"))
    quotes = '"' * (
        limits.MESSAGE_MAX_BYTES // 2
    )  # Within the limit, and twice as long once escaped.
    assert handle(record(quotes, message_id="a")) == []
    assert door.started == []
    assert door.dead == [(quotes, "MessageTooLarge", "")]
    assert '"EmailFailed":[1.0]' in capsys.readouterr().out


def test_a_batch_runs_in_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading  # noqa: PLC0415

    everyone = threading.Barrier(limits.DISPATCHER_BATCH, timeout=5)
    door = Door(monkeypatch, ended("SUCCEEDED"))
    monkeypatch.setattr(
        aws, "run_order_workflow", lambda **kw: (everyone.wait(), door.run(**kw))[1]
    )
    assert handle(*(record("{}", message_id=str(i)) for i in range(limits.DISPATCHER_BATCH))) == []


def test_nothing_is_started_while_ses_does_not_send(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, ended("SUCCEEDED"))
    door.account = aws.SendingAccount(rate=14, quota_left=100, enabled=False)
    assert handle(record("{}", message_id="a", receives=3)) == ["a"]
    door.account = aws.SendingAccount(rate=14, quota_left=0, enabled=True)
    assert handle(record("{}", message_id="b")) == ["b"]
    assert door.started == []
    assert door.hidden == {"handle-a": 20, "handle-b": 5}


def test_a_line_that_is_too_long_is_left_to_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch, ended("SUCCEEDED"))
    monkeypatch.setattr(aws, "reserve_slots", lambda *_, **__: None)
    assert handle(record("{}", message_id="a")) == ["a"]
    assert door.started == []
