"""What becomes of a message after its execution: it leaves the queue only when its outcome is known."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps import dispatch
from steps.aws.ledger_table import LedgerTable
from steps.aws.queue import OrderQueue
from steps.aws.ses import SendingAccount
from steps.aws.workflow import OrderExecution, OrderWorkflow
from steps.contract import errors, limits
from steps.contract.handler import logger, metrics
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
from steps.ledger import rules
from tests.support.asl import STATES
from tests.support.clock import Clock
from tests.support.in_memory_aws import set_environment
from tests.support.lambda_context import lambda_context
from tests.support.order_queue import sqs_record
from tests.support.pace_in_memory import PaceInMemory, PaceItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steps.contract.sqs_event import SqsEvent


def succeeded(**output: object) -> OrderExecution:
    return OrderExecution(arn="arn", status="SUCCEEDED", output=output)


def failed(end: str, error: str = "") -> OrderExecution:
    return OrderExecution.failed("arn", end, json.dumps({"Error": error, "Cause": "{}"}))


TIMED_OUT = OrderExecution(arn="arn", status="TIMED_OUT", error="States.Timeout")

PUBLISHED = 1_796_000_000.5

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
        # Whoever is at it settles it soon; SQS lets the message come back far longer than that.
        (
            succeeded(claim={"result": "IN_PROGRESS", "retryAfter": 75}),
            LAST,
            Later(75, "InProgress"),
        ),
        (failed("Deferred", "SendThrottled"), 1, later(1, "SendThrottled")),
        (failed("Deferred", "SendThrottled"), 4, later(4, "SendThrottled")),
        (failed("Deferred", "SendingPaused"), LAST - 1, later(LAST - 1, "SendingPaused")),
        (failed("Deferred", "AttachmentUnavailable"), 4, later(4, "AttachmentUnavailable")),
        (failed("Deferred", "AttachmentUnavailable"), 9, Later(120, "AttachmentUnavailable")),
        (failed("Deferred", "AttachmentsLinked"), 9, Later(5, "AttachmentsLinked")),
        # The mail is ready, but for one more receive: with links it goes.
        (failed("Deferred", "AttachmentsLinked"), LAST, Later(5, "AttachmentsLinked")),
        (failed("GaveUp", "AttachmentsLinked"), LAST, DeadLetter("AttachmentsLinked", "arn")),
        (failed("InDoubt", "Lambda.Unknown"), 1, later(1, "Lambda.Unknown")),
        # The workflow met a bug where it was to record that it gave up.
        (failed("Failed", "UnexpectedError"), 4, DeadLetter("UnexpectedError", "arn")),
        (
            failed("GaveUp", "UnexpectedError"),
            5,
            DeadLetter("UnexpectedError", "arn"),
        ),
        (failed("GaveUp", "SendingPaused"), LAST, DeadLetter("SendingPaused", "arn")),
        # The workflow could not record that it gave up.
        (failed("Deferred", "LedgerUnavailable"), LAST, DeadLetter("LedgerUnavailable", "arn")),
        (TIMED_OUT, LAST_OF_A_BUG, later(LAST_OF_A_BUG, "States.Timeout")),
        (TIMED_OUT, LAST, DeadLetter("States.Timeout", "arn")),
    ],
)
def test_a_message_leaves_waits_or_becomes_a_dead_letter(
    execution: OrderExecution, receives: int, expected: Disposition
) -> None:
    assert dispose(execution, receives=receives, attempt=LAST_OF_A_BUG) == expected


@pytest.mark.parametrize(
    ("receives", "attempt", "expected"),
    [
        (1, 1, later(1, "States.Runtime")),
        (LAST - 1, 1, later(LAST - 1, "States.Runtime")),  # deferred often, broke once
        (LAST_OF_A_BUG, LAST_OF_A_BUG - 1, later(LAST_OF_A_BUG, "States.Runtime")),
        (LAST_OF_A_BUG, LAST_OF_A_BUG, DeadLetter("States.Runtime", "arn")),
        (LAST, 1, DeadLetter("States.Runtime", "arn")),
    ],
)
def test_a_bug_is_given_up_by_its_attempts_not_by_its_receives(
    receives: int, attempt: int, expected: Disposition
) -> None:
    execution = failed("States.Runtime")
    assert dispose(execution, receives=receives, attempt=attempt) == expected
    as_our_own = replace(execution, end=FailureEnd.FAILED)
    assert dispose(as_our_own, receives=receives, attempt=attempt) == expected


@pytest.mark.parametrize("cause", ["", "{", '{"Error":"Un', "[]", "{}"])
def test_a_cause_that_is_cut_off_takes_no_batch_down(cause: str) -> None:
    execution = OrderExecution.failed("arn", "Deferred", cause)
    assert dispose(execution, receives=1, attempt=1) == later(1, "Deferred")


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


@given(st.text(st.characters(exclude_categories=()), min_size=1))
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
    requests: list[dict[str, Any]] = field(default_factory=list)

    def run(self, *, name: str, request: str) -> OrderExecution:
        self.started.append(name)
        self.requests.append(json.loads(request))
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


@dataclass(frozen=True)
class FakeTable(LedgerTable):
    """Counts attempts, or does not answer."""

    answers: bool = True
    executions: dict[str, set[str]] = field(default_factory=dict)

    def write(self, request: rules.Put | rules.Update) -> rules.Record | None:
        assert isinstance(request, rules.Update)
        if not self.answers:
            raise errors.LedgerUnavailable("x")
        self.executions.setdefault(request.notification_id, set()).update(request.add["executions"])
        return None

    def read(
        self, notification_id: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> rules.Record:
        assert (attributes, consistent) == ([rules.EXECUTIONS], True)
        if not self.answers:
            raise errors.LedgerUnavailable("x")
        executions = self.executions.get(notification_id)
        return {"executions": executions} if executions else {}


SENDS = SendingAccount(rate=1000, quota_left=1000, enabled=True)


def dispatcher(
    answer: OrderExecution | Exception,
    *,
    account: SendingAccount = SENDS,
    sqs_answers: bool = True,
    line_is_full: bool = False,
    table: LedgerTable | None = None,
) -> tuple[Dispatcher, FakeWorkflow, FakeQueue]:
    workflow, queue = FakeWorkflow(answer=answer), FakeQueue(answers=sqs_answers)
    used_just_now = PaceItem(attributes={"freeFrom": round(time.time() * 1000) - 1000})
    pace = FakePace(ask=lambda: account, item=used_just_now, full=line_is_full)
    table = table or FakeTable("tracking")
    return Dispatcher(workflow=workflow, queue=queue, pace=pace, table=table), workflow, queue


def test_a_message_that_waits_stays_on_the_queue_and_the_others_leave() -> None:
    throttled, _, queue = dispatcher(failed("Deferred", "SendThrottled"))
    messages = [sqs_record(message_id="a"), sqs_record(message_id="b", receives=LAST)]
    assert throttled.run_batch(messages) == ["a"]
    assert queue.postponed == {"a": limits.retry_delay(1)}
    assert queue.dead_letters == [("{}", "SendThrottled", "arn")]


@pytest.mark.parametrize(
    ("reason", "by_ses"),
    [
        *((reason, True) for reason in ("SendThrottled", "QuotaExceeded", "SendingPaused")),
        *((reason, False) for reason in ("SenderNotReady", "LedgerUnavailable")),
    ],
)
def test_the_pace_is_told_that_ses_does_not_send_for_now(reason: str, *, by_ses: bool) -> None:
    put_off, _, _ = dispatcher(failed("Deferred", reason))
    put_off.run_batch([sqs_record()])
    assert put_off.pace._refused is by_ses


@pytest.mark.parametrize("sqs_answers", [True, False])
@pytest.mark.parametrize(
    "answer", [failed("GaveUp", "UnexpectedError"), failed("States.Runtime"), TIMED_OUT]
)
def test_an_order_is_counted_as_given_up_once_its_dead_letter_is_put(
    answer: OrderExecution, capsys: pytest.CaptureFixture[str], *, sqs_answers: bool
) -> None:
    failing, _, _ = dispatcher(answer, sqs_answers=sqs_answers)
    given_up = [sqs_record(message_id=each, receives=LAST) for each in "ab"]
    assert failing.run_batch(given_up) == ([] if sqs_answers else ["a", "b"])
    if metrics.metric_set:
        metrics.flush_metrics()
    counts = '"EmailFailed":[1.0,1.0]' in capsys.readouterr().out
    assert counts is sqs_answers, "without its letter it comes back, and is counted then"


def execution_input(message: str, *, attempt: int = 1) -> dict[str, object]:
    """Return what the order workflow starts with."""
    return {
        "message": message,
        "publishedAt": int(PUBLISHED),
        "attempt": attempt,
        "lastReceive": False,
    }


def test_a_message_that_is_just_small_enough_reaches_the_first_task() -> None:
    working, workflow, _ = dispatcher(succeeded())
    envelope = len(json.dumps(execution_input("")))
    body = "x" * (limits.MESSAGE_MAX_BYTES - envelope)
    assert working.run_batch([sqs_record(body)]) == []
    assert len(workflow.started) == 1
    arn = f"arn:aws:states:ap-southeast-1:123456789012:express:{'m' * 80}:{'e' * 80}:{'u' * 73}"
    state = execution_input(body)
    task = {"execution": arn, "state": state, "outcome": "REJECTED"}
    assert len(json.dumps(task)) <= limits.STATE_MAX_BYTES


@pytest.mark.parametrize("end", ["GaveUp", "Failed"])
def test_a_message_stays_on_the_queue_while_sqs_does_not_answer(end: str) -> None:
    without_sqs, _, _ = dispatcher(failed(end, "UnexpectedError"), sqs_answers=False)
    assert without_sqs.run_batch([sqs_record(message_id="a")]) == ["a"]


def test_an_execution_without_an_answer_is_tried_again() -> None:
    without_workflow, _, queue = dispatcher(errors.WorkflowUnavailable("x"))
    assert without_workflow.run_batch([sqs_record(message_id="a", receives=LAST - 1)]) == ["a"]
    assert queue.postponed == {"a": limits.RETRY_DELAY_MAX}
    assert without_workflow.run_batch([sqs_record(message_id="a", receives=LAST)]) == []
    assert queue.dead_letters == [("{}", "WorkflowUnavailable", "")]


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


def test_a_message_that_cannot_wait_any_more_is_run_so_that_giving_it_up_is_recorded() -> None:
    paused = SendingAccount(rate=14, quota_left=100, enabled=False)
    gives_up = failed("GaveUp", "SendingPaused")
    stopped, workflow, queue = dispatcher(gives_up, account=paused)
    messages = [sqs_record(message_id="a", receives=LAST), sqs_record(message_id="b")]
    assert stopped.run_batch(messages) == ["b"]
    assert [request["lastReceive"] for request in workflow.requests] == [True]
    assert queue.dead_letters == [("{}", "SendingPaused", "arn")]


def test_a_message_waits_on_the_queue_while_the_send_rate_is_not_known() -> None:
    unknown, workflow, queue = dispatcher(succeeded())

    def account(mails: int) -> SendingAccount:  # noqa: ARG001
        raise errors.SesUnavailable("as asked")

    unknown.pace.account = account  # type: ignore[method-assign]
    assert unknown.run_batch([sqs_record(message_id="a")]) == ["a"]
    assert workflow.started == []
    assert queue.postponed == {"a": limits.retry_delay(1)}


def test_a_message_waits_on_the_queue_while_all_sending_slots_are_taken() -> None:
    overloaded, workflow, _ = dispatcher(succeeded(), line_is_full=True)
    assert overloaded.run_batch([sqs_record(message_id="a")]) == ["a"]
    assert workflow.started == []


YOUNG = limits.ATTACHMENT_RETRIES_FOR


@pytest.mark.parametrize(
    ("body", "age", "receives", "delay"),
    [
        ('{"attachments": [1]}', 0, 13, limits.ATTACHMENT_RETRY_MAX),
        ('{"attachments": [1]}', YOUNG - 1, 13, limits.ATTACHMENT_RETRY_MAX),
        ('{"attachments": [1]}', YOUNG, 13, limits.RETRY_DELAY_MAX),
        ('{"attachments": [1]}', 0, 2, limits.retry_delay(2)),
        ("{}", 0, 13, limits.RETRY_DELAY_MAX),
    ],
)
@pytest.mark.parametrize("full", [True, False])
def test_that_a_mail_waited_for_its_invoice_makes_it_wait_no_longer_for_other_things(
    body: str, age: int, receives: int, delay: int, *, full: bool
) -> None:
    throttled = failed("Deferred", "SendThrottled")
    waits, _, queue = dispatcher(throttled, line_is_full=full)
    waits = replace(waits, clock=lambda: PUBLISHED + age, sleep=lambda _: None)
    waits.run_batch([sqs_record(body, message_id="a", receives=receives, sent_at=PUBLISHED)])
    assert queue.postponed == {"a": delay}


def test_the_dispatcher_is_made_from_the_function_s_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = DispatchSettings(
        order_workflow="w",
        order_queue="q",
        dead_letter_queue="d",
        tracking_table="t",
        tracing_rate=Decimal("0.25"),
        dispatcher_concurrency=7,
    )
    set_environment(monkeypatch, settings)
    deployed = _dispatcher.__wrapped__()
    assert deployed.table.name == "t"
    assert (deployed.workflow.arn, deployed.queue.url) == ("w", "q")
    assert deployed.workflow.tracing_rate == 0.25
    assert deployed.queue.dead_letters_url == "d"
    assert (deployed.pace.table, deployed.pace.dispatchers) == ("t", 7)


def test_an_attempt_is_an_execution_that_failed_by_a_bug() -> None:
    table = FakeTable("tracking")
    for execution in (failed("Deferred", "SendThrottled"), failed("InDoubt"), TIMED_OUT):
        dispatcher(execution, table=table)[0].run_batch([sqs_record(receives=7)])
    for number in range(1, 4):
        failure = replace(failed("Failed", "UnexpectedError"), arn=f"execution-{number}")
        failing, workflow, _ = dispatcher(failure, table=table)
        failing.run_batch([sqs_record(receives=50 + number, sent_at=PUBLISHED)])
        assert workflow.requests == [execution_input("{}", attempt=number)]
    broken, workflow, _ = dispatcher(failed("States.Runtime"), table=table)
    broken.run_batch([sqs_record(receives=60), sqs_record(message_id="another", receives=60)])
    assert sorted(request["attempt"] for request in workflow.requests) == [1, 4]


def test_without_the_table_no_attempt_is_the_last() -> None:
    silent = FakeTable("tracking", answers=False)
    failing, workflow, _ = dispatcher(failed("Failed", "UnexpectedError"), table=silent)
    assert failing.run_batch([sqs_record(message_id="a", receives=9)]) == ["a"]
    assert workflow.requests[0]["attempt"] == 1


@dataclass(frozen=True, kw_only=True)
class Stumbles(FakeWorkflow):
    """Meets a bug of ours at one message."""

    def run(self, *, name: str, request: str) -> OrderExecution:
        if "poison" in request:
            raise KeyError("customer@example.com")
        return super().run(name=name, request=request)


def test_a_message_that_nothing_can_be_done_with_takes_no_other_down(
    capsys: pytest.CaptureFixture[str],
) -> None:
    working, _, queue = dispatcher(succeeded())
    stumbling = replace(working, workflow=Stumbles(answer=succeeded()))
    batch = [sqs_record("poison", message_id="bad"), sqs_record(message_id="good")]
    for receives in range(1, LAST_OF_A_BUG):
        batch[0]["attributes"]["ApproximateReceiveCount"] = str(receives)
        assert stumbling.run_batch(batch) == ["bad"]
    batch[0]["attributes"]["ApproximateReceiveCount"] = str(LAST_OF_A_BUG)
    assert stumbling.run_batch(batch) == []
    assert queue.dead_letters == [("poison", "UnexpectedError", "")]
    metrics.clear_metrics()
    assert "customer@example.com" not in capsys.readouterr().out


class Breaks(FakeTable):
    """Meets a bug of ours at one message's attempts."""

    def read(
        self, notification_id: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> rules.Record:
        if notification_id == rules.attempts_id("bad"):
            raise KeyError("customer@example.com")
        return super().read(notification_id, attributes, consistent=consistent)


@pytest.mark.parametrize("account", [SENDS, replace(SENDS, enabled=False)])
def test_what_cannot_even_be_looked_at_comes_back_alone(
    account: SendingAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    working, _, _ = dispatcher(succeeded(), account=account, table=Breaks("tracking"))
    nameless = sqs_record(message_id="nameless")
    nameless["attributes"] = {}
    bad = sqs_record(message_id="bad", receives=LAST)
    good = sqs_record(message_id="good", receives=LAST)
    assert working.run_batch([nameless, bad, good]) == ["nameless", "bad"]
    metrics.clear_metrics()
    assert "customer@example.com" not in capsys.readouterr().out


@pytest.mark.parametrize("order_id", ["\ud800", "x\udfffy"])
def test_half_a_character_in_an_order_id_reaches_the_workflow_like_any_other(order_id: str) -> None:
    working, workflow, _ = dispatcher(succeeded())
    assert working.run_batch([sqs_record(json.dumps({"orderId": order_id}))]) == []
    assert len(workflow.started) == 1


# --- exactly what is asked, waited for and counted ------------------------------------------------

STOPPED = SendingAccount(rate=14, quota_left=100, enabled=False)


@pytest.mark.parametrize(
    ("order_id", "shown"),
    [
        ("john@example.com", hashlib.sha256(b"john@example.com").hexdigest()[:16]),
        ("Größe", hashlib.sha256("Größe".encode()).hexdigest()[:16]),
        ("\ud800", hashlib.sha256(rb"\ud800").hexdigest()[:16]),
    ],
)
def test_an_order_id_that_may_be_personal_is_hashed(order_id: str, shown: str) -> None:
    name = execution_name(json.dumps({"orderId": order_id}), "0123456789", 3)
    assert name == f"{shown}-01234567-3"


def test_an_execution_gets_the_message_as_it_came() -> None:
    texts: list[tuple[str, str]] = []

    @dataclass(frozen=True, kw_only=True)
    class Listens(FakeWorkflow):
        def run(self, *, name: str, request: str) -> OrderExecution:
            texts.append((name, request))
            return super().run(name=name, request=request)

    working = replace(dispatcher(succeeded())[0], workflow=Listens(answer=succeeded()))
    for order_id, receives in (("Ä", 3), ("A", LAST)):
        body = f'{{"orderId":"{order_id}"}}'
        record = sqs_record(body, message_id="0123456789", receives=receives, sent_at=PUBLISHED)
        working.run_batch([record])
    shown = hashlib.sha256("Ä".encode()).hexdigest()[:16]
    of_message = f'"publishedAt": {int(PUBLISHED)}, "attempt": 1'
    assert texts == [
        (
            f"{shown}-01234567-3",
            rf'{{"message": "{{\"orderId\":\"Ä\"}}", {of_message}, "lastReceive": false}}',
        ),
        (
            f"A-01234567-{LAST}",
            rf'{{"message": "{{\"orderId\":\"A\"}}", {of_message}, "lastReceive": true}}',
        ),
    ]


@pytest.mark.parametrize("character", ["x", "é", "\ud800"])
def test_a_message_is_too_large_from_the_first_byte_beyond_the_limit(character: str) -> None:
    envelope = len(json.dumps(execution_input("")))
    size = len(character.encode("utf-8", "backslashreplace"))
    rest = limits.MESSAGE_MAX_BYTES - envelope - 3 * size
    for padding, started in ((rest, 1), (rest + 1, 0)):
        working, workflow, queue = dispatcher(succeeded())
        assert working.run_batch([sqs_record(3 * character + padding * "x")]) == []
        assert len(workflow.started) == started
        assert len(queue.dead_letters) == 1 - started


@pytest.mark.parametrize(
    ("account", "full", "reason"),
    [
        (STOPPED, False, "SendingPaused"),
        (SendingAccount(rate=14, quota_left=0, enabled=True), False, "QuotaExceeded"),
        (SENDS, True, "Paced"),
    ],
)
def test_what_is_put_off_has_its_reason(
    account: SendingAccount, reason: str, *, full: bool
) -> None:
    stopped, _, _ = dispatcher(succeeded(), account=account, line_is_full=full)
    records = [sqs_record(receives=3), sqs_record()]
    assert stopped._dispositions(records) == [later(3, reason), later(1, reason)]


def test_what_no_execution_could_be_started_for_has_its_reason() -> None:
    without_workflow, _, _ = dispatcher(errors.WorkflowUnavailable("x"))
    assert without_workflow._dispositions([sqs_record()]) == [later(1, "WorkflowUnavailable")]
    broken, _, _ = dispatcher(KeyError("x"))
    assert broken._dispositions([sqs_record(receives=2)]) == [later(2, "UnexpectedError")]
    assert broken._dispositions([sqs_record(receives=LAST)]) == [DeadLetter("UnexpectedError")]
    unknown, _, _ = dispatcher(succeeded())

    def account(mails: int) -> SendingAccount:  # noqa: ARG001
        raise errors.SesUnavailable("as asked")

    unknown.pace.account = account  # type: ignore[method-assign]
    assert unknown._dispositions([sqs_record()]) == [later(1, "SesUnavailable")]


def test_the_last_mail_of_the_quota_is_sent() -> None:
    last = SendingAccount(rate=14, quota_left=1, enabled=True)
    working, workflow, _ = dispatcher(succeeded(), account=last)
    assert working.run_batch([sqs_record()]) == []
    assert len(workflow.started) == 1


@pytest.mark.parametrize(
    ("answer", "account", "counted"),
    [
        (succeeded(), SENDS, {}),
        (succeeded(), STOPPED, {"EmailSent": [0.0]}),
        (failed("Deferred", "SendThrottled"), SENDS, {"EmailSent": [0.0]}),
        # Nothing is wrong with the sending of mails where one waits for its invoice.
        (failed("Deferred", "AttachmentUnavailable"), SENDS, {}),
        (failed("Deferred", "AttachmentsLinked"), SENDS, {}),
        (succeeded(claim={"result": "IN_PROGRESS", "retryAfter": 1}), SENDS, {}),
    ],
)
def test_a_period_with_orders_and_no_mail_has_the_value_zero(
    answer: OrderExecution, account: SendingAccount, counted: dict[str, list[float]]
) -> None:
    dispatcher(answer, account=account)[0].run_batch([sqs_record()])
    assert {name: metric["Value"] for name, metric in metrics.metric_set.items()} == counted


SIMULATED = json.dumps({"customerEmail": "success+canary-1@simulator.amazonses.com"})


@pytest.mark.parametrize("account", [SENDS, STOPPED])
def test_a_mail_to_the_simulator_that_waits_makes_no_period_without_mail(
    account: SendingAccount,
) -> None:
    waits = failed("Deferred", "SendThrottled")
    assert dispatcher(waits, account=account)[0].run_batch([sqs_record(SIMULATED)]) != []
    assert metrics.metric_set == {}
    dispatcher(waits, account=account)[0].run_batch([sqs_record(SIMULATED), sqs_record()])
    assert {name: metric["Value"] for name, metric in metrics.metric_set.items()} == {
        "EmailSent": [0.0]
    }


@pytest.mark.parametrize(("body", "counted"), [(SIMULATED, {}), ("{}", {"EmailFailed": [1.0]})])
def test_a_mail_to_the_simulator_that_is_given_up_is_not_counted(
    body: str, counted: dict[str, list[float]]
) -> None:
    failing, _, queue = dispatcher(failed("States.Runtime"))
    assert failing.run_batch([sqs_record(body, receives=LAST)]) == []
    assert len(queue.dead_letters) == 1
    assert {name: metric["Value"] for name, metric in metrics.metric_set.items()} == counted


def test_each_message_waits_for_its_own_slot() -> None:
    clock = Clock()
    naps: list[float] = []
    working, _, _ = dispatcher(succeeded())
    slots = [clock.now - 7, clock.now, clock.now + 2.5]
    working.pace.reserve = lambda mails, rate: slots[:mails] if rate == SENDS.rate else None  # type: ignore[method-assign]
    patient = replace(
        working,
        clock=clock,
        sleep=naps.append,
        each=lambda run, *arguments: list(map(run, *arguments)),
    )
    assert patient.run_batch([sqs_record(), sqs_record(), sqs_record()]) == []
    assert naps == [0, 0, 2.5]


def test_an_attempt_that_failed_is_written_under_its_execution() -> None:
    table = Writes("tracking")
    working, _, _ = dispatcher(failed("States.Runtime"), table=table)
    stumbling, _, _ = dispatcher(KeyError("x"), table=table)
    clock = Clock()
    for each in (working, stumbling):
        replace(each, clock=clock).run_batch([sqs_record(message_id="a", receives=2)])
    assert table.requests == [
        rules.attempted(message_id="a", execution=execution, now=clock.now)
        for execution in ("arn", "dispatcher-2")
    ]


@dataclass(frozen=True)
class Writes(FakeTable):
    """Keeps what it is asked to write."""

    requests: list[rules.Put | rules.Update] = field(default_factory=list)

    def write(self, request: rules.Put | rules.Update) -> rules.Record | None:
        self.requests.append(request)
        return super().write(request)


@pytest.mark.parametrize(("receives", "attempt"), [(1, 1), (2, 4)])
def test_a_message_that_comes_for_the_first_time_has_no_attempts_to_look_up(
    receives: int, attempt: int
) -> None:
    table = FakeTable("tracking", executions={"attempts-a": {"1", "2", "3"}})
    working, workflow, _ = dispatcher(succeeded(), table=table)
    working.run_batch([sqs_record(message_id="a", receives=receives)])
    assert workflow.requests[0]["attempt"] == attempt


def test_an_execution_that_broke_too_often_makes_a_dead_letter() -> None:
    table = FakeTable("tracking", executions={"attempts-a": {"1", "2", "3"}})
    for number, stays in ((4, ["a"]), (5, [])):
        breaks, _, _ = dispatcher(replace(failed("States.Runtime"), arn=str(number)), table=table)
        assert breaks.run_batch([sqs_record(message_id="a", receives=9)]) == stays


def test_a_message_stays_where_nothing_is_known_of_its_dead_letter() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Confused(FakeQueue):
        def dead_letter(self, body: str, *, reason: str, execution: str) -> None:
            raise KeyError(body, reason, execution)

    giving_up, _, _ = dispatcher(failed("GaveUp", "SendingPaused"))
    confused = replace(giving_up, queue=Confused())
    assert confused.run_batch([sqs_record(message_id="a")]) == ["a"]


def test_the_function_answers_with_the_messages_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, _, _ = dispatcher(failed("Deferred", "SendThrottled"))
    monkeypatch.setattr(dispatch, "_dispatcher", lambda: waits)
    batch: SqsEvent = {"Records": [sqs_record(message_id="a"), sqs_record(message_id="b")]}
    assert dispatch.handler(batch, lambda_context()) == {
        "batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]
    }


def test_what_is_done_with_a_message_is_logged_under_its_id_and_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[tuple[object, ...]] = []

    def log(text: str, **keys: object) -> None:
        logged.append((text, keys["message_id"], keys.get("order_id")))

    for level in ("info", "warning", "error"):
        monkeypatch.setattr(logger, level, log)
    for answer, answers, order_id in (
        (failed("Deferred", "SendThrottled"), True, "A.1"),
        (failed("GaveUp", "SendingPaused"), True, "jo@example.com"),
        (failed("Deferred", "SendThrottled"), False, ""),
    ):
        body = json.dumps({"orderId": order_id})
        record = sqs_record(body, message_id="a")
        dispatcher(answer, sqs_answers=answers)[0].run_batch([record])
    assert logged == [
        ("later", "a", "A.1"),
        ("dead letter", "a", hashlib.sha256(b"jo@example.com").hexdigest()[:16]),
        ("later", "a", "malformed"),
        ("message stays on the queue", "a", None),
    ]
