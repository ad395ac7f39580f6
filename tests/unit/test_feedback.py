"""What SES reports becomes a status, whatever the order and however often it is repeated."""

from __future__ import annotations

import json
from itertools import permutations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps import feedback
from steps.aws.ledger_table import LedgerTable
from steps.contract import errors
from steps.ledger import rules, ses_events
from steps.ledger.rules import Status
from tests.support.in_memory_aws import TABLE, table_items

if TYPE_CHECKING:
    from collections.abc import Callable

ID = "c" * 40
CONTEXT: Any = SimpleNamespace()
MOMENT = "2026-11-24T08:00:00.000Z"


def event(type_: str, *, legacy: bool = False, moment: str = MOMENT, **detail: Any) -> str:
    """Return an event as SES publishes it."""
    kind = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}.get(
        type_, type_.lower()
    )
    mail = {
        "timestamp": "2026-11-24T07:59:58.000Z",
        "messageId": "message-1",
        "source": "orders@example.com",
        "destination": ["customer@example.com"],
    }
    tags = {"tags": {"notificationId": [ID], "ses:configuration-set": ["mails"]}}
    return json.dumps(
        {
            ("notificationType" if legacy else "eventType"): type_,
            "mail": mail if legacy else mail | tags,
            kind: {"timestamp": moment} | detail,
        }
    )


SEND = event("Send")
DELIVERY = event("Delivery", moment="2026-11-24T08:00:01.000Z")
DELAY = event("DeliveryDelay", delayType="MailboxFull")
BOUNCE = event("Bounce", bounceType="Permanent", bounceSubType="General")
SUPPRESSED = event("Bounce", bounceType="Permanent", bounceSubType="OnAccountSuppressionList")
FULL = event("Bounce", bounceType="Transient", bounceSubType="MailboxFull")
COMPLAINT = event("Complaint", complaintFeedbackType="abuse")
NOT_SPAM = event("Complaint", complaintFeedbackType="not-spam")
REJECT = event("Reject", reason="Bad content")
RENDERING = event("Rendering Failure", errorMessage="x", templateName="x")

EVENTS = [SEND, DELIVERY, DELAY, BOUNCE, SUPPRESSED, FULL, COMPLAINT, NOT_SPAM, REJECT, RENDERING]


@pytest.mark.parametrize(
    ("message", "status", "metric"),
    [
        (SEND, "SENT", None),
        (DELIVERY, "DELIVERED", "EmailDelivered"),
        (DELAY, "DELAYED", None),
        (BOUNCE, "BOUNCED", "EmailBounced"),
        (
            event("Bounce", bounceType="Undetermined", bounceSubType="Undetermined"),
            "BOUNCED",
            "EmailBounced",
        ),
        (SUPPRESSED, "BOUNCED", None),
        (FULL, "DELAYED", None),
        (COMPLAINT, "COMPLAINED", "EmailComplaint"),
        (event("Complaint"), "COMPLAINED", "EmailComplaint"),
        (event("Complaint", complaintSubType="OnAccountSuppressionList"), "COMPLAINED", None),
        (NOT_SPAM, None, None),
        (REJECT, "REJECTED", "EmailRejected"),
        (RENDERING, "REJECTED", "EmailRejected"),
        (
            event("Bounce", legacy=True, bounceType="Permanent", bounceSubType="General"),
            "BOUNCED",
            "EmailBounced",
        ),
    ],
)
def test_what_an_event_says(message: str, status: str | None, metric: str | None) -> None:
    found = ses_events.parse(message)
    assert found is not None
    assert (found.status, found.metric) == (status, metric)


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        event("Open"),
        event("Click"),
    ],
)
def test_what_says_nothing_of_a_mail_s_fate(message: str) -> None:
    assert ses_events.parse(message) is None


@pytest.mark.parametrize(
    "message",
    ["", "[]", "{}", "null", '{"eventType": "Send"}', '{"eventType": "Bounce", "mail": {}}'],
)
def test_what_is_no_event(message: str) -> None:
    with pytest.raises(errors.InvalidSesEvent):
        ses_events.parse(message)


statuses = st.lists(
    st.sampled_from([s for s in Status if s not in ("CLAIMED", "SENDING", "FAILED")])
)


@given(st.sampled_from(list(Status)), statuses, st.randoms())
def test_order_and_repetition_make_no_difference(
    start: Status, reported: list[Status], random: Any
) -> None:
    shuffled = [*reported, *random.choices(reported, k=5)] if reported else []
    random.shuffle(shuffled)
    folded = rules.fold(start, reported)
    assert rules.fold(start, shuffled) == folded
    one_by_one = start
    for status in shuffled:
        one_by_one = rules.fold(one_by_one, [status])
    assert one_by_one == folded


def test_a_late_bounce_beats_delivered_and_a_complaint_beats_all() -> None:
    for order in permutations([Status.DELIVERED, Status.BOUNCED]):
        assert rules.fold(Status.SENT, order) == "BOUNCED"
    for order in permutations(
        [Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED, Status.DELAYED]
    ):
        assert rules.fold(Status.SENT, order) == "COMPLAINED"


@pytest.fixture
def record(aws_world: None) -> Callable[..., None]:  # noqa: ARG001 - the table must be there
    def put(**changes: Any) -> None:
        claim = rules.claim(
            notification_id=ID,
            order_id="ORDER1",
            event_type="order.confirmed",
            recipient="customer@example.com",
            owner="me",
            now=1_800_000_000.0,
        )
        boto3.resource("dynamodb").Table("tracking").put_item(Item=dict(claim.record) | changes)

    return put


def counted(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return sorted(
        m["Name"] for line in lines for m in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    )


def handle(*messages: str) -> None:
    feedback.handler({"Records": [{"Sns": {"Message": m}} for m in messages]}, CONTEXT)


def test_distinct_events_are_counted_once(
    record: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(status="SENT", messageId="message-1")
    for message in (DELIVERY, SEND, DELIVERY, BOUNCE, BOUNCE, DELIVERY):
        handle(message)
    (item,) = table_items()
    assert item["status"] == "BOUNCED"
    assert item["reason"] == "Permanent/General"
    assert item["events"] == {
        "Delivery|2026-11-24T08:00:01.000Z",
        "Bounce|Permanent/General|2026-11-24T08:00:00.000Z",
    }
    assert counted(capsys) == ["EmailBounced", "EmailDelivered"]


def test_every_order_of_all_events_ends_alike(record: Callable[..., None]) -> None:
    rotations = [EVENTS[i:] + EVENTS[:i] for i in range(len(EVENTS))]
    for order in [*rotations, *(list(reversed(r)) for r in rotations)]:
        record(status="SENDING", sendingAt=1)
        handle(*order)
        (item,) = table_items()
        assert item["status"] == "COMPLAINED"
        assert item["messageId"] == "message-1"


def test_an_event_settles_a_mail_in_doubt(
    record: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(status="SENDING", sendingAt=1)
    handle(SEND)
    (item,) = table_items()
    assert (item["status"], item["messageId"]) == ("SENT", "message-1")
    assert item["timestamp"] == "2026-11-24T07:59:58Z"
    assert counted(capsys) == ["EmailSent"]
    late = rules.sent(notification_id=ID, owner="me", message_id="message-1", sent_at="later")
    assert TABLE.write(late) is not None


def test_a_send_event_of_a_recorded_mail_writes_nothing(
    record: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record(status="SENT", messageId="message-1")
    monkeypatch.setattr(LedgerTable, "write", lambda *_: pytest.fail("a write"))
    handle(SEND)


def test_an_event_without_a_record_is_tried_again(aws_world: None) -> None:  # noqa: ARG001
    with pytest.raises(errors.RecordNotFound):
        handle(DELIVERY)
    assert table_items() == []


def test_a_legacy_notification_finds_its_record_by_the_message_id(
    record: Callable[..., None],
) -> None:
    bounce = event("Bounce", legacy=True, bounceType="Permanent", bounceSubType="General")
    record(status="SENDING", sendingAt=1)
    with pytest.raises(errors.RecordNotFound):
        handle(bounce)
    record(status="SENT", messageId="message-1")
    handle(bounce)
    assert table_items()[0]["status"] == "BOUNCED"


def test_a_record_that_changes_meanwhile_is_folded_anew(
    record: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record(status="SENT", messageId="message-1")
    read = LedgerTable.read
    raced: list[int] = []

    def read_then_race(table: LedgerTable, notification_id: str) -> rules.Record:
        item = read(table, notification_id)
        if not raced:
            raced.append(1)
            handle(COMPLAINT)
        return item

    monkeypatch.setattr(LedgerTable, "read", read_then_race)
    handle(DELIVERY)
    (item,) = table_items()
    assert item["status"] == "COMPLAINED"
    assert len(item["events"]) == 2
