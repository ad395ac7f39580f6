"""What SES reports of a mail: its events, read.

Source: "Contents of event data that Amazon SES publishes to Amazon SNS", Amazon SES Developer Guide. Events
come unordered and repeated. Their words are the recipients' providers', so they are cut to what a record
may hold. The legacy notifications of an identity (`notificationType`) are none of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from steps.contract.errors import InvalidSesEvent
from steps.contract.metrics import Metric
from steps.contract.text import NOTIFICATION_ID
from steps.ledger.status import Status

NOTIFICATION_TAG = "notificationId"
"""The message tag that carries our id from SendEmail to every event."""

CONFIGURATION_SET_TAG = "ses:configuration-set"
"""The tag by which SES says through which configuration set a mail was sent."""

WORDS_MAX, MOMENT_MAX, MESSAGE_ID_MAX = 64, 32, 128
"""Characters of an event's subtypes and of its time, which are cut, and of a message id."""

SUPPRESSED = frozenset({"OnAccountSuppressionList", "Suppressed"})
"""Subtypes of mails that SES never tried to deliver; they are outside the rates."""

AUTOMATIC_REPLY = "AutomaticReply"
"""What an automatic reply is called here: SES calls it a bounce of the type Transient."""

NOT_SPAM = "not-spam"
"""The type of a complaint that is none: the recipient took the mail out of the junk."""

COMPLAINTS = SUPPRESSED | {"abuse", "auth-failure", "fraud", NOT_SPAM, "other", "virus"}
"""What a complaint may be called, by the guide. SES hands on whatever the recipient's provider wrote."""

TIME_LIMIT = timedelta(hours=14)
"""How long SES goes on with a mail that is put off, where an event does not say it itself."""


@dataclass(frozen=True, kw_only=True)
class SesEvent:
    """What SES says about one mail.

    identity: names the event itself, so that a repetition is recognised: type, subtypes and time. Empty
        where it is no event but SES's receipt.
    notification_id: our id from the tags; None where the mail has none, so is none of ours.
    configuration_set: what the mail was sent through; None where it says nothing of it.
    metric: the outcome to count, if it is one.
    gives_up_at: of a delayed mail, the epoch second at which SES stops trying.
    """

    identity: str
    message_id: str
    notification_id: str | None
    sent_at: str
    configuration_set: str | None = None
    metric: Metric | None = None
    gives_up_at: int | None = None

    @property
    def status(self) -> Status | None:
        """What it says of the mail."""
        return recall(self.identity).status if self.identity else Status.SENT


@dataclass(frozen=True)
class Word:
    """What an event said: the status, when (ISO 8601, as SES writes it), and its subtypes."""

    status: Status | None
    moment: str
    subtypes: str

    @property
    def reason(self) -> str | None:
        """Why the mail did not arrive; None where it did, or where there is nothing more to say."""
        return None if self.subtypes == AUTOMATIC_REPLY else self.subtypes or None


def receipt(message_id: str, sent_at: str) -> SesEvent:
    """Return what SES's answer to SendEmail says: that it accepted the mail, as its `Send` event does."""
    return SesEvent(identity="", message_id=message_id, notification_id=None, sent_at=sent_at)


def recall(identity: str) -> Word:
    """Read an event's identity, `<type>|<subtypes>|<time>`, without subtypes `<type>|<time>`."""
    type_, *between, moment = identity.split("|")
    subtypes = "|".join(between)
    return Word(_status(type_, subtypes), moment, subtypes)


_STATUSES = {
    "Send": Status.SENT,
    "Delivery": Status.DELIVERED,
    "DeliveryDelay": Status.DELAYED,
    "Bounce": Status.BOUNCED,
    "Complaint": Status.COMPLAINED,
    "Reject": Status.REJECTED,
    "Rendering Failure": Status.REJECTED,
}


def _status(type_: str, subtypes: str) -> Status | None:
    # A complaint's subtype is a word of the recipient's provider.
    match type_, subtypes:
        case "Complaint", _ if subtypes == NOT_SPAM:
            return None
        case "Bounce", _ if subtypes == AUTOMATIC_REPLY:
            return Status.DELIVERED
        case "Bounce", _ if subtypes.startswith("Transient/"):
            return Status.UNDELIVERED
    return _STATUSES[type_]


def without_words(identity: str) -> str:
    """Return an event's identity without a word of the recipient's provider's, which could be a name."""
    if not identity.startswith("Complaint|"):
        return identity
    type_, *between, moment = identity.split("|")
    return identity if "|".join(between) in COMPLAINTS else f"{type_}|{moment}"


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
        type_, mail = event["eventType"], event["mail"]
        if (read := _READERS.get(type_)) is None:
            return None
        moment, detail, metric = read(event)
        words = (type_, detail[:WORDS_MAX], moment[:MOMENT_MAX])
        identity = "|".join(word for word in words if word)
        identity.encode()  # Half a surrogate pair is no text that the table takes.
        return SesEvent(
            identity=identity,
            message_id=_message_id(mail),
            notification_id=_our_id(mail),
            configuration_set=_tag(mail, CONFIGURATION_SET_TAG),
            sent_at=_rounded(mail["timestamp"]),
            metric=metric,
            gives_up_at=_gives_up_at(event) if type_ == "DeliveryDelay" else None,
        )
    except (
        *(ValueError, KeyError, TypeError, IndexError, AttributeError),
        *(OverflowError, RecursionError),
    ) as error:
        raise InvalidSesEvent(f"not an event of SES's ({type(error).__name__})") from None


def _rounded(timestamp: str) -> str:
    """Return SES's time to the second, as the contract's `timestamp` has it.

    Raises:
        ValueError: it is none.
    """
    return datetime.fromisoformat(timestamp[:19]).isoformat() + "Z"


def _message_id(mail: dict[str, Any]) -> str:
    message_id: str = mail["messageId"]
    if not 0 < len(message_id.encode()) <= MESSAGE_ID_MAX:
        raise ValueError
    return message_id


def _tag(mail: dict[str, Any], name: str) -> str | None:
    value: str | None = (mail.get("tags") or {}).get(name, [None])[0]
    return value


def _our_id(mail: dict[str, Any]) -> str | None:
    """Return the notification's id; anything else under its tag would be another item of the table."""
    tagged = _tag(mail, NOTIFICATION_TAG)
    return tagged if tagged and NOTIFICATION_ID.fullmatch(tagged) else None


def _gives_up_at(event: dict[str, Any]) -> int:
    if expiration := event["deliveryDelay"].get("expirationTime"):
        moment = datetime.fromisoformat(expiration)
    else:
        moment = datetime.fromisoformat(event["mail"]["timestamp"]) + TIME_LIMIT
    return int(moment.timestamp())


Reading = tuple[str, str, Metric | None]
"""The event's own time, its subtypes, the metric that counts it."""


def _of_the_mail(event: dict[str, Any]) -> Reading:
    return event["mail"]["timestamp"], "", None


def _delivery(event: dict[str, Any]) -> Reading:
    return event["delivery"]["timestamp"], "", Metric.DELIVERED


def _delay(event: dict[str, Any]) -> Reading:
    delay = event["deliveryDelay"]
    return delay["timestamp"], delay["delayType"], None


def _bounce(event: dict[str, Any]) -> Reading:
    bounce = event["bounce"]
    if _is_automatic_reply(bounce):
        return bounce["timestamp"], AUTOMATIC_REPLY, None
    detail = f"{bounce['bounceType']}/{bounce['bounceSubType']}"
    # A full mailbox or a time-out is not the bounce that costs reputation.
    counts = bounce["bounceType"] != "Transient" and bounce["bounceSubType"] not in SUPPRESSED
    return bounce["timestamp"], detail, Metric.BOUNCED if counts else None


def _is_automatic_reply(bounce: dict[str, Any]) -> bool:
    """Whether the recipient's server took the mail and its owner is out of the office.

    SES reports it as a transient bounce without a delivery status (RFC 3464): nothing `failed`.
    """
    recipients = bounce.get("bouncedRecipients", ())
    return bounce["bounceType"] == "Transient" and any(
        not recipient.keys() & {"action", "status"} for recipient in recipients
    )


def _complaint(event: dict[str, Any]) -> Reading:
    complaint = event["complaint"]
    kind = complaint.get("complaintFeedbackType") or complaint.get("complaintSubType") or ""
    counts = kind != NOT_SPAM and complaint.get("complaintSubType") not in SUPPRESSED
    return complaint["timestamp"], kind, Metric.COMPLAINT if counts else None


def _refusal(event: dict[str, Any]) -> Reading:
    # Without its space "Rendering Failure" is a reason like any other.
    return event["mail"]["timestamp"], event["eventType"].replace(" ", ""), Metric.REJECTED


_READERS = {
    "Send": _of_the_mail,
    "Delivery": _delivery,
    "DeliveryDelay": _delay,
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Reject": _refusal,
    "Rendering Failure": _refusal,
}
