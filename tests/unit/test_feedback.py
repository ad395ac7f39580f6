"""What SES reports becomes a status, whatever the order and however often it is repeated."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from steps import feedback
from steps.aws.late_notice import LateNotice
from steps.aws.ledger_table import LedgerTable
from steps.contract import errors, handler, limits
from steps.ledger import rules, ses_events
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import TABLE, claimed_record
from tests.support.lambda_context import lambda_context
from tests.support.order_queue import sqs_record
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.ses_events import (
    AUTOMATIC_REPLY,
    BOUNCE,
    COMPLAINT,
    DELAY,
    DELIVERY,
    EVERY_KIND,
    MAILBOX_FULL,
    MESSAGE_ID,
    REJECT,
    SEND,
    ses_event,
)
from tests.support.table_in_memory import MEMORY, TableInMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steps.contract.sqs_event import SqsEvent

pytestmark = pytest.mark.usefixtures("ledger_in_memory")


def put_record(**changes: object) -> None:
    MEMORY.put(claimed_record(**changes))


def counted_metrics(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return sorted(
        metric["Name"]
        for line in lines
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    )


def handle(*messages: str, message_id: str = "", receives: int = 1) -> list[str]:
    """Hand a batch over; return those of its messages that stay on the queue."""
    batch = [
        sqs_record(message, message_id=message_id or str(uuid.uuid4()), receives=receives)
        for message in messages
    ]
    answer = feedback.handler({"Records": batch}, lambda_context("a request"))
    staying = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    return [messages[n] for n, record in enumerate(batch) if record["messageId"] in staying]


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return the dead letters that are put, each with its reason."""
    put: list[tuple[str, str]] = []

    def put_dead_letter(url: str, body: str, *, reason: str) -> None:
        assert url.endswith("/dead-letters")
        put.append((body, reason))

    monkeypatch.setattr(feedback, "put_dead_letter", put_dead_letter)
    return put


def test_each_distinct_event_is_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    for message in (DELIVERY, SEND, DELIVERY, BOUNCE, BOUNCE, DELIVERY):
        handle(message)
    (item,) = MEMORY.records()
    assert item["status"] == "BOUNCED"
    assert item["reason"] == "Permanent/General"
    assert {identity.partition("#")[0] for identity in item["events"]} == {
        "Delivery|2026-11-24T08:00:01.000Z",
        "Bounce|Permanent/General|2026-11-24T08:00:00.000Z",
    }
    assert counted_metrics(capsys) == ["EmailBounced", "EmailDelivered"]


def test_the_order_of_the_events_makes_no_difference_to_the_record() -> None:
    rotations = [EVERY_KIND[first:] + EVERY_KIND[:first] for first in range(len(EVERY_KIND))]
    for events in [*rotations, *(list(reversed(rotation)) for rotation in rotations)]:
        put_record(status="SENDING", sendingAt=1)
        handle(*events)
        (item,) = MEMORY.records()
        assert (item["status"], item["reason"]) == ("COMPLAINED", "abuse")
        assert item["messageId"] == "message-1"


def test_an_event_settles_a_mail_in_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    put_record(status="SENDING", sendingAt=1)
    handle(SEND)
    (item,) = MEMORY.records()
    assert (item["status"], item["messageId"]) == ("SENT", "message-1")
    assert item["timestamp"] == "2026-11-24T07:59:58Z"
    assert counted_metrics(capsys) == ["EmailSent"]
    late = rules.sent(
        notification_id=NOTIFICATION_ID,
        owner="me",
        handover_id="call-1",
        message_id=MESSAGE_ID,
        sent_at="later",
    )
    assert TABLE.write(late) is not None


def test_a_send_event_of_a_recorded_mail_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    monkeypatch.setattr(LedgerTable, "write", lambda *_: pytest.fail("a write"))
    handle(SEND)


def test_an_event_without_a_record_is_tried_again() -> None:
    assert handle(DELIVERY) == [DELIVERY]
    assert MEMORY.records() == []
    put_record(status="SENT", messageId=MESSAGE_ID)
    assert handle(DELIVERY, receives=2) == []
    assert MEMORY.records()[0]["status"] == "DELIVERED"


@pytest.mark.parametrize(
    "event",
    [
        ses_event("Delivery", configuration_set="of-somebody-else"),
        ses_event("Delivery", notification_id="of-somebody-else"),
        json.dumps({"eventType": "Send", "mail": json.loads(SEND)["mail"] | {"tags": None}}),
    ],
)
def test_what_ses_says_of_somebody_else_s_mail_is_left_alone(
    event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put_record(status="SENDING", sendingAt=1)
    before = MEMORY.records()
    handle(event)
    assert MEMORY.records() == before
    assert counted_metrics(capsys) == []


HANDED_OVER: list[dict[str, Any]] = [
    {"status": "SENDING", "sendingAt": 1},
    {"status": "FAILED", "sendingAt": 1},
    {"status": "REJECTED", "reason": "InvalidEvent", "sendingAt": 1},
    {"status": "CLAIMED", "resends": 1},
    {"status": "FAILED", "resends": 1},
    {"status": "SENT", "sendingAt": 1, "messageId": MESSAGE_ID},
    {"status": "SENT", "sendingAt": 1, "messageId": "another", "resends": 1},
    {"status": "CLAIMED", "resends": 2, "superseded": {"another"}},
]
NOT_HANDED_OVER: list[dict[str, Any]] = [
    {"status": "CLAIMED"},
    {"status": "FAILED"},
    {"status": "REJECTED", "reason": "SendRejected"},
    {"status": "CLAIMED", "resends": 1, "superseded": {"another"}},
    {"status": "SENT", "sendingAt": 1, "messageId": "another"},
    {
        "status": "SENT",
        "sendingAt": 1,
        "messageId": "another",
        "resends": 1,
        "secondMessageIds": {"a second"},
    },
]


@pytest.mark.parametrize("changes", HANDED_OVER)
@pytest.mark.parametrize("event", [SEND, DELIVERY, BOUNCE, COMPLAINT, REJECT])
def test_an_event_of_a_mail_that_ses_may_have_is_folded_in(
    changes: dict[str, Any], event: str
) -> None:
    put_record(**changes)
    handle(event)
    assert rules.is_settled(MEMORY.records()[0])


@pytest.mark.parametrize("changes", NOT_HANDED_OVER)
@pytest.mark.parametrize("event", [SEND, DELIVERY, BOUNCE, COMPLAINT, REJECT])
def test_an_event_of_a_mail_that_ses_cannot_have_changes_nothing(
    changes: dict[str, Any], event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put_record(**changes)
    before = MEMORY.records()
    assert handle(event) == [event]
    assert MEMORY.records() == before
    assert counted_metrics(capsys) == []


@pytest.mark.parametrize("box", ["success", "bounce", "complaint+label", "ooto", "suppressionlist"])
def test_mails_to_the_simulator_count_nowhere_and_are_recorded_all_the_same(
    box: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put_record(status="SENDING", sendingAt=1, customerEmail=f"{box}@simulator.amazonses.com")
    handle(SEND, DELIVERY, BOUNCE, REJECT, COMPLAINT)
    assert MEMORY.records()[0]["status"] == "COMPLAINED"
    assert counted_metrics(capsys) == []


def test_the_usual_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    put_record(status="SENT", sendingAt=1, messageId=MESSAGE_ID)
    handle(SEND, DELIVERY, DELAY, BOUNCE, COMPLAINT)
    reported = [vars(line)["event"] for line in caplog.records if line.message == "reported"]
    assert reported == ["DeliveryDelay", "Bounce", "Complaint"]


def forged(number: int) -> str:
    """Return one more event of a mail, larger than any of SES's."""
    words = f"{number}" + "x" * 300
    return ses_event("DeliveryDelay", moment=f"2026-11-24T08:00:00.{number:03}Z", delayType=words)


def test_a_record_holds_so_many_events_and_no_more_and_their_outcome_is_true(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rules.MAX_EVENTS == 30
    put_record(status="SENT", sendingAt=1, messageId=MESSAGE_ID)
    handle(*(forged(number) for number in range(3 * rules.MAX_EVENTS)))
    (item,) = MEMORY.records()
    assert len(item["events"]) == rules.MAX_EVENTS
    late = ses_event("Delivery", moment="2026-11-24T07:59:59.000Z")
    for event in (DELIVERY, late, BOUNCE, DELIVERY, BOUNCE, COMPLAINT, forged(0), forged(99)):
        handle(event)
    (item,) = MEMORY.records()
    assert (item["status"], item["reason"]) == ("COMPLAINED", "abuse")
    assert len(item["events"]) == rules.MAX_EVENTS + 4
    assert sum(len(event.encode()) for event in item["events"]) < 10_000
    assert counted_metrics(capsys) == [
        *("EmailBounced", "EmailComplaint", "EmailDelivered", "EmailDelivered")
    ]


@pytest.mark.parametrize("order", list(permutations([DELIVERY, BOUNCE, COMPLAINT])))
def test_what_a_full_record_hears_is_counted_whatever_the_order(
    order: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    events = {f"DeliveryDelay|{number}|x#y" for number in range(rules.MAX_EVENTS)}
    put_record(status="DELAYED", sendingAt=1, messageId=MESSAGE_ID, events=events)
    handle(*order)
    assert counted_metrics(capsys) == ["EmailBounced", "EmailComplaint", "EmailDelivered"]
    kind = {"bounceType": "Permanent", "bounceSubType": "General"}
    moments = (f"2026-11-24T09:00:00.{number:03}Z" for number in range(90))
    bounces = (ses_event("Bounce", moment=moment, **kind) for moment in moments)
    handle(*bounces)
    (item,) = MEMORY.records()
    assert len(item["events"]) <= rules.MAX_EVENTS + rules.ROOM_FOR_COUNTED


def test_a_full_record_still_tells_of_a_second_mail() -> None:
    events = {f"DeliveryDelay|{number}|x#y" for number in range(rules.MAX_EVENTS)}
    put_record(status="DELAYED", sendingAt=1, messageId="another", resends=1, events=events)
    handle(SEND)
    (item,) = MEMORY.records()
    assert item["secondMessageIds"] == {MESSAGE_ID}
    handle(SEND)
    assert MEMORY.records() == [item]


class Watched(dict[str, Any]):
    """A record that remembers what it was asked for."""

    def __init__(self, record: rules.Record) -> None:
        super().__init__(record)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


@pytest.mark.parametrize("record_status", ["SENDING", "SENT", "DELAYED", "FAILED", "DELIVERED"])
def test_what_is_read_of_a_record_is_what_the_rules_ask_for(
    record_status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attribute that a rule asks for and that is not read would count as absent."""
    sent = {} if record_status in ("SENDING", "FAILED") else {"messageId": MESSAGE_ID}
    records: list[Watched] = []

    def read(
        _table: LedgerTable, key: str, attributes: Sequence[str], *, consistent: bool
    ) -> rules.Record:
        del consistent
        records.append(Watched(MEMORY.read(key, attributes)))
        return records[-1]

    monkeypatch.setattr(LedgerTable, "read", read)
    for event in EVERY_KIND:
        put_record(status=record_status, sendingAt=int(NOW), resends=1, **sent)
        handle(event)
        handle(event)
    asked = set().union(*(record.asked for record in records))
    assert asked <= set(rules.FOLDED)
    assert {"status", "events", "owner", "customerEmail"} <= asked


def test_a_record_that_changes_meanwhile_is_folded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    read = LedgerTable.read
    other_events = [COMPLAINT]

    def read_then_change(
        table: LedgerTable, notification_id: str, attributes: Sequence[str], *, consistent: bool
    ) -> rules.Record:
        item = read(table, notification_id, attributes, consistent=consistent)
        if other_events:
            handle(other_events.pop())
        return item

    monkeypatch.setattr(LedgerTable, "read", read_then_change)
    handle(DELIVERY)
    (item,) = MEMORY.records()
    assert item["status"] == "COMPLAINED"
    assert len(item["events"]) == 2


def test_a_record_that_changes_each_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    writes = []

    def too_late(_: LedgerTable, request: rules.Update) -> rules.Record:
        writes.append(request)
        return MEMORY.records()[0]

    monkeypatch.setattr(LedgerTable, "write", too_late)
    assert handle(DELIVERY) == [DELIVERY]
    assert len(writes) == limits.FOLD_ATTEMPTS


# --- what a record was a moment ago ---------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return of each read whether it was consistent. One that was not has the record of when this was made."""
    consistencies: list[bool] = []
    before = TableInMemory("tracking", items=dict(MEMORY.items))

    def read(
        _table: LedgerTable, key: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> rules.Record:
        consistencies.append(consistent)
        return (MEMORY if consistent else before).read(key, attributes)

    monkeypatch.setattr(LedgerTable, "read", read)
    return consistencies


def test_a_mail_s_first_two_events_are_folded_by_one_read_and_one_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    read, consistencies = LedgerTable.read, []

    def counted(*arguments: Any, consistent: bool) -> rules.Record:
        consistencies.append(consistent)
        return read(*arguments, consistent=consistent)

    monkeypatch.setattr(LedgerTable, "read", counted)
    sequence = MEMORY.records()[0]["sequence"]
    assert handle(SEND, DELIVERY) == []
    (item,) = MEMORY.records()
    assert (item["status"], item["sequence"] - sequence) == ("DELIVERED", 1)
    assert consistencies == [False]
    # What one batch has read is nothing to the next.
    handle(SEND)
    assert consistencies == [False] * 2


@pytest.mark.parametrize(
    ("then", "now", "status"),
    [
        # The write is conditional on what was read.
        ({"status": "SENDING", "sendingAt": 1}, {"status": "SENT"}, "DELIVERED"),
        ({"status": "SENT", "messageId": MESSAGE_ID}, {"status": "BOUNCED"}, "BOUNCED"),
        # SES was not called yet.
        ({"status": "CLAIMED"}, {"status": "SENDING", "sendingAt": 1}, "DELIVERED"),
        # Another mail was sent before, and the record was made anew since.
        ({"status": "UNDELIVERED", "messageId": "x"}, {"status": "SENT"}, "DELIVERED"),
        ({"status": "SENT", "messageId": "x", "resends": 1}, {"status": "SENT"}, "DELIVERED"),
    ],
)
def test_what_a_record_was_a_moment_ago_decides_nothing(
    then: dict[str, Any], now: dict[str, Any], status: str, request: pytest.FixtureRequest
) -> None:
    put_record(**then)
    reads: list[bool] = request.getfixturevalue("reads")
    put_record(**({"messageId": MESSAGE_ID} if now["status"] != "SENDING" else {}), **now)
    assert handle(DELIVERY) == []
    (item,) = MEMORY.records()
    assert item["status"] == status
    assert "secondMessageIds" not in item
    assert reads == [False, True]


def test_a_record_that_seems_missing_is_looked_for_once_more(reads: list[bool]) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    assert handle(DELIVERY) == []
    assert reads == [False, True]


def test_the_log_tells_whose_mail_it_is_where_the_send_step_may_not_have(
    caplog: pytest.LogCaptureFixture,
) -> None:
    put_record(status="SENDING", sendingAt=1, resends=1)
    handle(SEND, ses_event("Delivery", message_id="another"))
    said = [vars(line) for line in caplog.records]
    named = [line["message"] for line in said if line.get("notification_id") == NOTIFICATION_ID]
    assert named == ["SES's answer was not recorded", "a second mail went out"]


def test_an_event_is_signed_with_eight_digits_of_its_message_s_id() -> None:
    put_record(status="SENDING", sendingAt=1)
    handle(SEND, message_id="01234567-89ab")
    (item,) = MEMORY.records()
    assert item["promotedBy"] == "01234567"
    assert item["events"] == {"Send|2026-11-24T07:59:58.000Z#01234567"}


def test_a_transient_bounce_ends_a_mail_and_an_automatic_reply_proves_that_it_arrived() -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    handle(DELAY)
    (item,) = MEMORY.records()
    assert (item["status"], item["reason"], item["overdue"]) == (
        "DELAYED",
        "MailboxFull",
        "DELAYED",
    )
    limit = datetime(2026, 11, 24, 21, 59, 58, tzinfo=UTC).timestamp()
    assert item["overdueAt"] == limit + rules.OVERDUE_GRACE
    handle(MAILBOX_FULL)
    (item,) = MEMORY.records()
    assert (item["status"], item["reason"]) == ("UNDELIVERED", "Transient/MailboxFull")
    assert not item.keys() & {"overdue", "overdueAt"}
    handle(AUTOMATIC_REPLY)
    (item,) = MEMORY.records()
    assert (item["status"], item.get("reason")) == ("DELIVERED", None)
    handle(DELAY, MAILBOX_FULL)
    assert MEMORY.records()[0]["status"] == "DELIVERED"


def test_the_order_of_the_events_makes_no_difference_to_the_reason() -> None:
    later = ses_event("DeliveryDelay", moment="2026-11-24T09:00:00.000Z", delayType="SpamDetected")
    for events in permutations([SEND, DELAY, later]):
        put_record(status="SENDING", sendingAt=1)
        handle(*events)
        (item,) = MEMORY.records()
        assert (item["status"], item["reason"]) == ("DELAYED", "SpamDetected")
    handle(DELIVERY)
    assert "reason" not in MEMORY.records()[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "FAILED", "reason": "SendOutcomeUnknown", "sendingAt": 1},
        {"status": "REJECTED", "reason": "SendRejected", "resends": 1},
        {"status": "REJECTED", "reason": "InvalidEvent", "reasons": ["x"], "sendingAt": 1},
    ],
)
def test_what_was_refused_or_given_up_after_a_doubt_is_true_once_ses_has_spoken(
    changes: dict[str, Any],
) -> None:
    put_record(**changes)
    handle(DELIVERY)
    (item,) = MEMORY.records()
    assert item["status"] == "DELIVERED"
    assert not item.keys() & {"reason", "reasons"}


def test_what_ses_itself_rejected_stays_rejected() -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    handle(REJECT, DELIVERY)
    assert MEMORY.records()[0]["status"] == "REJECTED"


def test_an_event_of_another_mail_is_the_proof_of_a_second_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_record(status="SENT", messageId="another", sendingAt=1, resends=1)
    handle(SEND, SEND)
    (item,) = MEMORY.records()
    assert item["secondMessageIds"] == {MESSAGE_ID}
    assert item["messageId"] == "another"
    assert counted_metrics(capsys) == []
    handle(DELIVERY)
    assert MEMORY.records()[0]["status"] == "DELIVERED"
    assert counted_metrics(capsys) == ["EmailDelivered"]


def test_word_of_a_mail_that_ses_gave_up_on_is_no_word_of_the_next() -> None:
    put_record(status="UNDELIVERED", messageId=MESSAGE_ID, events={"Send|x"})
    verdict = rules.judge(MEMORY.records()[0], owner="again", started=int(NOW) + 1, now=NOW)
    assert isinstance(verdict, rules.TakeOver)
    assert not verdict.in_doubt
    assert TABLE.write(verdict.update) is None
    handle(SEND, MAILBOX_FULL, DELIVERY)
    (item,) = MEMORY.records()
    assert (item["status"], item["resends"]) == ("CLAIMED", 1)
    assert item["superseded"] == {MESSAGE_ID}
    assert "events" not in item


@pytest.mark.parametrize("event", [SEND, DELIVERY])
def test_what_a_message_wrote_and_was_not_told_of_is_counted_when_it_comes_back(
    event: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_record(status="SENDING", sendingAt=1)
    write = LedgerTable.write

    def write_then_fail(table: LedgerTable, request: rules.Put | rules.Update) -> None:
        write(table, request)
        monkeypatch.setattr(LedgerTable, "write", write)
        raise errors.LedgerUnavailable("the answer was lost")

    monkeypatch.setattr(LedgerTable, "write", write_then_fail)
    assert handle(event, message_id="a-message") == [event]
    assert counted_metrics(capsys) == []
    assert handle(event, message_id="a-message", receives=2) == []
    expected = ["EmailSent"] if event == SEND else ["EmailDelivered", "EmailSent"]
    assert counted_metrics(capsys) == expected
    handle(event, message_id="another-message")
    assert counted_metrics(capsys) == []


# --- a batch --------------------------------------------------------------------------------------


def broken_fold(monkeypatch: pytest.MonkeyPatch, *, at: str) -> None:
    """Let one event meet a bug, whose message quotes a customer."""
    parse = ses_events.parse

    def parse_or_break(message: str) -> ses_events.SesEvent | None:
        if message == at:
            raise ZeroDivisionError("customer@example.com")
        return parse(message)

    monkeypatch.setattr(ses_events, "parse", parse_or_break)


NO_EVENT = '{"eventType": "Bounce"}'
NOBODY_S = ses_event("Delivery", notification_id="0" * 40)


@pytest.mark.parametrize(
    ("event", "reason"),
    [(NO_EVENT, "InvalidSesEvent"), (NOBODY_S, "RecordNotFound"), (BOUNCE, "UnexpectedError")],
)
def test_an_event_at_fault_becomes_a_dead_letter_at_its_third_receive_and_holds_nobody_up(
    event: str,
    reason: str,
    letters: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken_fold(monkeypatch, at=BOUNCE)
    put_record(status="SENT", messageId=MESSAGE_ID)
    assert handle(event, DELIVERY, event) == [event, event]
    assert MEMORY.records()[0]["status"] == "DELIVERED"
    assert handle(event, receives=2) == [event]
    assert letters == []
    assert handle(event, COMPLAINT, receives=3) == []
    assert letters == [(event, reason)]
    assert MEMORY.records()[0]["status"] == "COMPLAINED"
    assert not any("customer@" in str(vars(line)) for line in caplog.records)


def test_an_event_at_fault_stays_on_the_queue_until_its_letter_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: str, **__: str) -> None:
        raise errors.QueueUnavailable("as asked")

    monkeypatch.setattr(feedback, "put_dead_letter", refuse)
    assert handle(NO_EVENT, receives=3) == [NO_EVENT]


@pytest.mark.parametrize("receives", [1, limits.SES_EVENTS_REDRIVE_RECEIVES])
def test_where_the_table_is_away_all_that_is_left_of_the_batch_waits_for_it(
    receives: int,
    letters: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    asked = []
    read = LedgerTable.read

    def read_once(
        table: LedgerTable, key: str, attributes: Sequence[str], *, consistent: bool
    ) -> rules.Record:
        asked.append(key)
        if len(asked) > 1:
            raise errors.LedgerUnavailable("as asked")
        return read(table, key, attributes, consistent=consistent)

    monkeypatch.setattr(LedgerTable, "read", read_once)
    assert handle(DELIVERY, BOUNCE, NO_EVENT, COMPLAINT, receives=receives) == [
        *(BOUNCE, NO_EVENT, COMPLAINT)
    ]
    assert len(asked) == 2
    assert letters == []
    assert counted_metrics(capsys) == ["EmailDelivered"]


def test_what_is_not_begun_in_time_is_left_for_another_time() -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    late = NOW + limits.FEEDBACK_BUDGET
    moments = iter([NOW, NOW, NOW, late, late])
    hasty = feedback.Feedback(
        table=TABLE,
        configuration_set="mails",
        dead_letter=lambda *_: pytest.fail("a letter"),
        late=LateNotice(name="", put=lambda _: pytest.fail("a notice"), clock=lambda: NOW),
        clock=lambda: next(moments),
    )
    batch = [sqs_record(event, message_id=event, sent_at=NOW) for event in (DELIVERY, BOUNCE)]
    assert hasty.take(batch) == [BOUNCE]
    assert MEMORY.records()[0]["status"] == "DELIVERED"


# --- what is late ---------------------------------------------------------------------------------

SINCE = {"sesEventsWaitSince": "2027-01-15T08:00:00Z"}


@pytest.fixture
def table_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> rules.Record:
        raise errors.LedgerUnavailable("as asked")

    monkeypatch.setattr(LedgerTable, "read", read)


def take(clock: Clock, late: LateNotice, **sent_at: float) -> list[str]:
    """Hand a batch of deliveries over, each sent so many seconds after `NOW`; return what stays."""
    function = feedback.Feedback(
        table=TABLE,
        configuration_set="mails",
        dead_letter=lambda *_: pytest.fail("a letter"),
        late=late,
        clock=clock,
    )
    return function.take(
        [
            sqs_record(DELIVERY, message_id=id_, sent_at=NOW + seconds)
            for id_, seconds in sent_at.items()
        ]
    )


@pytest.mark.usefixtures("table_away")
def test_the_operators_hear_once_an_hour_that_events_wait() -> None:
    notices: list[str] = []
    clock = Clock()
    late = LateNotice(name="sesEventsWaitSince", put=notices.append, clock=clock)
    given: list[int] = []
    for minutes in (0, 14.9, 15, 20, 74.9, 75, 100):
        clock.now = NOW + 60 * minutes
        assert take(clock, late, newer=0.9 * 60 * minutes, older=0) == ["newer", "older"]
        given.append(len(notices))
    assert given == [0, 0, 1, 1, 1, 2, 2]
    assert [json.loads(notice) for notice in notices] == [SINCE, SINCE]


@pytest.mark.usefixtures("table_away")
def test_a_notice_that_sqs_refuses_is_given_later_and_harms_nothing() -> None:
    answers = iter([errors.QueueUnavailable("as asked"), None])
    tried: list[str] = []
    clock = Clock(NOW + limits.LATE_NOTICE_AFTER)

    def put(notice: str) -> None:
        tried.append(notice)
        if error := next(answers):
            raise error

    late = LateNotice(name="sesEventsWaitSince", put=put, clock=clock)
    for _ in range(3):
        assert take(clock, late, a=0, b=0) == ["a", "b"]
    assert [json.loads(notice) for notice in tried] == [SINCE, SINCE]


def test_an_event_at_fault_that_waits_for_its_third_receive_is_late_like_any() -> None:
    notices: list[str] = []
    clock = Clock(NOW + limits.LATE_NOTICE_AFTER)
    late = LateNotice(name="sesEventsWaitSince", put=notices.append, clock=clock)
    assert take(clock, late, of_no_record=0) == ["of_no_record"]
    assert len(notices) == 1


def test_what_is_folded_in_is_not_late() -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    clock = Clock(NOW + limits.LATE_NOTICE_AFTER)
    late = LateNotice(name="", put=lambda _: pytest.fail("a notice"), clock=clock)
    assert take(clock, late, folded=0) == []


@pytest.mark.usefixtures("table_away")
def test_the_function_remembers_its_notice_which_has_a_reason(
    letters: list[tuple[str, str]],
) -> None:
    feedback._feedback.cache_clear()
    batch: SqsEvent = {"Records": [sqs_record(DELIVERY, message_id="a", sent_at=0)]}
    for _ in range(2):
        answer = feedback.handler(batch, lambda_context())
        assert answer == {"batchItemFailures": [{"itemIdentifier": "a"}]}
    assert letters == [('{"sesEventsWaitSince": "1970-01-01T00:00:00Z"}', "LedgerUnavailable")]


def test_a_line_of_the_log_names_its_own_mail_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    keys: dict[str, str] = {}
    logged: list[str | None] = []
    monkeypatch.setattr(handler.logger, "append_keys", lambda **some: keys.update(some))
    monkeypatch.setattr(
        handler.logger, "remove_keys", lambda names: [keys.pop(name, None) for name in names]
    )
    for level in ("info", "warning"):
        monkeypatch.setattr(
            handler.logger, level, lambda *_, **__: logged.append(keys.get("message_id"))
        )
    handle(BOUNCE, NO_EVENT)
    assert logged == [MESSAGE_ID, None]


def test_a_batch_of_which_nothing_was_counted_is_counted_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    batch: SqsEvent = {
        "Records": [sqs_record(event, message_id=event) for event in (DELIVERY, COMPLAINT)]
    }
    with monkeypatch.context() as patch:
        patch.setattr(handler.metrics, "flush_metrics", handler.metrics.clear_metrics)
        feedback.handler(batch, lambda_context("died at its end"))
    assert counted_metrics(capsys) == []
    feedback.handler(batch, lambda_context("comes again"))
    assert counted_metrics(capsys) == ["EmailComplaint", "EmailDelivered"]


def test_what_the_old_subscription_still_brings_is_folded_in_and_left_to_lambda_s_retries() -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)

    def call(message: str) -> object:
        event: Any = {"Records": [{"Sns": {"Message": message}}]}
        return feedback.handler(event, lambda_context("01234567-89ab"))

    assert call(DELIVERY) == {"batchItemFailures": []}
    assert "#01234567" in min(MEMORY.records()[0]["events"])
    with pytest.raises(errors.InvalidSesEvent):
        call(NO_EVENT)
