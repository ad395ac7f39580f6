"""What SES reports becomes a status, whatever the order and however often it is repeated."""

from __future__ import annotations

import json

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from steps import feedback
from steps.aws.ledger_table import LedgerTable
from steps.contract import errors
from steps.ledger import rules
from tests.support.in_memory_aws import TABLE, claimed_record, table_items, tracking_table
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.ses_events import (
    BOUNCE,
    COMPLAINT,
    DELIVERY,
    EVERY_KIND,
    LEGACY_BOUNCE,
    MESSAGE_ID,
    SEND,
)

pytestmark = pytest.mark.usefixtures("in_memory_aws")


def put_record(**changes: object) -> None:
    tracking_table().put_item(Item=claimed_record(**changes))


def counted_metrics(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return sorted(
        metric["Name"]
        for line in lines
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    )


def handle(*messages: str) -> None:
    records: list[feedback.SnsRecord] = [{"Sns": {"Message": message}} for message in messages]
    feedback.handler({"Records": records}, LambdaContext())


def test_each_distinct_event_is_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    for message in (DELIVERY, SEND, DELIVERY, BOUNCE, BOUNCE, DELIVERY):
        handle(message)
    (item,) = table_items()
    assert item["status"] == "BOUNCED"
    assert item["reason"] == "Permanent/General"
    assert item["events"] == {
        "Delivery|2026-11-24T08:00:01.000Z",
        "Bounce|Permanent/General|2026-11-24T08:00:00.000Z",
    }
    assert counted_metrics(capsys) == ["EmailBounced", "EmailDelivered"]


def test_the_order_of_the_events_makes_no_difference_to_the_record() -> None:
    rotations = [EVERY_KIND[first:] + EVERY_KIND[:first] for first in range(len(EVERY_KIND))]
    for events in [*rotations, *(list(reversed(rotation)) for rotation in rotations)]:
        put_record(status="SENDING", sendingAt=1)
        handle(*events)
        (item,) = table_items()
        assert item["status"] == "COMPLAINED"
        assert item["messageId"] == "message-1"


def test_an_event_settles_a_mail_in_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    put_record(status="SENDING", sendingAt=1)
    handle(SEND)
    (item,) = table_items()
    assert (item["status"], item["messageId"]) == ("SENT", "message-1")
    assert item["timestamp"] == "2026-11-24T07:59:58Z"
    assert counted_metrics(capsys) == ["EmailSent"]
    late = rules.sent(
        notification_id=NOTIFICATION_ID, owner="me", message_id=MESSAGE_ID, sent_at="later"
    )
    assert TABLE.write(late) is not None


def test_a_send_event_of_a_recorded_mail_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    monkeypatch.setattr(LedgerTable, "write", lambda *_: pytest.fail("a write"))
    handle(SEND)


def test_an_event_without_a_record_is_tried_again() -> None:
    with pytest.raises(errors.RecordNotFound):
        handle(DELIVERY)
    assert table_items() == []


def test_a_legacy_notification_finds_its_record_by_the_message_id() -> None:
    put_record(status="SENDING", sendingAt=1)
    with pytest.raises(errors.RecordNotFound):
        handle(LEGACY_BOUNCE)
    put_record(status="SENT", messageId=MESSAGE_ID)
    handle(LEGACY_BOUNCE)
    assert table_items()[0]["status"] == "BOUNCED"


def test_a_record_that_changes_meanwhile_is_folded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    put_record(status="SENT", messageId=MESSAGE_ID)
    read = LedgerTable.read
    other_events = [COMPLAINT]

    def read_then_change(table: LedgerTable, notification_id: str) -> rules.Record:
        item = read(table, notification_id)
        if other_events:
            handle(other_events.pop())
        return item

    monkeypatch.setattr(LedgerTable, "read", read_then_change)
    handle(DELIVERY)
    (item,) = table_items()
    assert item["status"] == "COMPLAINED"
    assert len(item["events"]) == 2
