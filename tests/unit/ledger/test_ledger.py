"""Every write of the ledger, in full: what it sets, under which condition, and what it leaves alone."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from steps.contract import limits
from steps.ledger import rules, ses_events
from steps.ledger.rules import Put, Record, TakeOver, Update
from steps.ledger.status import Status
from tests.support.clock import NOW
from tests.support.in_memory_aws import claimed_record
from tests.support.ses_events import (
    BOUNCE,
    COMPLAINT,
    DELAY,
    DELIVERY,
    MAILBOX_FULL,
    NOT_SPAM,
    SEND,
    SENT_AT,
    ses_event,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from steps.ledger.ses_events import SesEvent

ID = "n"
MOMENT = 1_800_000_000
TIME = "2027-01-15T08:00:00Z"
LEASE = MOMENT + limits.CLAIM_LEASE
EXPIRES = MOMENT + int(timedelta(days=90).total_seconds())
LATER = NOW + 0.9
"""Moments are kept in whole seconds."""

ABSENT = "attribute_not_exists(notificationId) OR #ttl <= :now"

REJECTION: dict[str, Any] = {
    "orderId": "ORDER1",
    "customerEmail": "customer@example.com",
    "event": "{}",
    "reasons": [
        {"path": "items.0.quantity", "reason": "is negative"},
        {"path": "currency", "reason": "is missing"},
    ],
}
REASONS = ["items.0.quantity: is negative", "currency: is missing"]

DEDUP = {
    "claim": (
        partial(
            rules.claim,
            notification_id=ID,
            order_id="ORDER1",
            event_type="order.confirmed",
            recipient="customer@example.com",
            owner="me",
            part={"shipmentId": "P1"},
            content="c",
            now=LATER,
        ),
        Put(
            record={
                "notificationId": ID,
                "orderId": "ORDER1",
                "eventType": "order.confirmed",
                "part": {"shipmentId": "P1"},
                "content": "c",
                "customerEmail": "customer@example.com",
                "status": "CLAIMED",
                "timestamp": TIME,
                "owner": "me",
                "leaseUntil": LEASE,
                "ttl": EXPIRES,
                "sequence": 1_800_000_000_900,
            },
            condition=ABSENT,
            values={"now": MOMENT},
        ),
    ),
    "an event that says something else": (
        partial(rules.ignored, {"notificationId": ID, "content": "other"}, LATER),
        Update(
            notification_id=ID,
            set={"ignoredAt": TIME},
            count=("ignored",),
            condition="content = :content",
            values={"content": "other"},
        ),
    ),
}

call = partial(rules.sending, notification_id=ID, owner="me", handover_id="call", now=LATER)
SENDING = {"status": "SENDING", "timestamp": TIME, "sendingAt": MOMENT, "handoverId": "call"}
SEND_STEP = {
    "the first call": (
        partial(call, previous=None),
        Update(
            notification_id=ID,
            set=SENDING,
            condition="#owner = :owner AND #status IN (:claimed, :sending)"
            " AND attribute_not_exists(handoverId) AND attribute_not_exists(erasedAt)",
            values={"owner": "me", "claimed": "CLAIMED", "sending": "SENDING"},
        ),
    ),
    "a later call": (
        partial(call, previous="before"),
        Update(
            notification_id=ID,
            set=SENDING,
            condition="#owner = :owner AND #status IN (:claimed, :sending)"
            " AND handoverId = :previous AND attribute_not_exists(erasedAt)",
            values={
                "owner": "me",
                "claimed": "CLAIMED",
                "sending": "SENDING",
                "previous": "before",
            },
        ),
    ),
    "refused": (
        partial(rules.refused, notification_id=ID, owner="me", handover_id="call", now=LATER),
        Update(
            notification_id=ID,
            set={"status": "CLAIMED", "timestamp": TIME, "leaseUntil": MOMENT},
            remove=("sendingAt",),
            condition="#owner = :owner AND #status = :sending AND handoverId = :handover",
            values={"owner": "me", "sending": "SENDING", "handover": "call"},
        ),
    ),
}


RECORD_STEP: dict[str, tuple[Callable[[], Put | Update], Put | Update]] = {
    "sent": (
        partial(
            rules.sent,
            notification_id=ID,
            owner="me",
            handover_id="call",
            message_id="m",
            sent_at="then",
        ),
        Update(
            notification_id=ID,
            set={"status": "SENT", "timestamp": "then", "messageId": "m"},
            condition="#owner = :owner AND #status = :sending AND handoverId = :handover",
            values={"owner": "me", "sending": "SENDING", "handover": "call"},
        ),
    ),
    "restored": (
        partial(
            rules.restored,
            notification_id=ID,
            order_id="ORDER1",
            recipient="customer@example.com",
            owner="me",
            message_id="m",
            sent_at="then",
            event_type="order.shipped",
            part={"shipmentId": "P1"},
            now=LATER,
        ),
        Put(
            record={
                "notificationId": ID,
                "orderId": "ORDER1",
                "eventType": "order.shipped",
                "part": {"shipmentId": "P1"},
                "customerEmail": "customer@example.com",
                "status": "SENT",
                "timestamp": "then",
                "owner": "me",
                "messageId": "m",
                "ttl": EXPIRES,
                "sequence": 1_800_000_000_900,
            },
            condition=ABSENT,
            values={"now": MOMENT},
        ),
    ),
    "linked": (
        partial(rules.linked, notification_id=ID, owner="me", reason="NotFound"),
        Update(
            notification_id=ID,
            set={"attachmentsLinked": "NotFound"},
            condition="#owner = :owner AND #status = :claimed AND attribute_not_exists(erasedAt)",
            values={"owner": "me", "claimed": "CLAIMED"},
        ),
    ),
    "released": (
        partial(rules.released, notification_id=ID, owner="me", now=LATER),
        Update(
            notification_id=ID,
            set={"leaseUntil": MOMENT},
            condition="#owner = :owner AND #status = :claimed",
            values={"owner": "me", "claimed": "CLAIMED"},
        ),
    ),
    "refused by SES for good": (
        partial(rules.refused_as_it_is, notification_id=ID, owner="me", reason="Why", now=LATER),
        Update(
            notification_id=ID,
            set={"status": "REJECTED", "timestamp": TIME, "endedAt": MOMENT, "reason": "Why"},
            remove=("sendingAt",),
            condition="#owner = :owner AND #status IN (:claimed, :sending)",
            values={"owner": "me", "claimed": "CLAIMED", "sending": "SENDING"},
        ),
    ),
    "given up": (
        partial(rules.given_up, notification_id=ID, owner="me", reason="Why", now=LATER),
        Update(
            notification_id=ID,
            set={"status": "FAILED", "timestamp": TIME, "endedAt": MOMENT, "reason": "Why"},
            condition=(
                "(#owner = :owner AND #status IN (:claimed, :sending))"
                " OR (#status = :claimed AND leaseUntil <= :now)"
                " OR (#status = :sending AND sendingAt <= :over)"
            ),
            values={
                "owner": "me",
                "claimed": "CLAIMED",
                "sending": "SENDING",
                "now": MOMENT,
                "over": MOMENT - limits.CLAIM_LEASE,
            },
        ),
    ),
    "an invalid event": (
        partial(rules.rejected, notification_id=ID, rejection=REJECTION, owner="me", now=LATER),
        Put(
            record={
                "notificationId": ID,
                "orderId": "ORDER1",
                "customerEmail": "customer@example.com",
                "status": "REJECTED",
                "timestamp": TIME,
                "owner": "me",
                "reasons": REASONS,
                "event": "{}",
                "ttl": MOMENT + int(timedelta(days=14).total_seconds()),
                "sequence": 1_800_000_000_900,
            },
            condition=ABSENT,
            values={"now": MOMENT},
        ),
    ),
    "a claimed event that is invalid by now": (
        partial(rules.abandoned, notification_id=ID, rejection=REJECTION, now=LATER),
        Update(
            notification_id=ID,
            set={
                "status": "REJECTED",
                "timestamp": TIME,
                "endedAt": MOMENT,
                "reason": "InvalidEvent",
                "reasons": REASONS,
            },
            condition="#status IN (:claimed, :sending, :failed) AND attribute_not_exists(erasedAt)",
            values={"claimed": "CLAIMED", "sending": "SENDING", "failed": "FAILED"},
        ),
    ),
}

OTHERS = {
    "an attempt that failed by a bug": (
        partial(rules.attempted, message_id="sqs-1", execution="arn", now=LATER),
        Update(
            notification_id="attempts-sqs-1",
            set={"ttl": MOMENT + limits.QUEUE_RETENTION},
            add={"executions": frozenset({"arn"})},
            condition="attribute_not_exists(#status)",
            values={},
        ),
    ),
    "no report after a delay": (
        partial(rules.overdue, notification_id=ID, now=LATER),
        Update(
            notification_id=ID,
            set={"status": "UNDELIVERED", "reason": "NoReportAfterDelay", "endedAt": MOMENT},
            remove=("overdue", "overdueAt"),
            condition="#status = :delayed AND overdueAt <= :now",
            values={"delayed": "DELAYED", "now": MOMENT},
        ),
    ),
}

WRITES = DEDUP | SEND_STEP | RECORD_STEP | OTHERS


@pytest.mark.parametrize(("write", "expected"), WRITES.values(), ids=WRITES)
def test_a_write_says_all_of_this_and_nothing_else(
    write: Callable[[], Put | Update], expected: Put | Update
) -> None:
    assert write() == expected


# --- a claim that is taken over -------------------------------------------------------------------

OF_THE_MAIL_BEFORE = (
    *("reason", "reasons", "handoverId", "sendingAt", "attachmentsLinked"),
    *("messageId", "promotedBy", "events", "endedAt"),
)


def taken_over(
    *,
    resends: int,
    seen: str,
    in_doubt: bool = False,
    superseded: frozenset[str] = frozenset(),
) -> Update:
    """Return the write of an execution "second" that takes over from "first"."""
    return Update(
        notification_id=claimed_record()["notificationId"],
        set={
            "status": "CLAIMED",
            "timestamp": TIME,
            "owner": "second",
            "leaseUntil": LEASE,
            "ttl": EXPIRES,
            "resends": resends,
        }
        | ({"inDoubt": True} if in_doubt else {}),
        add={"superseded": superseded} if superseded else {},
        remove=(*OF_THE_MAIL_BEFORE, *(() if in_doubt else ("inDoubt",)), "publishedAt"),
        condition="#owner = :found AND #status = :seen AND attribute_not_exists(erasedAt)",
        values={"found": "first", "seen": seen},
    )


CALLED = {"sendingAt": MOMENT - limits.IN_DOUBT_GRACE}
TAKE_OVERS: list[tuple[dict[str, Any], Update]] = [
    ({"leaseUntil": MOMENT}, taken_over(resends=0, seen="CLAIMED")),
    ({"status": "FAILED", "resends": 2}, taken_over(resends=2, seen="FAILED")),
    ({"status": "FAILED", "doubts": 2}, taken_over(resends=2, seen="FAILED")),
    ({"status": "REJECTED"}, taken_over(resends=0, seen="REJECTED")),
    ({"status": "SENDING"} | CALLED, taken_over(resends=1, seen="SENDING", in_doubt=True)),
    ({"status": "FAILED"} | CALLED, taken_over(resends=1, seen="FAILED", in_doubt=True)),
    (
        {"status": "UNDELIVERED", "messageId": "m", "resends": 1} | CALLED,
        taken_over(resends=2, seen="UNDELIVERED", superseded=frozenset({"m"})),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), TAKE_OVERS)
def test_a_take_over_forgets_the_mail_before_and_counts_it(
    changes: dict[str, Any], expected: Update
) -> None:
    verdict = rules.judge(
        claimed_record("first", **changes), owner="second", started=MOMENT, now=LATER
    )
    assert verdict == TakeOver(expected, in_doubt="inDoubt" in expected.set)


LINKED = {"attachmentsLinked": "NotFound"}


@pytest.mark.parametrize(
    ("changes", "content", "kept"),
    [
        ({"leaseUntil": MOMENT}, "as it was", True),
        ({"leaseUntil": MOMENT}, None, True),
        # Or two events of one order, neither of whose files can be had, would each undo what the other said.
        ({"leaseUntil": MOMENT}, "mended", True),
        # In doubt: that mail may be on its way, and the next is to be the same.
        ({"status": "SENDING"} | CALLED, "as it was", True),
        ({"status": "SENDING"} | CALLED, "mended", True),
        ({"status": "FAILED"} | CALLED, "as it was", True),
        ({"status": "FAILED"}, "as it was", False),
        ({"status": "REJECTED"}, "as it was", False),
        ({"status": "UNDELIVERED", "messageId": "m"} | CALLED, "as it was", False),
    ],
)
def test_who_takes_over_a_mail_that_has_no_end_links_its_documents_too(
    changes: dict[str, Any], content: str | None, *, kept: bool
) -> None:
    record = claimed_record("first", content="as it was", **LINKED, **changes)
    verdict = rules.judge(record, owner="second", started=MOMENT, now=LATER, content=content)
    assert isinstance(verdict, TakeOver)
    assert verdict.linked is kept
    assert (verdict.update.set.get("attachmentsLinked") == "NotFound") is kept
    assert ("attachmentsLinked" in verdict.update.remove) is not kept


@pytest.mark.parametrize("linked", [LINKED, {}])
def test_a_claim_whose_answer_was_lost_links_the_documents_too(linked: dict[str, str]) -> None:
    record = claimed_record("first", **linked)
    verdict = rules.judge(record, owner="first", started=MOMENT, now=LATER)
    assert verdict == rules.New(linked=bool(linked))


# --- what SES says --------------------------------------------------------------------------------

AS_CALLED = claimed_record("me", status="SENDING", sendingAt=MOMENT)
AS_SENT = claimed_record("me", status="SENT", messageId="message-1")


def event(message: str) -> SesEvent:
    parsed = ses_events.parse(message)
    assert parsed is not None
    return parsed


def learned(
    seen: str,
    changes: dict[str, object],
    *,
    forgets: tuple[str, ...] = (),
    adds: dict[str, str] | None = None,
    events: int | None = None,
    seconds: int | None = None,
) -> Update:
    """Return the write by which the invocation "me-too" folds an event into a record.

    `events`, `seconds`: how many events and second mails the record knows already, if any.
    """
    condition = "#status = :seen"
    values: dict[str, object] = {"seen": seen, "owner": "me"}
    for name, known in (("events", events), ("secondMessageIds", seconds)):
        if known:
            condition += f" AND size({name}) = :{name}"
            values[name] = known
        else:
            condition += f" AND attribute_not_exists({name})"
    return Update(
        notification_id=AS_SENT["notificationId"],
        set=changes,
        remove=forgets,
        add={name: frozenset({value}) for name, value in (adds or {}).items()},
        condition=f"{condition} AND #owner = :owner AND attribute_not_exists(erasedAt)",
        values=values,
    )


FIRST_WORD = {
    "timestamp": "2026-11-24T07:59:58Z",
    "messageId": "message-1",
    "promotedBy": "invocation",
}
DELAYED_AT = "2026-11-24T08:00:00.000Z"
OVERDUE = {"overdue": "DELAYED", "overdueAt": 1_795_557_598 + 60 * 60}
"""An hour after 2026-11-24T21:59:58Z, when SES gives the mail up."""

LEARNED: dict[str, tuple[Record, SesEvent, Update]] = {
    "a receipt of a mail in doubt": (
        AS_CALLED | {"reason": "x", "reasons": ["y"]},
        ses_events.receipt("m", "then"),
        learned(
            "SENDING",
            {"status": "SENT", "timestamp": "then", "messageId": "m", "promotedBy": "invocation"},
            forgets=("reasons", "reason"),
        ),
    ),
    "a receipt of a second mail": (
        AS_SENT | {"reason": "x"},
        ses_events.receipt("m", "then"),
        learned("SENT", {"status": "SENT", "reason": "x"}, adds={"secondMessageIds": "m"}),
    ),
    "Send of a mail in doubt": (
        AS_CALLED,
        event(SEND),
        learned(
            "SENDING",
            {"status": "SENT", **FIRST_WORD},
            adds={"events": f"Send|{SENT_AT}#invocation"},
        ),
    ),
    "Send of a third mail": (
        AS_SENT | {"messageId": "m", "secondMessageIds": {"x"}, "events": {"Delivery|1#y"}},
        event(SEND),
        learned(
            "SENT",
            {"status": "DELIVERED"},
            adds={"events": f"Send|{SENT_AT}#invocation", "secondMessageIds": "message-1"},
            events=1,
            seconds=1,
        ),
    ),
    "Delivery of a delayed mail": (
        AS_SENT | {"status": "DELAYED", "reason": "x", "events": {"DeliveryDelay|x|1"}} | OVERDUE,
        event(DELIVERY),
        learned(
            "DELAYED",
            {"status": "DELIVERED"},
            forgets=("reason", "overdue", "overdueAt"),
            adds={"events": "Delivery|2026-11-24T08:00:01.000Z#invocation"},
            events=1,
        ),
    ),
    "DeliveryDelay": (
        AS_SENT,
        event(DELAY),
        learned(
            "SENT",
            {"status": "DELAYED", "reason": "MailboxFull", **OVERDUE},
            adds={"events": f"DeliveryDelay|MailboxFull|{DELAYED_AT}#invocation"},
        ),
    ),
    "Send of a delayed mail in doubt": (
        AS_CALLED | {"events": {f"DeliveryDelay|MailboxFull|{DELAYED_AT}#x"}} | OVERDUE,
        event(SEND),
        learned(
            "SENDING",
            {"status": "DELAYED", "reason": "MailboxFull", **FIRST_WORD},
            adds={"events": f"Send|{SENT_AT}#invocation"},
            events=1,
        ),
    ),
    "a delay after the delivery": (
        AS_SENT | {"status": "DELIVERED", "events": {"Delivery|1#a", "Send|0#b"}},
        event(DELAY),
        learned(
            "DELIVERED",
            {"status": "DELIVERED"},
            adds={"events": f"DeliveryDelay|MailboxFull|{DELAYED_AT}#invocation"},
            events=2,
        ),
    ),
    "a transient bounce": (
        AS_SENT,
        event(MAILBOX_FULL),
        learned(
            "SENT",
            {"status": "UNDELIVERED", "reason": "Transient/MailboxFull", "endedAt": MOMENT},
            adds={"events": "Bounce|Transient/MailboxFull|2026-11-24T22:00:00.000Z#invocation"},
        ),
    ),
    "the later of two bounces, by time": (
        AS_SENT | {"status": "BOUNCED", "events": {"Bounce|Undetermined/X|2026-11-25T00:00#y"}},
        event(BOUNCE),
        learned(
            "BOUNCED",
            {"status": "BOUNCED", "reason": "Undetermined/X"},
            adds={"events": f"Bounce|Permanent/General|{DELAYED_AT}#invocation"},
            events=1,
        ),
    ),
    "the greater of two bounces at once": (
        AS_SENT | {"status": "BOUNCED", "events": {f"Bounce|Undetermined/X|{DELAYED_AT}#y"}},
        event(BOUNCE),
        learned(
            "BOUNCED",
            {"status": "BOUNCED", "reason": "Undetermined/X"},
            adds={"events": f"Bounce|Permanent/General|{DELAYED_AT}#invocation"},
            events=1,
        ),
    ),
    "Complaint": (
        AS_SENT | {"status": "DELIVERED"},
        event(COMPLAINT),
        learned(
            "DELIVERED",
            {"status": "COMPLAINED", "reason": "abuse"},
            adds={"events": f"Complaint|abuse|{DELAYED_AT}#invocation"},
        ),
    ),
    "a complaint that is none": (
        AS_SENT | {"status": "DELIVERED", "reason": "x"},
        event(NOT_SPAM),
        learned(
            "DELIVERED",
            {"status": "DELIVERED", "reason": "x"},
            adds={"events": f"Complaint|not-spam|{DELAYED_AT}#invocation"},
        ),
    ),
}


@pytest.mark.parametrize(("record", "said", "expected"), LEARNED.values(), ids=LEARNED)
def test_a_word_of_ses_is_folded_into_what_was_read(
    record: Record, said: SesEvent, expected: Update
) -> None:
    assert rules.learn(record, said, by="invocation", now=LATER) == expected


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (AS_SENT, event(SEND)),
        (AS_SENT, ses_events.receipt("message-1", "then")),
        (AS_SENT | {"messageId": "m", "secondMessageIds": {"message-1"}}, event(SEND)),
        (AS_CALLED | {"superseded": {"message-1"}}, event(DELIVERY)),
        (AS_SENT | {"events": {"Delivery|2026-11-24T08:00:01.000Z#other"}}, event(DELIVERY)),
        # As older records have it.
        (AS_SENT | {"events": {"Delivery|2026-11-24T08:00:01.000Z"}}, event(DELIVERY)),
    ],
)
def test_what_the_record_knows_already_is_not_written(record: Record, said: SesEvent) -> None:
    assert rules.learn(record, said, by="invocation", now=LATER) is None


def test_a_delay_without_a_limit_of_its_own_is_overdue_an_hour_after_ses_s() -> None:
    update = rules.learn(
        AS_SENT, event(ses_event("DeliveryDelay", delayType="x")), by="invocation", now=LATER
    )
    assert update is not None
    assert OVERDUE.items() <= update.set.items()


# --- what is read off a record --------------------------------------------------------------------


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("has_id", [True, False])
def test_a_mail_is_settled_once_ses_is_known_to_have_accepted_it(
    status: Status, *, has_id: bool
) -> None:
    record = {"status": str(status)} | ({"messageId": "m"} if has_id else {})
    unsent = status in {"CLAIMED", "SENDING", "FAILED"}
    assert rules.is_settled(record) is (not unsent and (status != "REJECTED" or has_id))


@pytest.mark.parametrize(
    ("record", "unflagged"),
    [
        ({}, True),
        ({"resends": 1}, False),
        ({"resends": 1, "secondMessageIds": {"a"}}, True),
        ({"resends": 2, "secondMessageIds": {"a"}}, False),
    ],
)
def test_a_second_mail_is_unflagged_where_the_record_admits_to_no_more(
    record: Record, *, unflagged: bool
) -> None:
    assert rules.is_unflagged(record) is unflagged


def test_a_second_mail_is_one_that_a_settled_record_does_not_know() -> None:
    said = event(SEND)
    assert not rules.is_second(AS_CALLED, said)
    assert not rules.is_second(AS_SENT, said)
    assert rules.is_second(AS_SENT | {"messageId": "m"}, said)
    assert not rules.is_second(
        AS_SENT | {"messageId": "m", "secondMessageIds": {"message-1"}}, said
    )


def test_an_invocation_knows_its_own_events() -> None:
    said = event(DELIVERY)
    record = {"events": {f"{said.identity}#me", "Send|x#another"}}
    assert rules.is_own(record, said, by="me")
    assert not rules.is_own(record, said, by="another")
    assert not rules.is_own({}, said, by="me")


def test_a_rejected_message_is_named_by_its_content() -> None:
    # SHA-256 of the two bytes {}, from sha256sum.
    assert rules.rejected_id("{}") == "rejected-44136fa355b3678a1146ad16f7e8649e94fb4fc2"


def test_a_lost_answer_s_claim_is_as_doubtful_as_it_was_taken_over() -> None:
    for in_doubt in (True, False):
        own = claimed_record("me", inDoubt=in_doubt)
        assert rules.judge(own, owner="me", started=MOMENT, now=NOW) == rules.New(in_doubt=in_doubt)


@pytest.mark.parametrize(
    ("changes", "started", "verdict"),
    [
        ({"leaseUntil": MOMENT + 1}, MOMENT, rules.InProgress(1)),
        ({"status": "FAILED", "endedAt": 7}, 7, rules.InProgress(limits.RETRY_DELAY_MIN)),
        ({"status": "FAILED", "endedAt": 7}, 8, None),
        ({"status": "FAILED"}, 1, None),
    ],
)
def test_what_may_be_taken_over_is_over_by_then(
    changes: dict[str, Any], started: int, verdict: rules.Verdict | None
) -> None:
    judged = rules.judge(claimed_record("a", **changes), owner="b", started=started, now=NOW)
    assert isinstance(judged, TakeOver) if verdict is None else judged == verdict


def test_an_event_is_known_even_where_its_words_have_a_mark_in_them() -> None:
    said = event(ses_event("Complaint", complaintFeedbackType="a#b"))
    assert rules.is_known({"events": {f"{said.identity}#me"}}, said)


def test_a_timestamp_is_utc_wherever_it_is_written() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        timestamp = rules.iso(NOW)
    time.tzset()
    assert timestamp == TIME
