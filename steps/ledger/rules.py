"""The send ledger: one record per notification, and who may change it from which status to which.

Pure: each function returns the write to make (`Put` or `Update`) or judges a record that was found;
`steps.aws.ledger_table` carries writes out. Every write is conditional, so a repeated or late one
changes nothing.

Record (DynamoDB item; epoch seconds where a number is a time):
    notificationId  partition key, see `notification_id`
    orderId, eventType, customerEmail, status, timestamp (ISO 8601 UTC)
    owner           the execution that holds the claim
    leaseUntil      until when a CLAIMED record is its owner's alone
    sendingAt       when its owner last went to SES with it
    messageId       SES's message id, once it accepted the mail
    resends         how often the mail was sent again because no answer was ever recorded
    events          what SES reported: a set of `<type>|<subtypes>|<time>`, see `steps.ledger.ses_events`
    reasons, event  of a REJECTED event: every wrong field, and the message as it came
    reason          why a mail did not go or arrive: an error's class name, or SES's bounce types
    ttl             when the record expires; DynamoDB deletes it within days of that

Source for the conditions: "Condition expressions", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from steps.contract import limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Record = dict[str, Any]


class Status(StrEnum):
    """What is known of a notification, from least to most final: see the README for what each means.

    A later one is never undone by an earlier one. A bounce after "delivered" is the truth: the server
    took the mail and then gave it back.
    """

    CLAIMED = "CLAIMED"
    SENDING = "SENDING"
    FAILED = "FAILED"
    SENT = "SENT"
    DELAYED = "DELAYED"
    UNDELIVERED = "UNDELIVERED"
    DELIVERED = "DELIVERED"
    REJECTED = "REJECTED"
    BOUNCED = "BOUNCED"
    COMPLAINED = "COMPLAINED"


UNSENT = frozenset({Status.CLAIMED, Status.SENDING, Status.FAILED})
"""The statuses of a mail of which nobody knows yet that SES accepted it."""

_FINALITY = tuple(Status)


def fold(status: Status, reported: Iterable[Status | None]) -> Status:
    """Return the status of a mail of which `reported` is known besides: the most final of them all.

    The order and the number of repetitions make no difference.
    """
    return max([status, *(r for r in reported if r)], key=_FINALITY.index)


def notification_id(order_id: str, event_type: str, recipient: str) -> str:
    """Name the notification: 40 hex digits of a SHA-256 over the triple that may have one mail.

    Fits an SES message tag (`A-Za-z0-9_-`, at most 256 characters) and holds no personal data. Case
    does not make another recipient: mailbox providers ignore it.
    """
    triple = json.dumps([order_id, event_type, recipient.casefold()]).encode()
    return hashlib.sha256(triple).hexdigest()[:40]


def rejected_id(message: str) -> str:
    """Name a rejected message by its content, so that publishing it again adds no second record."""
    return "rejected-" + hashlib.sha256(message.encode()).hexdigest()[:40]


def resends(record: Record) -> int:
    """How often a mail was sent again because no answer was ever recorded."""
    # Older records say `doubts`; the last of them expires 90 days after an upgrade.
    return int(record.get("resends") or record.get("doubts") or 0)


@dataclass(frozen=True, kw_only=True)
class Put:
    """A PutItem. `condition` is a condition expression over `values` (without the leading colon)."""

    record: Record
    condition: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Update:
    """An UpdateItem of one record: sets, removes, adds to string sets."""

    notification_id: str
    condition: str
    values: Mapping[str, Any]
    add: Mapping[str, frozenset[str]] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    set: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class New:
    """The claim is ours: go on."""


@dataclass(frozen=True)
class Duplicate:
    """The notification's outcome is known; there is nothing to do."""

    status: Status


@dataclass(frozen=True)
class InProgress:
    """Someone else is at it, or it was handed to SES and no answer is known yet: ask again later."""

    retry_after: int


@dataclass(frozen=True)
class TakeOver:
    """The claim is free to take: make `update`. `in_doubt`: SES may have the mail already."""

    update: Update
    in_doubt: bool = False


Verdict = New | Duplicate | InProgress | TakeOver


def iso(now: float) -> str:
    """Format epoch seconds as ISO 8601 UTC to the second, as the contract's `timestamp` has it."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def claim(
    *, notification_id: str, order_id: str, event_type: str, recipient: str, owner: str, now: float
) -> Put:
    """Claim a notification that has no record, or only an expired one that TTL has not deleted yet."""
    return Put(
        record={
            "notificationId": notification_id,
            "orderId": order_id,
            "eventType": event_type,
            "customerEmail": recipient,
            "status": Status.CLAIMED,
            "timestamp": iso(now),
            "owner": owner,
            "leaseUntil": int(now) + limits.CLAIM_LEASE,
            "ttl": int(now) + limits.RECORD_TTL,
        },
        condition="attribute_not_exists(notificationId) OR #ttl <= :now",
        values={"now": int(now)},
    )


def judge(  # noqa: PLR0911 - one per row
    record: Record, *, owner: str, now: float, grace: int = limits.IN_DOUBT_GRACE
) -> Verdict:
    """Decide what a record that stood in the way of our claim means for `owner` at time `now`.

    `grace`: seconds that a mail in doubt waits for SES's own event before it is sent again.
    """
    status = Status(record["status"])
    if status is Status.CLAIMED:
        if record["owner"] == owner:
            return New()  # Our own put, whose answer was lost.
        if (wait := int(record["leaseUntil"]) - int(now)) > 0:
            return InProgress(wait)
        return TakeOver(_take_over(record, owner, now))
    if status is Status.SENDING:
        if (wait := int(record["sendingAt"]) + grace - int(now)) > 0:
            return InProgress(wait)
        return TakeOver(_take_over(record, owner, now, resend=1), in_doubt=True)
    if status is Status.FAILED:
        return TakeOver(_take_over(record, owner, now))
    return Duplicate(status)


def _take_over(record: Record, owner: str, now: float, resend: int = 0) -> Update:
    return Update(
        notification_id=record["notificationId"],
        set={
            "status": Status.CLAIMED,
            "timestamp": iso(now),
            "owner": owner,
            "leaseUntil": int(now) + limits.CLAIM_LEASE,
            "resends": resends(record) + resend,
        },
        remove=("reason",),
        # Of several that saw the same record, one gets it: the owner changes with every claim.
        condition="#owner = :found AND #status = :seen",
        values={"found": record["owner"], "seen": record["status"]},
    )


def sending(*, notification_id: str, owner: str, now: float) -> Update:
    """Say that SES is about to be called.

    The owner may say so again: the order workflow repeats its send step only where SES certainly does
    not have the mail, so a SENDING of its own is a lost answer or a refusal that was not recorded.
    """
    return Update(
        notification_id=notification_id,
        set={"status": Status.SENDING, "timestamp": iso(now), "sendingAt": int(now)},
        condition="#owner = :owner AND #status IN (:claimed, :sending)",
        values={"owner": owner, "claimed": Status.CLAIMED, "sending": Status.SENDING},
    )


def refused(*, notification_id: str, owner: str, now: float) -> Update:
    """Take SENDING back: SES definitely did not accept the mail. The lease ends, so anyone may try."""
    return Update(
        notification_id=notification_id,
        set={"status": Status.CLAIMED, "timestamp": iso(now), "leaseUntil": int(now)},
        remove=("sendingAt",),
        condition="#owner = :owner AND #status = :sending",
        values={"owner": owner, "sending": Status.SENDING},
    )


def sent(*, notification_id: str, owner: str, message_id: str, sent_at: str) -> Update:
    """Record SES's acceptance. Fails where SES's own event was quicker, which is as good."""
    return Update(
        notification_id=notification_id,
        set={"status": Status.SENT, "timestamp": sent_at, "messageId": message_id},
        condition="#owner = :owner AND #status = :sending",
        values={"owner": owner, "sending": Status.SENDING},
    )


def ended(*, notification_id: str, owner: str, status: Status, reason: str, now: float) -> Update:
    """Record that a mail is refused for good (REJECTED) or given up (FAILED) by the claim's owner.

    A mail in doubt (SENDING) may be given up too: that is an end like any other, and a later event
    of SES's still changes it.
    """
    return Update(
        notification_id=notification_id,
        set={"status": status, "timestamp": iso(now), "reason": reason},
        condition="#owner = :owner AND #status IN (:claimed, :sending)",
        values={"owner": owner, "claimed": Status.CLAIMED, "sending": Status.SENDING},
    )


def rejected(*, notification_id: str, rejection: Mapping[str, Any], now: float) -> Put:
    """Keep an invalid event with its reasons. The same message again changes nothing."""
    return Put(
        record={
            "notificationId": notification_id,
            "orderId": rejection["orderId"],
            "customerEmail": rejection["customerEmail"],
            "status": Status.REJECTED,
            "timestamp": iso(now),
            "reasons": [f"{r['path']}: {r['reason']}" for r in rejection["reasons"]],
            "event": rejection["event"],
            "ttl": int(now) + limits.RECORD_TTL,
        },
        condition="attribute_not_exists(notificationId) OR #ttl <= :now",
        values={"now": int(now)},
    )


def reported(
    *,
    notification_id: str,
    seen: Status,
    status: Status,
    identity: str,
    message_id: str,
    sent_at: str,
    reason: str | None,
) -> Update:
    """Add an event of SES's to a record that was read with status `seen`, and set its new status.

    Conditional on `seen`: of two events at once, one is folded again on top of the other. The first
    to know that the mail was sent at all sets its time, and its message id, too.
    """
    attributes: dict[str, Any] = {}
    if status is not seen:
        attributes["status"] = status
    if seen in UNSENT and status not in UNSENT:
        attributes |= {"timestamp": sent_at, "messageId": message_id}
    if reason:
        attributes["reason"] = reason
    return Update(
        notification_id=notification_id,
        set=attributes,
        add={"events": frozenset({identity})},
        condition="#status = :seen AND NOT contains(events, :event)",
        values={"seen": seen, "event": identity},
    )


NO_REPORT = "NoReportAfterDelay"
"""The reason of a mail that was delayed and of which SES never told the end."""


def overdue(*, notification_id: str, now: float) -> Update:
    """Write off a delayed mail: the time is over at which SES gave it up, and SES has not said so.

    A later event of SES's still changes the record. Fails where one was quicker, or moved the time.
    """
    return Update(
        notification_id=notification_id,
        set={"status": Status.UNDELIVERED, "reason": NO_REPORT},
        remove=("overdue", "overdueAt"),
        condition="#status = :delayed AND overdueAt <= :now",
        values={"delayed": Status.DELAYED, "now": int(now)},
    )
