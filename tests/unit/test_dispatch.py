"""What becomes of a message after its execution: it leaves the queue only when its outcome is known."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.aws.pace import Pace
from steps.aws.queue import OrderQueue
from steps.aws.ses import SendingAccount
from steps.aws.workflow import OrderExecution, OrderWorkflow
from steps.contract import errors, limits
from steps.contract.handler import metrics
from steps.contract.state import FailureEnd
from steps.dispatch import (
    DeadLetter,
    Dispatcher,
    DispatchSettings,
    Disposition,
    Done,
    Later,
    SqsRecord,
    _dispatcher,
    dispose,
    execution_name,
)
from tests.support.asl import STATES


def succeeded(**output: Any) -> OrderExecution:
    return OrderExecution(arn="arn", status="SUCCEEDED", output=output)


def failed(end: str, error: str = "") -> OrderExecution:
    return OrderExecution.failed("arn", end, json.dumps({"Error": error, "Cause": "{}"}))


TIMED_OUT = OrderExecution(arn="arn", status="TIMED_OUT", error="States.Timeout")


def record(body: str, *, receives: int = 1, message_id: str = "0123456789") -> SqsRecord:
    return {
        "messageId": message_id,
        "receiptHandle": f"handle-{message_id}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }


@pytest.mark.parametrize(
    ("execution", "receives", "expected"),
    [
        (succeeded(claim={"result": "NEW"}), 1, Done()),
        (succeeded(claim={"result": "DUPLICATE"}), 1, Done()),
        (succeeded(), 1, Done()),
        (succeeded(claim={"result": "IN_PROGRESS", "retryAfter": 75}), 9, Later(75, "InProgress")),
        (failed("Deferred", "SendThrottled"), 1, Later(5, "SendThrottled")),
        (failed("Deferred", "SendThrottled"), 4, Later(40, "SendThrottled")),
        (failed("Deferred", "SendingPaused"), 199, Later(1800, "SendingPaused")),
        (failed("InDoubt", "Lambda.Unknown"), 1, Later(5, "Lambda.Unknown")),
        (failed("Failed", "UnexpectedError"), 4, Later(40, "UnexpectedError")),
        (
            failed("GaveUp", "UnexpectedError"),
            5,
            DeadLetter("UnexpectedError", "arn", counted=True),
        ),
        (failed("GaveUp", "SendingPaused"), 200, DeadLetter("SendingPaused", "arn", counted=True)),
        # The workflow decides: what it calls Deferred waits, whatever its name and its tries.
        (failed("Deferred", "UnexpectedError"), 199, Later(1800, "UnexpectedError")),
        # At the last receive SQS would move it without a reason.
        (failed("Deferred", "LedgerUnavailable"), 200, DeadLetter("LedgerUnavailable", "arn")),
        # The workflow itself broke.
        (failed("States.Runtime"), 4, Later(40, "States.Runtime")),
        (failed("States.Runtime"), 5, DeadLetter("States.Runtime", "arn")),
        (TIMED_OUT, 5, Later(80, "States.Timeout")),
        (TIMED_OUT, 200, DeadLetter("States.Timeout", "arn")),
    ],
)
def test_what_becomes_of_a_message(
    execution: OrderExecution, receives: int, expected: Disposition
) -> None:
    assert dispose(execution, receives) == expected


@pytest.mark.parametrize("cause", ["", "{", '{"Error":"Un', "[]", "{}"])
def test_a_cause_that_is_cut_off_takes_nothing_down(cause: str) -> None:
    execution = OrderExecution.failed("arn", "Deferred", cause)
    assert dispose(execution, 1) == Later(5, "Deferred")


def test_every_end_of_the_workflow_is_known() -> None:
    fails = {name for name, state in STATES.items() if state["Type"] == "Fail"}
    assert fails == set(FailureEnd)


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


@dataclass(frozen=True, kw_only=True)
class FakeWorkflow(OrderWorkflow):
    """Answers as a test says."""

    arn: str = "workflow"
    answer: OrderExecution | Exception
    started: list[str] = field(default_factory=list)

    def run(self, *, name: str, request: str) -> OrderExecution:
        self.started.append(name)
        assert isinstance(json.loads(request)["message"], str)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass(frozen=True, kw_only=True)
class FakeQueue(OrderQueue):
    """Notes what is asked of it."""

    url: str = "queue"
    dead_letters_url: str = "dead letters"
    answers: bool = True
    postponed: dict[str, int] = field(default_factory=dict)
    dead: list[tuple[str, str, str]] = field(default_factory=list)

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        if not self.answers:
            raise errors.QueueUnavailable("x")
        self.postponed[receipt_handle] = seconds

    def dead_letter(self, body: str, *, reason: str, execution: str) -> None:
        if not self.answers:
            raise errors.QueueUnavailable("x")
        self.dead.append((body, reason, execution))


@dataclass
class FakePace(Pace):
    """Gives slots at once, unless the line is full."""

    full: bool = False

    def reserve_span(self, span: int, *, now: int, latest: int) -> int | None:
        assert span
        return None if self.full else min(now, latest)


SENDS = SendingAccount(rate=1000, quota_left=1000, enabled=True)


def dispatcher(
    answer: OrderExecution | Exception,
    *,
    account: SendingAccount = SENDS,
    sqs_answers: bool = True,
    line_is_full: bool = False,
) -> tuple[Dispatcher, FakeWorkflow, FakeQueue]:
    workflow, queue = FakeWorkflow(answer=answer), FakeQueue(answers=sqs_answers)
    pace = FakePace("tracking", ask=lambda: account, full=line_is_full)
    return Dispatcher(workflow=workflow, queue=queue, pace=pace), workflow, queue


def test_what_waits_stays_on_the_queue_and_the_rest_leaves() -> None:
    one, _, queue = dispatcher(failed("Deferred", "SendThrottled"))
    stays = one.run_batch(
        [record("{}", message_id="a"), record("{}", message_id="b", receives=200)]
    )
    assert stays == ["a"]
    assert queue.postponed == {"handle-a": 5}
    assert queue.dead == [("{}", "SendThrottled", "arn")]


@pytest.mark.parametrize(
    ("execution", "counts"),
    [(failed("GaveUp", "UnexpectedError"), 0), (failed("States.Runtime"), 1), (TIMED_OUT, 1)],
)
def test_a_failure_is_counted_where_the_workflow_did_not(
    execution: OrderExecution, counts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    one, _, _ = dispatcher(execution)
    assert one.run_batch([record("{}", receives=limits.QUEUE_MAX_RECEIVES)]) == []
    if metrics.metric_set:
        metrics.flush_metrics()
    assert capsys.readouterr().out.count('"EmailFailed":[1.0]') == counts


def test_a_message_that_is_just_small_enough_reaches_the_first_task() -> None:
    one, workflow, _ = dispatcher(succeeded())
    envelope = len(json.dumps({"message": "", "attempt": 1}))
    body = "x" * (limits.MESSAGE_MAX_BYTES - envelope)
    assert one.run_batch([record(body)]) == []
    assert len(workflow.started) == 1
    arn = f"arn:aws:states:ap-southeast-1:123456789012:express:{'m' * 80}:{'e' * 80}:{'u' * 73}"
    task = {"execution": arn, "state": {"message": body, "attempt": 1}, "outcome": "REJECTED"}
    assert len(json.dumps(task)) <= limits.STATE_MAX_BYTES


def test_what_sqs_does_not_take_on_stays() -> None:
    one, _, _ = dispatcher(failed("GaveUp", "UnexpectedError"), sqs_answers=False)
    assert one.run_batch([record("{}", message_id="a")]) == ["a"]
    one, _, _ = dispatcher(failed("Failed", "UnexpectedError"), sqs_answers=False)
    assert one.run_batch([record("{}", message_id="a")]) == ["a"]


def test_an_execution_without_an_answer_is_tried_again() -> None:
    one, _, queue = dispatcher(errors.WorkflowUnavailable("x"))
    assert one.run_batch([record("{}", message_id="a", receives=300)]) == ["a"]
    assert queue.postponed == {"handle-a": limits.RETRY_DELAY_MAX}


def test_a_message_too_large_for_an_execution_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    one, workflow, queue = dispatcher(succeeded())
    quotes = '"' * (
        limits.MESSAGE_MAX_BYTES // 2
    )  # Within the limit, and twice as long once escaped.
    assert one.run_batch([record(quotes, message_id="a")]) == []
    assert workflow.started == []
    assert queue.dead == [(quotes, "MessageTooLarge", "")]
    metrics.flush_metrics()
    assert '"EmailFailed":[1.0]' in capsys.readouterr().out


def test_a_batch_runs_in_parallel() -> None:
    everyone = threading.Barrier(limits.DISPATCHER_BATCH, timeout=5)

    class Together(FakeWorkflow):
        def run(self, *, name: str, request: str) -> OrderExecution:
            everyone.wait()
            return super().run(name=name, request=request)

    one = replace(dispatcher(succeeded())[0], workflow=Together(answer=succeeded()))
    assert (
        one.run_batch([record("{}", message_id=str(i)) for i in range(limits.DISPATCHER_BATCH)])
        == []
    )


@pytest.mark.parametrize(
    "account",
    [
        SendingAccount(rate=14, quota_left=100, enabled=False),
        SendingAccount(rate=14, quota_left=0, enabled=True),
    ],
)
def test_nothing_is_started_while_ses_does_not_send(account: SendingAccount) -> None:
    one, workflow, queue = dispatcher(succeeded(), account=account)
    stays = one.run_batch([record("{}", message_id="a", receives=3), record("{}", message_id="b")])
    assert stays == ["a", "b"]
    assert workflow.started == []
    assert queue.postponed == {"handle-a": 20, "handle-b": 5}


def test_a_line_that_is_too_long_is_left_to_the_queue() -> None:
    one, workflow, _ = dispatcher(succeeded(), line_is_full=True)
    assert one.run_batch([record("{}", message_id="a")]) == ["a"]
    assert workflow.started == []


def test_the_function_is_told_where_everything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DispatchSettings(
        order_workflow="w", order_queue="q", dead_letter_queue="d", tracking_table="t"
    )
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    made = _dispatcher.__wrapped__()
    assert (made.workflow.arn, made.queue.url, made.queue.dead_letters_url) == ("w", "q", "d")
    assert made.pace.table == "t"
