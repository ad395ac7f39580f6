"""A write costs a unit per KB of the item: a record at rest is smaller than one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from steps.contract import limits
from steps.ledger import rules, ses_events
from tests.support.clock import NOW
from tests.support.metered_table import KB, total
from tests.support.ses_events import ses_event
from tests.support.table_in_memory import TableInMemory

if TYPE_CHECKING:
    from steps.ledger.rules import Record

OWNER = "arn:aws:states:us-east-1:123456789012:express:email-order-workflow-prod:{}:{}"
UUID = "5b3f2d14-8c07-4a0e-9d43-6f1f0c2b7a55"
HANDOVER = UUID.replace("-", "")
MESSAGE_ID = f"0100019a{UUID}-00000000-000000"
"""Sixty characters, as SES's are in us-east-1."""


IN_ORDER_ID_INDEX = (
    *("notificationId", "orderId", "status", "timestamp"),
    *("customerEmail", "eventType"),
)
"""What a record's entry there has, see infra/notifications.py."""


def delivered(order_id: str, recipient: str, part: dict[str, str] | None) -> Record:
    """Return the record of an ordinary mail in the end, by the protocol's own writes."""
    table = TableInMemory("tracking")
    owner = OWNER.format(f"{order_id[:69]}-c874daef-1", UUID)
    key = rules.notification_id(order_id, "order.confirmed", recipient, part)
    event = ses_events.parse(ses_event("Delivery", message_id=MESSAGE_ID))
    assert event
    claim = rules.claim(
        notification_id=key,
        order_id=order_id,
        event_type="order.confirmed",
        recipient=recipient,
        owner=owner,
        now=NOW,
        part=part,
        content=hashlib.sha256().hexdigest()[:16],
    )
    sending = rules.sending(
        notification_id=key, owner=owner, handover_id=HANDOVER, previous=None, now=NOW
    )
    sent = rules.sent(
        notification_id=key,
        owner=owner,
        handover_id=HANDOVER,
        message_id=MESSAGE_ID,
        sent_at=rules.iso(NOW),
    )
    for write in (claim, sending, sent):
        assert table.write(write) is None
    fold = rules.learn(table.read(key, rules.FOLDED), event, by="49647430", now=NOW)
    assert fold
    assert table.write(fold) is None
    record = table.items[key]
    assert record["status"] == "DELIVERED"
    return record


@pytest.mark.parametrize(
    ("order_id", "recipient", "part"),
    [
        ("ORDER123456", "customer@example.com", None),
        (UUID, "a.rather.long.name@a-rather-long-company.example", {"shipmentId": UUID}),
    ],
)
def test_a_record_at_rest_is_one_write_unit(
    order_id: str, recipient: str, part: dict[str, str] | None
) -> None:
    record = delivered(order_id, recipient, part)
    assert 0.5 * KB < total(record) < 0.7 * KB, "as steps/ledger/README.md says"
    for_outcomes = {k: v for k, v in record.items() if k in ("sequence", "content", "part")}
    assert total(for_outcomes) < 100
    assert total({name: record[name] for name in IN_ORDER_ID_INDEX}) < 0.25 * KB, "as costs have it"


def test_the_longest_ids_and_address_make_it_two() -> None:
    longest = {"shipmentId": "P" * limits.ID_MAX_LENGTH}
    record = delivered("O" * limits.ID_MAX_LENGTH, "a" * limits.ADDRESS_MAX_LENGTH, longest)
    assert KB < total(record) < 1.1 * KB, "as steps/ledger/README.md says"
