"""Outcomes: what a change of a record says to the shop. Pure.

A record's change says something where its status or its reason is another afterwards, and the status is one
that an order's mail ends in or passes on its way to the customer.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from steps.contract import outcome_event
from steps.contract.canary import is_canary
from steps.contract.order_id import shown
from steps.ledger import rules
from steps.ledger.ses_events import COMPLAINTS
from steps.ledger.status import Status

if TYPE_CHECKING:
    from steps.contract.outcome_event import OutcomeData, OutcomeEvent
    from steps.ledger.rules import Record

TOLD = tuple(status for status in Status if status not in (Status.CLAIMED, Status.SENDING))
"""The statuses that a shop is told of."""

ATTRIBUTES = (
    *("notificationId", "orderId", "eventType", "part", "status", "timestamp", "sequence"),
    *("messageId", "reason", "reasons", "events", "endedAt", "ttl", "resendOf"),
    "customerEmail",
)
"""What is read of a record for it."""

_NO_PERSONAL_DATA = re.compile(r"[A-Za-z0-9_./-]{1,64}")
"""Reasons are our errors' names and SES's types, all of them plain words."""

_PATH = re.compile(r"[A-Za-z0-9_.$\[\]]{1,300}")


def outcome(
    before: Record, after: Record, *, at: float, source: str, release: str
) -> OutcomeEvent | None:
    """Return what a record's change says to the shop.

    Args:
        before: the record as it was, `{}` where there was none.
        after: as it is now; of both no more than `ATTRIBUTES` is read.
        at: when it changed, in epoch seconds.
        source: which installation tells it, as CloudEvents' `source`.
        release: which release of the product.

    Returns:
        None where it says nothing.

    Raises:
        KeyError, ValueError: it is no record.
    """
    if before.get("ttl") != after.get("ttl"):
        before = {}  # It had expired, and DynamoDB had not deleted it yet: this is another record.
    status = Status(after["status"])
    if status not in TOLD or _said(before) == _said(after):
        return None
    if is_canary(after["orderId"], after.get("customerEmail", "")):
        return None
    notification_id, sequence = after["notificationId"], int(after.get("sequence", 0))
    data: OutcomeData = {
        "notificationId": notification_id,
        "sequence": sequence,
        "orderId": after["orderId"],
        "status": status.value,
        "occurredAt": _occurred_at(after, status),
        "release": release,
        **_given(before, after),  # type: ignore[typeddict-item]
    }
    return {
        "specversion": outcome_event.SPECVERSION,
        "id": f"{notification_id}-{sequence}",
        "source": source,
        "type": f"{outcome_event.TYPE}.{status.lower()}",
        "subject": shown(after["orderId"]),
        "time": rules.iso(at),
        "datacontenttype": "application/json",
        "dataschema": outcome_event.DATASCHEMA,
        "data": data,
    }


def _said(record: Record) -> tuple[object, ...]:
    return record.get("status"), _reason(record)


def _given(before: Record, after: Record) -> dict[str, Any]:
    fields = {
        "eventType": after.get("eventType"),
        **after.get("part", {}),
        "resendOf": after.get("resendOf"),
        "previousStatus": before.get("status"),
        "reason": _reason(after),
        "fields": _fields(after),
        "messageId": after.get("messageId"),
    }
    return {name: value for name, value in fields.items() if value}


def _reason(record: Record) -> str | None:
    reason = record.get("reason") or (rules.INVALID_EVENT if record.get("reasons") else "")
    if record.get("status") == Status.COMPLAINED and reason not in COMPLAINTS:
        return None  # A word of the recipient's provider's: it could be a name.
    return reason if _NO_PERSONAL_DATA.fullmatch(reason) else None


def _fields(record: Record) -> list[str]:
    paths = dict.fromkeys(reason.partition(": ")[0] for reason in record.get("reasons", ()))
    return [path for path in paths if _PATH.fullmatch(path)]


def _occurred_at(record: Record, status: Status) -> str:
    """Return when a record's status was reached, as far as the record tells it."""
    if word := rules.last_word(record):
        try:
            if datetime.fromisoformat(word.moment).tzinfo:
                return word.moment
        except ValueError:
            pass
    if status is Status.UNDELIVERED:  # Written off: the time of sending stays.
        return rules.iso(int(record["endedAt"]))
    timestamp: str = record["timestamp"]
    return timestamp
