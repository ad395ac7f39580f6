"""What SES reports of a mail: its events, read.

Sources: "Contents of event data that Amazon SES publishes to Amazon SNS" (`eventType`) and "Amazon SNS
notification contents for Amazon SES" (`notificationType`, the legacy form without tags), both in the
Amazon SES Developer Guide. Events come unordered and repeated.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from steps.contract.errors import InvalidSesEvent
from steps.contract.metrics import Metric
from steps.ledger.rules import Status

NOTIFICATION_TAG = "notificationId"
"""The message tag that carries our id from SendEmail to every event."""

SUPPRESSED = frozenset({"OnAccountSuppressionList", "Suppressed"})
"""Subtypes of mails that SES never tried to deliver; they are outside the rates."""


@dataclass(frozen=True, kw_only=True)
class SesEvent:
    """One event about one mail.

    identity: names the event itself, so that a repetition is recognised: type, subtypes and time.
    notification_id: our id from the tags; None in the legacy form.
    metric: the outcome to count, if it is one.
    reason: why a mail did not arrive, such as `Permanent/OnAccountSuppressionList`.
    """

    identity: str
    message_id: str
    notification_id: str | None
    sent_at: str
    status: Status | None
    metric: Metric | None = None
    reason: str | None = None


def parse(message: str) -> SesEvent | None:
    """Read what SES published to its topic.

    Returns:
        None for SES's own test message and for event types that say nothing of a mail's fate
        (`Open`, `Click`, `Subscription`).

    Raises:
        InvalidSesEvent: it is no SES event.
    """
    if message.startswith("Successfully validated SNS topic"):
        return None
    try:
        event = json.loads(message)
        type_ = event.get("eventType") or event["notificationType"]
        mail = event["mail"]
        if (judge := _JUDGES.get(type_)) is None:
            return None
        status, moment, detail, metric = judge(event)
        return SesEvent(
            identity="|".join(part for part in (type_, detail, moment) if part),
            message_id=mail["messageId"],
            notification_id=(mail.get("tags") or {}).get(NOTIFICATION_TAG, [None])[0],
            sent_at=mail["timestamp"][:19] + "Z",
            status=status,
            metric=metric,
            reason=detail or None,
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InvalidSesEvent(f"not an event of SES's ({type(error).__name__})") from None


Judgement = tuple[Status | None, str, str, Metric | None]
"""Status, the event's own time, its subtypes, the metric that counts it."""


def _send(event: dict[str, Any]) -> Judgement:
    return Status.SENT, event["mail"]["timestamp"], "", None


def _delivery(event: dict[str, Any]) -> Judgement:
    return Status.DELIVERED, event["delivery"]["timestamp"], "", Metric.DELIVERED


def _delay(event: dict[str, Any]) -> Judgement:
    delay = event["deliveryDelay"]
    return Status.DELAYED, delay["timestamp"], delay["delayType"], None


def _bounce(event: dict[str, Any]) -> Judgement:
    bounce = event["bounce"]
    detail = f"{bounce['bounceType']}/{bounce['bounceSubType']}"
    if bounce["bounceType"] == "Transient":
        # The address is good: a full mailbox, an automatic reply. Not the bounce that costs reputation.
        return Status.DELAYED, bounce["timestamp"], detail, None
    metric = None if bounce["bounceSubType"] in SUPPRESSED else Metric.BOUNCED
    return Status.BOUNCED, bounce["timestamp"], detail, metric


def _complaint(event: dict[str, Any]) -> Judgement:
    complaint = event["complaint"]
    kind = complaint.get("complaintFeedbackType") or complaint.get("complaintSubType") or ""
    if kind == "not-spam":
        return None, complaint["timestamp"], kind, None  # The recipient took it out of the junk.
    metric = None if complaint.get("complaintSubType") in SUPPRESSED else Metric.COMPLAINT
    return Status.COMPLAINED, complaint["timestamp"], kind, metric


def _reject(event: dict[str, Any]) -> Judgement:
    return Status.REJECTED, event["mail"]["timestamp"], "Reject", Metric.REJECTED


def _rendering_failure(event: dict[str, Any]) -> Judgement:
    return Status.REJECTED, event["mail"]["timestamp"], "RenderingFailure", Metric.REJECTED


_JUDGES = {
    "Send": _send,
    "Delivery": _delivery,
    "DeliveryDelay": _delay,
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Reject": _reject,
    "Rendering Failure": _rendering_failure,
}
