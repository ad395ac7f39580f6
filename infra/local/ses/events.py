"""The events that SES publishes for a configuration set, in AWS's shape.

Sources: "Examples of event data that Amazon SES publishes to Amazon SNS" and "Contents of event
data" in the SES developer guide, and published records of the mailbox simulator from 2025 and 2026,
which hold what the guide leaves out (`remoteMtaIp`, the `ses:*-tls-version` tags).
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.local.ses.account import Json, SesError, is_simulated
from infra.local.ses.mime import Email

# MatchingEventTypes' name -> the payload's eventType and the key of its object.
KINDS = {
    "SEND": ("Send", "send"),
    "DELIVERY": ("Delivery", "delivery"),
    "DELIVERY_DELAY": ("DeliveryDelay", "deliveryDelay"),
    "BOUNCE": ("Bounce", "bounce"),
    "COMPLAINT": ("Complaint", "complaint"),
    "REJECT": ("Reject", "reject"),
    "RENDERING_FAILURE": ("Rendering Failure", "failure"),
}
# Seconds after the acceptance when nothing goes wrong: short, so that a test need not wait.
_AFTER = {
    "SEND": 0.0,
    "REJECT": 0.1,
    "DELIVERY_DELAY": 0.05,
    "DELIVERY": 0.1,
    "BOUNCE": 0.1,
    "COMPLAINT": 0.2,
}
ON_LIST = "OnAccountSuppressionList"
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
    payload: Json

    @property
    def detail(self) -> Json:
        """The object of the event's own type."""
        detail: Json = self.payload[KINDS[self.kind][1]]
        return detail

    @property
    def to_suppress(self) -> list[str]:
        """The addresses that it puts on the suppression list: a hard bounce's, a complaint's."""
        detail = self.detail
        hard = detail.get("bounceType") == "Permanent"
        if self.kind == "BOUNCE" and hard and detail["bounceSubType"] != ON_LIST:
            return [r["emailAddress"] for r in detail["bouncedRecipients"]]
        if self.kind == "COMPLAINT" and detail["complaintSubType"] is None:
            return [r["emailAddress"] for r in detail["complainedRecipients"]]
        return []


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
    """Write a time as SES does: UTC with milliseconds and a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def new_id(now: datetime) -> str:
    """Make a message or feedback id as SES does: milliseconds in hex, a UUID, a counter."""
    return f"0100{int(now.timestamp() * 1000):012x}-{uuid.uuid4()}-000000"


def _mail(accepted: Accepted, kind: str) -> Json:
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


def _unknown_user(recipient: str) -> str:
    text = f"<{recipient}>"
    if recipient.lower().startswith("suppressionlist"):
        text = f"(suppressed address: {recipient})"
    return f"smtp; 550 5.1.1 As requested: user unknown {text}"


def _delivery(recipients: Sequence[str], at: datetime, taken: datetime) -> Json:
    return {
        "timestamp": iso(at),
        "processingTimeMillis": int((at - taken) / timedelta(milliseconds=1)),
        "recipients": list(recipients),
        "smtpResponse": "250 Ok",
        "remoteMtaIp": _REMOTE_IP,
        "reportingMTA": _MTA,
    }


def _bounced(at: datetime, kind: str, subtype: str, recipients: list[Json]) -> Json:
    return {
        "feedbackId": new_id(at),
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": recipients,
        "timestamp": iso(at),
    }


def _hard(recipient: str, diagnostic: str) -> Json:
    failed = {"action": "failed", "status": "5.1.1", "diagnosticCode": diagnostic}
    return {"emailAddress": recipient} | failed


def _bounce(recipients: Sequence[str], at: datetime, _: datetime) -> Json:
    failed = [_hard(r, _unknown_user(r)) for r in recipients]
    servers = {"remoteMtaIp": _REMOTE_IP, "reportingMTA": f"dns; {_MTA}"}
    return _bounced(at, "Permanent", "General", failed) | servers


def _suppression_bounce(recipients: Sequence[str], at: datetime, _: datetime) -> Json:
    failed = [_hard(r, _SUPPRESSED) for r in recipients]
    return _bounced(at, "Permanent", ON_LIST, failed) | {"reportingMTA": "dns; amazonses.com"}


def _mailbox_full(recipients: Sequence[str], at: datetime, _: datetime) -> Json:
    full = {"action": "failed", "status": "5.2.2", "diagnosticCode": "smtp; 552 5.2.2 Over quota"}
    return _bounced(
        at, "Transient", "MailboxFull", [{"emailAddress": r} | full for r in recipients]
    )


def _auto_reply(recipients: Sequence[str], at: datetime, _: datetime) -> Json:
    return _bounced(at, "Transient", "General", [{"emailAddress": r} for r in recipients])


def _complained(recipients: Sequence[str], at: datetime, subtype: str | None) -> Json:
    return {
        "feedbackId": new_id(at),
        "complaintSubType": subtype,
        "complainedRecipients": [{"emailAddress": r} for r in recipients],
        "timestamp": iso(at),
    }


def _complaint(recipients: Sequence[str], at: datetime, _: datetime) -> Json:
    return _complained(recipients, at, None) | {
        "userAgent": "Amazon SES Mailbox Simulator",
        "complaintFeedbackType": "abuse",
        "arrivalDate": iso(at),
    }


def _suppression_complaint(recipients: Sequence[str], at: datetime, _: datetime) -> Json:
    return _complained(recipients, at, ON_LIST)


def _delivery_delay(recipients: Sequence[str], at: datetime, taken: datetime) -> Json:
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


def _send(_: Sequence[str], _at: datetime, _taken: datetime) -> Json:
    return {}


def _reject(_: Sequence[str], _at: datetime, _taken: datetime) -> Json:
    return {"reason": "Bad content"}


def _rendering_failure(_: Sequence[str], _at: datetime, _taken: datetime) -> Json:
    return {
        "errorMessage": "Attribute 'name' is not present in the rendering data.",
        "templateName": "Template",
    }


_Build = Callable[[Sequence[str], datetime, datetime], Json]
"""Makes a type's own object, for its recipients, at its moment, after SES took the mail."""
_Planned = tuple[str, Sequence[str], _Build]
"""A kind of event, whom it is about, and what makes its object."""

_BUILD: dict[str, _Build] = {
    "SEND": _send,
    "DELIVERY": _delivery,
    "DELIVERY_DELAY": _delivery_delay,
    "BOUNCE": _bounce,
    "COMPLAINT": _complaint,
    "REJECT": _reject,
    "RENDERING_FAILURE": _rendering_failure,
}


def _event(
    accepted: Accepted, kind: str, recipients: Sequence[str], build: _Build, at: datetime
) -> Event:
    name, key = KINDS[kind]
    mail = _mail(accepted, kind)
    if kind == "RENDERING_FAILURE":  # there was nothing to take headers from
        del mail["headers"], mail["commonHeaders"]
    payload = {"eventType": name, "mail": mail, key: build(recipients, at, accepted.at)}
    return Event(kind, (at - accepted.at).total_seconds(), payload)


def make(accepted: Accepted, event_type: str, at: datetime, detail: Json) -> Event:
    """Make an event by hand, for `at`.

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
    made = _event(accepted, kind, accepted.email.recipients, _BUILD[kind], at)
    made.detail.update(detail)
    return made


def outcome(
    accepted: Accepted, suppressed: Mapping[str, str], *, delayed: bool, full: bool = False
) -> tuple[list[Event], tuple[str, ...]]:
    """Decide what becomes of a mail.

    Args:
        accepted: the mail.
        suppressed: recipients on the suppression list, with the reason they are there for.
        delayed: whether the delivery is put off once.
        full: whether the mailboxes are full, those of the simulator excepted.

    Returns:
        Its events in order, and the recipients whose inbox it reaches.
    """
    everyone = accepted.email.recipients
    infected = accepted.email.infected
    box = {r: _simulated_box(r) for r in everyone if r not in suppressed}
    bounced = [r for r in box if box[r] in {"bounce", "suppressionlist"}]
    over_quota = [r for r in box if full and not box[r]]
    delivered = () if infected else tuple(r for r in box if r not in {*bounced, *over_quota})

    def on_list(reason: str) -> list[str]:
        return [r for r in everyone if suppressed.get(r) == reason]

    rejected: list[_Planned] = [("REJECT", everyone, _reject)]
    handled: list[_Planned] = [
        ("DELIVERY_DELAY", delivered if delayed else (), _delivery_delay),
        ("DELIVERY", delivered, _delivery),
        ("BOUNCE", bounced, _bounce),
        ("BOUNCE", over_quota, _mailbox_full),
        ("BOUNCE", [r for r in box if box[r] == "ooto"], _auto_reply),
        ("BOUNCE", on_list("BOUNCE"), _suppression_bounce),
        ("COMPLAINT", [r for r in box if box[r] == "complaint"], _complaint),
        ("COMPLAINT", on_list("COMPLAINT"), _suppression_complaint),
    ]
    sent: _Planned = ("SEND", everyone, _send)
    return [
        _event(accepted, kind, recipients, build, accepted.at + timedelta(seconds=_AFTER[kind]))
        for kind, recipients, build in [sent, *(rejected if infected else handled)]
        if recipients
    ], delivered


def _simulated_box(address: str) -> str:
    """Return the simulator's mailbox, without a +label; empty for an address elsewhere."""
    local = address.lower().partition("@")[0].partition("+")[0]
    return local if is_simulated(address) else ""
