"""The events that SES publishes for a configuration set, in AWS's shape.

Sources: "Examples of event data that Amazon SES publishes to Amazon SNS" and "Contents of event
data" in the SES developer guide, and published records of the mailbox simulator from 2025 and 2026,
which hold what the guide leaves out (`remoteMtaIp`, the `ses:*-tls-version` tags).
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.ses.account import SesError, is_simulated
from infra.local.ses.mime import Email

Payload = dict[str, Any]
# MatchingEventTypes' name -> the payload's eventType and the key of its object.
KINDS = {
    "SEND": ("Send", "send"),
    "DELIVERY": ("Delivery", "delivery"),
    "DELIVERY_DELAY": ("DeliveryDelay", "deliveryDelay"),
    "BOUNCE": ("Bounce", "bounce"),
    "COMPLAINT": ("Complaint", "complaint"),
    "REJECT": ("Reject", "reject"),
    "RENDERING_FAILURE": ("Rendering Failure", "failure"),
    "OPEN": ("Open", "open"),
    "CLICK": ("Click", "click"),
}
# Seconds after the acceptance when nothing goes wrong: short, so that a test need not wait.
_AFTER = {"SEND": 0.0, "DELIVERY_DELAY": 0.05, "DELIVERY": 0.1, "BOUNCE": 0.1, "COMPLAINT": 0.2}
_SUPPRESSED = (
    "Amazon SES did not send the message to this address because it is on the suppression list "
    "for your account. For more information about removing addresses from the suppression list, "
    "see the Amazon SES Developer Guide at "
    "https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list.html"
)
_OUTGOING_IP = "192.0.2.1"
_REMOTE_IP = "192.0.2.25"
_MTA = "a1-1.smtp-out.amazonses.com"


@dataclass(frozen=True)
class Event:
    """One event of a mail: its kind (a key of KINDS), seconds after acceptance, payload."""

    kind: str
    after: float
    payload: Payload


@dataclass(frozen=True)
class Accepted:
    """A mail that SES took."""

    message_id: str
    at: datetime
    email: Email
    identity_arn: str
    account: str
    source_ip: str
    caller: str


def iso(moment: datetime) -> str:
    """As SES writes times: UTC with milliseconds and a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def new_id(now: datetime) -> str:
    """A message or feedback id as SES makes them: milliseconds in hex, a UUID, a counter."""
    return f"0100{int(now.timestamp() * 1000):012x}-{uuid.uuid4()}-000000"


def _mail(accepted: Accepted, kind: str) -> Payload:
    email = accepted.email
    delivered = kind == "DELIVERY"
    tags = {
        "ses:source-tls-version": ["TLSv1.3"],
        "ses:operation": ["SendEmail"],
        "ses:configuration-set": [email.config_set or ""],
        **({"ses:outgoing-tls-version": ["TLSv1.3"]} if delivered else {}),
        "ses:source-ip": [accepted.source_ip],
        "ses:from-domain": [email.sender.rpartition("@")[2]],
        "ses:caller-identity": [accepted.caller],
        **({"ses:outgoing-ip": [_OUTGOING_IP]} if delivered else {}),
        **email.tags,
    }
    return {
        "timestamp": iso(accepted.at),
        "source": email.source,
        "sourceArn": accepted.identity_arn,
        "sendingAccountId": accepted.account,
        "messageId": accepted.message_id,
        "destination": list(email.destination),
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in email.headers],
        "commonHeaders": email.common_headers,
        "tags": tags,
    }


def _hard(recipient: str, diagnostic: str) -> Payload:
    return {
        "emailAddress": recipient,
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": diagnostic,
    }


def _unknown_user(recipient: str) -> str:
    text = f"<{recipient}>"
    if recipient.lower().startswith("suppressionlist"):
        text = f"(suppressed address: {recipient})"
    return f"smtp; 550 5.1.1 As requested: user unknown {text}"


def _delivery(recipients: Sequence[str], at: datetime, taken: datetime) -> Payload:
    return {
        "timestamp": iso(at),
        "processingTimeMillis": int((at - taken) / timedelta(milliseconds=1)),
        "recipients": list(recipients),
        "smtpResponse": "250 Ok",
        "remoteMtaIp": _REMOTE_IP,
        "reportingMTA": _MTA,
    }


def _bounce(recipients: Sequence[str], at: datetime, _: datetime) -> Payload:
    return {
        "feedbackId": new_id(at),
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [_hard(r, _unknown_user(r)) for r in recipients],
        "timestamp": iso(at),
        "remoteMtaIp": _REMOTE_IP,
        "reportingMTA": f"dns; {_MTA}",
    }


def _suppression_bounce(recipients: Sequence[str], at: datetime, _: datetime) -> Payload:
    return {
        "feedbackId": new_id(at),
        "bounceType": "Permanent",
        "bounceSubType": "OnAccountSuppressionList",
        "bouncedRecipients": [_hard(r, _SUPPRESSED) for r in recipients],
        "timestamp": iso(at),
        "reportingMTA": "dns; amazonses.com",
    }


def _auto_reply(recipients: Sequence[str], at: datetime, _: datetime) -> Payload:
    return {
        "feedbackId": new_id(at),
        "bounceType": "Transient",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": r} for r in recipients],
        "timestamp": iso(at),
    }


def _complaint(recipients: Sequence[str], at: datetime, _: datetime) -> Payload:
    return {
        "feedbackId": new_id(at),
        "complaintSubType": None,
        "complainedRecipients": [{"emailAddress": r} for r in recipients],
        "timestamp": iso(at),
        "userAgent": "Amazon SES Mailbox Simulator",
        "complaintFeedbackType": "abuse",
        "arrivalDate": iso(at),
    }


def _suppression_complaint(recipients: Sequence[str], at: datetime, _: datetime) -> Payload:
    return {
        "feedbackId": new_id(at),
        "complaintSubType": "OnAccountSuppressionList",
        "complainedRecipients": [{"emailAddress": r} for r in recipients],
        "timestamp": iso(at),
    }


def _delivery_delay(recipients: Sequence[str], at: datetime, taken: datetime) -> Payload:
    return {
        "timestamp": iso(at),
        "delayType": "TransientCommunicationFailure",
        "expirationTime": iso(taken + timedelta(hours=14)),
        "delayedRecipients": [
            {
                "emailAddress": r,
                "status": "4.4.1",
                "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host",
            }
            for r in recipients
        ],
    }


def _seen(at: datetime) -> Payload:
    return {"timestamp": iso(at), "ipAddress": _REMOTE_IP, "userAgent": "Mozilla/5.0"}


_Build = Callable[[Sequence[str], datetime, datetime], Payload]
_BUILD: dict[str, _Build] = {
    "SEND": lambda _r, _at, _taken: {},
    "DELIVERY": _delivery,
    "DELIVERY_DELAY": _delivery_delay,
    "BOUNCE": _bounce,
    "COMPLAINT": _complaint,
    "REJECT": lambda _r, _at, _taken: {"reason": "Bad content"},
    "RENDERING_FAILURE": lambda _r, _at, _taken: {
        "errorMessage": "Attribute 'name' is not present in the rendering data.",
        "templateName": "Template",
    },
    "OPEN": lambda _r, at, _taken: _seen(at),
    "CLICK": lambda _r, at, _taken: {
        **_seen(at),
        "link": "https://example.com/",
        "linkTags": None,
    },
}


def _payload(accepted: Accepted, kind: str, detail: Payload) -> Payload:
    name, key = KINDS[kind]
    mail = _mail(accepted, kind)
    if kind == "RENDERING_FAILURE":  # there was nothing to take headers from
        del mail["headers"], mail["commonHeaders"]
    return {"eventType": name, "mail": mail, key: detail}


def make(accepted: Accepted, event_type: str, at: datetime, detail: Payload) -> Event:
    """An event by hand, for `at`.

    Args:
        accepted: the mail.
        event_type: as in the payload (`Bounce`) or in MatchingEventTypes (`BOUNCE`).
        at: when it happened.
        detail: fields that replace those of the type's object, e.g. `{"bounceType": "Transient"}`.

    Raises:
        SesError: BadRequestException for a type that SES does not have.
    """
    kind = next((k for k, v in KINDS.items() if event_type in {k, v[0]}), None)
    if kind is None:
        raise SesError("BadRequestException", f"eventType is one of {', '.join(KINDS)}.")
    built = _BUILD[kind](accepted.email.recipients, at, accepted.at)
    return Event(kind, 0, _payload(accepted, kind, built | detail))


def outcome(
    accepted: Accepted, suppressed: Mapping[str, str], *, delayed: bool
) -> tuple[list[Event], tuple[str, ...]]:
    """What becomes of a mail.

    Args:
        accepted: the mail.
        suppressed: recipients on the suppression list, with the reason they are there for.
        delayed: whether the delivery is put off once.

    Returns:
        Its events in order, and the recipients whose inbox it reaches.
    """
    events: list[Event] = []

    def add(kind: str, recipients: Sequence[str], build: _Build | None = None) -> None:
        if recipients:
            after = _AFTER.get(kind, 0.1)
            at = accepted.at + timedelta(seconds=after)
            detail = (build or _BUILD[kind])(recipients, at, accepted.at)
            events.append(Event(kind, after, _payload(accepted, kind, detail)))

    everyone = accepted.email.recipients
    open_ = [r for r in everyone if r not in suppressed]

    def simulated(*names: str) -> list[str]:
        """Recipients at the simulator's named boxes, with or without a +label."""
        return [
            r
            for r in open_
            if is_simulated(r) and r.lower().partition("@")[0].partition("+")[0] in names
        ]

    add("SEND", everyone)
    if accepted.email.infected:
        add("REJECT", everyone)
        return events, ()
    bounced = simulated("bounce", "suppressionlist")
    delivered = tuple(r for r in open_ if r not in bounced)
    if delayed:
        add("DELIVERY_DELAY", delivered)
    add("DELIVERY", delivered)
    add("BOUNCE", bounced)
    add("BOUNCE", simulated("ooto"), _auto_reply)
    add("BOUNCE", [r for r in everyone if suppressed.get(r) == "BOUNCE"], _suppression_bounce)
    add("COMPLAINT", simulated("complaint"))
    on_list = [r for r in everyone if suppressed.get(r) == "COMPLAINT"]
    add("COMPLAINT", on_list, _suppression_complaint)
    return events, delivered
