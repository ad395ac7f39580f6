"""What becomes of a message after its execution: it leaves the queue only when its outcome is known."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    _dispatcher,
    dispose,
    execution_name,
)
from tests.support.asl import STATES
from tests.support.in_memory_aws import set_environment
from tests.support.order_queue import sqs_record
from tests.support.pace_in_memory import PaceInMemory, PaceItem


def succeeded(**output: object) -> OrderExecution:
    return OrderExecution(arn="arn", status="SUCCEEDED", output=output)


def failed(end: str, error: str = "") -> OrderExecution:
    return OrderExecution.failed("arn", end, json.dumps({"Error": error, "Cause": "{}"}))


TIMED_OUT = OrderExecution(arn="arn", status="TIMED_OUT", error="States.Timeout")

LAST = limits.QUEUE_MAX_RECEIVES
LAST_OF_A_BUG = limits.UNEXPECTED_MAX_ATTEMPTS


def later(receives: int, reason: str) -> Later:
    """Return that a message waits as long as is due after so many receives."""
    return Later(limits.retry_delay(receives), reason)


@pytest.mark.parametrize(
    ("execution", "receives", "expected"),
    [
        (succeeded(claim={"result": "NEW"}), 1, Done()),
        (succeeded(claim={"result": "DUPLICATE"}), 1, Done()),
        (succeeded(), 1, Done()),
        (succeeded(claim={"result": "IN_PROGRESS", "retryAfter": 75}), 9, Later(75, "InProgress")),
        (failed("Deferred", "SendThrottled"), 1, later(1, "SendThrottled")),
        (failed("Deferred", "SendThrottled"), 4, later(4, "SendThrottled")),
        (failed("Deferred", "SendingPaused"), LAST - 1, later(LAST - 1, "SendingPaused")),
        (failed("InDoubt", "Lambda.Unknown"), 1, later(1, "Lambda.Unknown")),
        (failed("Failed", "UnexpectedError"), 4, later(4, "UnexpectedError")),
        (
            failed("GaveUp", "UnexpectedError"),
            LAST_OF_A_BUG,
            DeadLetter("UnexpectedError", "arn", counted=True),
        ),
        (failed("GaveUp", "SendingPaused"), LAST, DeadLetter("SendingPaused", "arn", counted=True)),
        # The workflow decides: what it calls Deferred waits, whatever its name and its tries.
        (failed("Deferred", "UnexpectedError"), LAST - 1, later(LAST - 1, "UnexpectedError")),
        # At the last receive SQS would move it without a reason.
        (failed("Deferred", "LedgerUnavailable"), LAST, DeadLetter("LedgerUnavailable", "arn")),
        # The workflow itself broke.
        (
            failed("States.Runtime"),
            LAST_OF_A_BUG - 1,
            later(LAST_OF_A_BUG - 1, "States.Runtime"),
        ),
        (failed("States.Runtime"), LAST_OF_A_BUG, DeadLetter("States.Runtime", "arn")),
        (TIMED_OUT, LAST_OF_A_BUG, later(LAST_OF_A_BUG, "States.Timeout")),
        (TIMED_OUT, LAST, DeadLetter("States.Timeout", "arn")),
    ],
)
def test_a_message_leaves_waits_or_becomes_a_dead_letter(
    execution: OrderExecution, receives: int, expected: Disposition
) -> None:
    assert dispose(execution, receives) == expected


@pytest.mark.parametrize("cause", ["", "{", '{"Error":"Un', "[]", "{}"])
def test_a_cause_that_is_cut_off_takes_no_batch_down(cause: str) -> None:
    execution = OrderExecution.failed("arn", "Deferred", cause)
    assert dispose(execution, 1) == later(1, "Deferred")


def test_every_fail_state_of_the_workflow_is_known() -> None:
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
def test_the_execution_of_a_malformed_message_is_named_malformed(message: str) -> None:
    assert execution_name(message, "0123456789", 1) == "malformed-01234567-1"


@given(st.text(min_size=1))
def test_execution_names_are_legal_and_contain_no_address(order_id: str) -> None:
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
    """Records its calls."""

    url: str = "queue"
    dead_letters_url: str = "dead letters"
    answers: bool = True
    postponed: dict[str, int] = field(default_factory=dict)
    dead_letters: list[tuple[str, str, str]] = field(default_factory=list)

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        if not self.answers:
            raise errors.QueueUnavailable("x")
        self.postponed[receipt_handle] = seconds

    def dead_letter(self, body: str, *, reason: str, execution: str) -> None:
        if not self.answers:
            raise errors.QueueUnavailable("x")
        self.dead_letters.append((body, reason, execution))


@dataclass
class FakePace(PaceInMemory):
    """Gives slots at once, unless the line is full."""

    full: bool = False

    def reserve(self, mails: int, rate: float) -> list[float] | None:
        return None if self.full else super().reserve(mails, rate)


SENDS = SendingAccount(rate=1000, quota_left=1000, enabled=True)


def dispatcher(
    answer: OrderExecution | Exception,
    *,
    account: SendingAccount = SENDS,
    sqs_answers: bool = True,
    line_is_full: bool = False,
) -> tuple[Dispatcher, FakeWorkflow, FakeQueue]:
    workflow, queue = FakeWorkflow(answer=answer), FakeQueue(answers=sqs_answers)
    used_just_now = PaceItem(attributes={"freeFrom": round(time.time() * 1000) - 1000})
    pace = FakePace(ask=lambda: account, item=used_just_now, full=line_is_full)
    return Dispatcher(workflow=workflow, queue=queue, pace=pace), workflow, queue


def test_a_message_that_waits_stays_on_the_queue_and_the_others_leave() -> None:
    throttled, _, queue = dispatcher(failed("Deferred", "SendThrottled"))
    messages = [sqs_record(message_id="a"), sqs_record(message_id="b", receives=LAST)]
    assert throttled.run_batch(messages) == ["a"]
    assert queue.postponed == {"a": limits.retry_delay(1)}
    assert queue.dead_letters == [("{}", "SendThrottled", "arn")]


@pytest.mark.parametrize(
    ("execution", "counts"),
    [(failed("GaveUp", "UnexpectedError"), 0), (failed("States.Runtime"), 1), (TIMED_OUT, 1)],
)
def test_a_failure_is_counted_where_the_workflow_did_not(
    execution: OrderExecution, counts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    failing, _, _ = dispatcher(execution)
    assert failing.run_batch([sqs_record(receives=LAST)]) == []
    if metrics.metric_set:
        metrics.flush_metrics()
    assert capsys.readouterr().out.count('"EmailFailed":[1.0]') == counts


def test_a_message_that_is_just_small_enough_reaches_the_first_task() -> None:
    working, workflow, _ = dispatcher(succeeded())
    envelope = len(json.dumps({"message": "", "attempt": 1}))
    body = "x" * (limits.MESSAGE_MAX_BYTES - envelope)
    assert working.run_batch([sqs_record(body)]) == []
    assert len(workflow.started) == 1
    arn = f"arn:aws:states:ap-southeast-1:123456789012:express:{'m' * 80}:{'e' * 80}:{'u' * 73}"
    task = {"execution": arn, "state": {"message": body, "attempt": 1}, "outcome": "REJECTED"}
    assert len(json.dumps(task)) <= limits.STATE_MAX_BYTES


@pytest.mark.parametrize("end", ["GaveUp", "Failed"])
def test_a_message_stays_on_the_queue_while_sqs_does_not_answer(end: str) -> None:
    without_sqs, _, _ = dispatcher(failed(end, "UnexpectedError"), sqs_answers=False)
    assert without_sqs.run_batch([sqs_record(message_id="a")]) == ["a"]


def test_an_execution_without_an_answer_is_tried_again() -> None:
    without_workflow, _, queue = dispatcher(errors.WorkflowUnavailable("x"))
    assert without_workflow.run_batch([sqs_record(message_id="a", receives=300)]) == ["a"]
    assert queue.postponed == {"a": limits.RETRY_DELAY_MAX}


def test_a_message_too_large_for_an_execution_becomes_a_dead_letter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    working, workflow, queue = dispatcher(succeeded())
    # Within the limit, and twice as long once escaped.
    quotes = '"' * (limits.MESSAGE_MAX_BYTES // 2)
    assert working.run_batch([sqs_record(quotes)]) == []
    assert workflow.started == []
    assert queue.dead_letters == [(quotes, "MessageTooLarge", "")]
    metrics.flush_metrics()
    assert '"EmailFailed":[1.0]' in capsys.readouterr().out


def test_the_messages_of_a_batch_run_in_parallel() -> None:
    barrier = threading.Barrier(limits.DISPATCHER_BATCH, timeout=5)

    class WaitsForAll(FakeWorkflow):
        def run(self, *, name: str, request: str) -> OrderExecution:
            barrier.wait()
            return super().run(name=name, request=request)

    parallel = replace(dispatcher(succeeded())[0], workflow=WaitsForAll(answer=succeeded()))
    batch = [sqs_record(message_id=str(number)) for number in range(limits.DISPATCHER_BATCH)]
    assert parallel.run_batch(batch) == []


@pytest.mark.parametrize(
    "account",
    [
        SendingAccount(rate=14, quota_left=100, enabled=False),
        SendingAccount(rate=14, quota_left=0, enabled=True),
        SendingAccount(rate=0, quota_left=100, enabled=True),
        SendingAccount(rate=-1, quota_left=100, enabled=True),
    ],
)
def test_no_execution_is_started_while_ses_does_not_send(account: SendingAccount) -> None:
    stopped, workflow, queue = dispatcher(succeeded(), account=account)
    messages = [sqs_record(message_id="a", receives=3), sqs_record(message_id="b")]
    assert stopped.run_batch(messages) == ["a", "b"]
    assert workflow.started == []
    assert queue.postponed == {"a": limits.retry_delay(3), "b": limits.retry_delay(1)}


def test_a_message_waits_on_the_queue_while_the_send_rate_is_not_known() -> None:
    unknown, workflow, queue = dispatcher(succeeded())

    def account() -> SendingAccount:
        raise errors.SesUnavailable("as asked")

    unknown.pace.account = account  # type: ignore[method-assign]
    assert unknown.run_batch([sqs_record(message_id="a")]) == ["a"]
    assert workflow.started == []
    assert queue.postponed == {"a": limits.retry_delay(1)}


def test_a_message_waits_on_the_queue_while_all_sending_slots_are_taken() -> None:
    overloaded, workflow, _ = dispatcher(succeeded(), line_is_full=True)
    assert overloaded.run_batch([sqs_record(message_id="a")]) == ["a"]
    assert workflow.started == []


def test_the_dispatcher_is_made_from_the_function_s_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = DispatchSettings(
        order_workflow="w", order_queue="q", dead_letter_queue="d", tracking_table="t"
    )
    set_environment(monkeypatch, settings)
    deployed = _dispatcher.__wrapped__()
    assert (deployed.workflow.arn, deployed.queue.url) == ("w", "q")
    assert deployed.queue.dead_letters_url == "d"
    assert deployed.pace.table == "t"
