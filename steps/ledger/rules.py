"""The send ledger: one record per notification, and who may change it from which status to which.

Pure: each function returns the write to make (`Put` or `Update`) or judges a record that was found;
`steps.aws.ledger_table` carries writes out. Every write is conditional, so a repeated or late one
changes nothing.

Record (DynamoDB item; epoch seconds where a number is a time):
    notificationId  partition key, see `notification_id`
    orderId, eventType, customerEmail, status, timestamp (ISO 8601 UTC)
    part            the parcel or the refund that it is about, by its field: `{"shipmentId": "P1"}`
    publishedAt     since when the message that claimed it is on the order queue
    sequence        larger after each write: orders what the record says, see `first_sequence`
    content         names what the mail says, see `OrderEvent.content`
    resendOf        the notification that this one sends again, on purpose
    resend          why, who said so, and when: `{"reason": ..., "by": ..., "at": ...}`
    ignored, ignoredAt  how often an event of this identity said something else and was a duplicate; when last
    owner           the execution that holds the claim
    leaseUntil      until when a CLAIMED record is its owner's alone
    inDoubt         the claim was taken over from a mail that SES may have
    handoverId      names the last call of SES: what is written about a call must match it
    attachmentsLinked  why the mail goes with links in place of its attachments:
                    `steps.contract.attachments.Unattached`
    sendingAt       when that call began; gone once SES is known not to have taken the mail
    messageId       SES's message id, once it accepted the mail
    promotedBy      the invocation that learned of the acceptance from an event of SES's
    resends         how often the mail went to SES again after a call that SES took or may have taken
    endedAt         when a mail was given up, refused or written off: what may be claimed anew
    secondMessageIds  ids of further mails that SES accepted: the one proof that a mail went out twice
    superseded      ids of mails that SES gave up on, before this one was sent in their place
    events          what SES reported: a set of `<type>|<subtypes>|<time>#<invocation>`, see
                    `steps.ledger.ses_events`
    overdue, overdueAt  of a DELAYED mail: from when on it counts as UNDELIVERED without a further word
    reasons, event  of a REJECTED event: every wrong field, and the message as it came
    reason          why a mail did not go or arrive: an error's class name, or SES's bounce types
    erasedAt        since when it says nothing of the customer (ISO 8601 UTC): `customerEmail` is empty then
    ttl             when the record expires; DynamoDB deletes it within days of that

Source for the conditions: "Condition expressions", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from steps.contract import limits
from steps.contract.order_id import shown
from steps.ledger.ses_events import COMPLAINTS, recall, without_words
from steps.ledger.status import UNSENT, Status, fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steps.ledger.ses_events import SesEvent, Word

Record = dict[str, Any]

INVALID_EVENT = "InvalidEvent"
"""The reason of a claimed notification whose event is not accepted any more."""

FOLDED = (
    "notificationId",
    "orderId",
    "customerEmail",
    "status",
    "owner",
    "messageId",
    "sendingAt",
    "resends",
    "promotedBy",
    "events",
    "secondMessageIds",
    "superseded",
    "reason",
    "reasons",
    "overdue",
    "overdueAt",
    "erasedAt",
)
"""What is read of a record to fold an event into it: all that a rule below asks for, and no order."""

EXECUTIONS = "executions"
"""Of the item of a message's attempts: those that failed by a bug."""

OVERDUE_GRACE = 60 * 60
"""Seconds beyond SES's own time limit in which it may still report what became of a delayed mail."""


def is_settled(record: Record) -> bool:
    """Whether SES is known to have accepted the mail.

    A mail that SES refused at the door is REJECTED without a message id: an earlier call that was in
    doubt may have been accepted all the same.
    """
    status = Status(record["status"])
    return status not in UNSENT and (status is not Status.REJECTED or "messageId" in record)


def is_erased(record: Record) -> bool:
    """Whether a record says nothing of its customer any more. It is a duplicate of whatever comes."""
    return "erasedAt" in record


def notification_id(
    order_id: str,
    event_type: str,
    recipient: str,
    part: Mapping[str, str] | None = None,
    resent: Sequence[str] | None = None,
) -> str:
    """Name the notification: 40 hex digits of a SHA-256 over all that may have one mail together.

    A part of an order (`{"shipmentId": "P1"}`) has a mail of its own; without one the id is the whole
    order's. So has what is sent again on purpose (`OrderEvent.resent`). Fits an SES message tag
    (`A-Za-z0-9_-`, at most 256 characters) and holds no personal data. Case does not make another
    recipient: mailbox providers ignore it.
    """
    identity: list[str | Sequence[str]] = [order_id, event_type, recipient.casefold()]
    identity += (part or {}).values()
    if resent:
        identity.append(resent)  # A list in the list: no part's id reads like it.
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]


def first_sequence(now: float) -> int:
    """Return what `sequence` begins with: the moment in milliseconds.

    Each write adds one. So a record that is made again, when the one before has expired or was deleted, goes
    on above it.
    """
    return int(now * 1000)


def rejected_id(message: str) -> str:
    """Name a rejected message by its content, so that publishing it again adds no second record."""
    return "rejected-" + hashlib.sha256(message.encode()).hexdigest()[:40]


def attempts_id(message_id: str) -> str:
    """Name the item that counts the attempts at a message of the queue."""
    return f"{ATTEMPTS_PREFIX}{message_id}"


ATTEMPTS_PREFIX = "attempts-"
"""What the keys of those items begin with: they lie beside the records."""


def resends(record: Record) -> int:
    """How often the mail went to SES again after a call that SES took or may have taken."""
    # Older records say `doubts`; the last of them expires 90 days after an upgrade.
    return int(record.get("resends") or record.get("doubts") or 0)


def is_unflagged(record: Record) -> bool:
    """Whether one more mail, besides those that a settled record knows of, is more than it admits to."""
    return len(record.get("secondMessageIds", ())) >= resends(record)


def expects(record: Record, message_id: str) -> bool:
    """Whether SES may have accepted a mail of this id for the record.

    The record knows the id, or SES was called more often than the record knows of mails: with the call that
    `sendingAt` tells of, and once for each of the `resends`. A claim that never reached SES expects nothing.
    """
    known = {*record.get("secondMessageIds", ()), *record.get("superseded", ())}
    known |= {record["messageId"]} if "messageId" in record else set()
    calls = resends(record) + ("sendingAt" in record)
    return message_id in known or calls > len(known)


@dataclass(frozen=True, kw_only=True)
class Put:
    """A PutItem. `condition` is a condition expression over `values` (without the leading colon)."""

    record: Record
    condition: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Update:
    """An UpdateItem of one record: sets, removes, adds to string sets, adds one to numbers.

    `sequence` is one of these whatever else it does.
    """

    notification_id: str
    condition: str
    values: Mapping[str, Any]
    add: Mapping[str, frozenset[str]] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    set: Mapping[str, Any]
    count: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[str, ...]:
        """The numbers that it adds one to."""
        return ("sequence", *self.count)


@dataclass(frozen=True)
class New:
    """The claim is ours: go on. `in_doubt`: it was taken over from a mail that SES may have.

    `linked`: the mail goes without its attachments.
    """

    in_doubt: bool = False
    linked: bool = False


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
    """The claim is free to take: make `update`. `in_doubt`: SES may have the mail already.

    `linked`: the mail goes without its attachments.
    """

    update: Update
    in_doubt: bool
    linked: bool = False


Verdict = New | Duplicate | InProgress | TakeOver


def iso(now: float) -> str:
    """Format epoch seconds as ISO 8601 UTC to the second, as the contract's `timestamp` has it."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- dedup ----------------------------------------------------------------------------------------

_ABSENT = "attribute_not_exists(notificationId) OR #ttl <= :now"
"""There is no record, or only an expired one that TTL has not deleted yet."""

_OF_THIS_CLAIM = "#owner = :owner AND #status IN (:claimed, :sending)"
"""The record is this execution's, and nobody knows yet what became of its mail."""

_NOT_ERASED = "attribute_not_exists(erasedAt)"
"""Of each write that leads to a mail, or holds a text."""


def claim(
    *,
    notification_id: str,
    order_id: str,
    event_type: str,
    recipient: str,
    owner: str,
    now: float,
    part: Mapping[str, str] | None = None,
    published_at: int | None = None,
    content: str | None = None,
    resend: Mapping[str, str] | None = None,
) -> Put:
    """Claim a notification that has no record."""
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
            "sequence": first_sequence(now),
        }
        | _given(part=part, content=content, publishedAt=published_at)
        | _resent(resend),
        condition=_ABSENT,
        values={"now": int(now)},
    )


def _given(**attributes: object) -> Record:
    return {name: value for name, value in attributes.items() if value}


def _resent(resend: Mapping[str, str] | None) -> Record:
    if not resend:
        return {}
    said = {name: resend[name] for name in ("reason", "by", "at")}
    return {"resendOf": resend["of"], "resend": said}


def judge(
    record: Record,
    *,
    owner: str,
    started: int,
    now: float,
    grace: int = limits.IN_DOUBT_GRACE,
    content: str | None = None,
    published_at: int | None = None,
) -> Verdict:
    """Decide what a record that stood in the way of our claim means for `owner` at time `now`.

    `started`: when the execution `owner` began. What ended since is not its to begin anew.
    `grace`: seconds that a mail in doubt waits for SES's own event before it is sent again. In doubt is
    every mail that SES was called with and neither refused nor is known to have accepted.
    `content`: names what the mail of `owner` says. `published_at`: since when its message is on the queue.
    """
    status = Status(record["status"])
    if is_erased(record) or _has_arrived(record):
        return Duplicate(status)
    if status is Status.CLAIMED and record["owner"] == owner:
        # Our own write; its answer was lost.
        return New(in_doubt=record.get("inDoubt", False), linked=_LINKED in record)
    if int(record.get("endedAt", 0)) >= started:
        # Most likely it is this execution that is over, and Lambda runs its invocation late.
        return InProgress(limits.RETRY_DELAY_MIN)
    # By SES: an event that is not valid may be another message's, see `abandoned`.
    refused = status is Status.REJECTED and record.get("reason") != INVALID_EVENT
    if refused and "sendingAt" not in record and _message(record["owner"]) == _message(owner):
        # SQS delivered the message twice. It leaves the queue, so nobody would go on with a claim.
        return Duplicate(status)
    in_doubt = "sendingAt" in record and not is_settled(record)
    if (wait := _busy_until(record, grace) - int(now)) > 0:
        return InProgress(wait)
    # The notification's, whatever its events say: two that differ would undo each other's word for ever.
    linked = (status is Status.CLAIMED or in_doubt) and record.get(_LINKED)
    given = _given(
        inDoubt=in_doubt, content=content, publishedAt=published_at, attachmentsLinked=linked
    )
    update = _take_over(record, owner, now, in_doubt=in_doubt, given=given)
    return TakeOver(update, in_doubt=in_doubt, linked=bool(linked))


def _has_arrived(record: Record) -> bool:
    """Whether a mail that SES has may be with the recipient, or get there."""
    # Of two, one may yet.
    return is_settled(record) and (
        record["status"] != Status.UNDELIVERED or "secondMessageIds" in record
    )


def _message(execution: str) -> str:
    """Return what the executions of one message have in common: their name but for the try at its end.

    `execution`: an Express execution's ARN, `...:express:<workflow>:<name>:<uuid>`, see `steps.dispatch`.
    """
    name = execution.split(":")[-2] if ":" in execution else execution
    return name.rpartition("-")[0] or name


def _busy_until(record: Record, grace: int) -> int:
    """Return when a record that is not final may be taken over."""
    if record["status"] == Status.CLAIMED:
        return int(record["leaseUntil"])
    if "sendingAt" in record and not is_settled(record):
        return int(record["sendingAt"]) + grace
    return 0


_LINKED = "attachmentsLinked"

_OF_THE_MAIL_BEFORE = (
    *("reason", "reasons", "handoverId", "sendingAt", _LINKED),
    *("messageId", "promotedBy", "events", "endedAt", "inDoubt", "publishedAt"),
)
"""What a claim that is taken over forgets: word of the mail before must not pass for word of the next."""


def _take_over(record: Record, owner: str, now: float, *, in_doubt: bool, given: Record) -> Update:
    given_up_on = frozenset({record["messageId"]} if "messageId" in record else ())
    return Update(
        notification_id=record["notificationId"],
        set={
            "status": Status.CLAIMED,
            "timestamp": iso(now),
            "owner": owner,
            "leaseUntil": int(now) + limits.CLAIM_LEASE,
            # The mail that may follow is as young as any other's.
            "ttl": int(now) + limits.RECORD_TTL,
            "resends": resends(record) + (in_doubt or is_settled(record)),
        }
        | given,
        add={"superseded": given_up_on} if given_up_on else {},
        remove=tuple(name for name in _OF_THE_MAIL_BEFORE if name not in given),
        # Of several that saw the same record, one gets it: the owner changes with every claim.
        condition=f"#owner = :found AND #status = :seen AND {_NOT_ERASED}",
        values={"found": record["owner"], "seen": record["status"]},
    )


def differs(record: Record, content: str | None) -> bool:
    """Whether an event of the record's identity says something else than the mail that the record is of."""
    return bool(content) and record.get("content", content) != content


def ignored(record: Record, now: float) -> Update:
    """Note that an event which says something else was taken for a duplicate."""
    return Update(
        notification_id=record["notificationId"],
        set={"ignoredAt": iso(now)},
        count=("ignored",),
        condition="content = :content",
        values={"content": record["content"]},
    )


# --- send -----------------------------------------------------------------------------------------


def sending(
    *,
    notification_id: str,
    owner: str,
    handover_id: str,
    previous: str | None,
    now: float,
    attached: bool = False,
) -> Update:
    """Say that SES is about to be called; `previous` is the last call that the record knows of.

    The owner may say so again: the order workflow repeats its send step only where SES certainly does
    not have the mail. Each call names the one before it, so that a request which the network delivers
    late cannot pass for a new call. `attached`: with attachments, after all.
    """
    follows = "handoverId = :previous" if previous else "attribute_not_exists(handoverId)"
    return Update(
        notification_id=notification_id,
        set={
            "status": Status.SENDING,
            "timestamp": iso(now),
            "sendingAt": int(now),
            "handoverId": handover_id,
        },
        remove=(_LINKED,) if attached else (),
        condition=f"{_OF_THIS_CLAIM} AND {follows} AND {_NOT_ERASED}",
        values={"owner": owner, "claimed": Status.CLAIMED, "sending": Status.SENDING}
        | ({"previous": previous} if previous else {}),
    )


def linked(*, notification_id: str, owner: str, reason: str) -> Update:
    """Say that the mail goes with links in place of its attachments; the next claim is told so.

    Not while SES is called: what is said of a mail that is under way stays, also where this write comes late.
    """
    return Update(
        notification_id=notification_id,
        set={_LINKED: reason},
        condition=f"#owner = :owner AND #status = :claimed AND {_NOT_ERASED}",
        values={"owner": owner, "claimed": Status.CLAIMED},
    )


_OF_THIS_CALL = "#owner = :owner AND #status = :sending AND handoverId = :handover"


def refused(
    *,
    notification_id: str,
    owner: str,
    handover_id: str,
    now: float,
    linked: str | None = None,
) -> Update:
    """Take SENDING back: SES definitely did not accept the mail. The lease ends, so anyone may try.

    `linked`: why the mail goes with links in place of its attachments from here on.
    """
    return Update(
        notification_id=notification_id,
        set={"status": Status.CLAIMED, "timestamp": iso(now), "leaseUntil": int(now)}
        | _given(attachmentsLinked=linked),
        remove=("sendingAt",),
        condition=_OF_THIS_CALL,
        values={"owner": owner, "sending": Status.SENDING, "handover": handover_id},
    )


# --- record ---------------------------------------------------------------------------------------


def sent(
    *, notification_id: str, owner: str, handover_id: str, message_id: str, sent_at: str
) -> Update:
    """Record SES's acceptance. Where the record is not as the send step left it, see `learn`."""
    return Update(
        notification_id=notification_id,
        set={"status": Status.SENT, "timestamp": sent_at, "messageId": message_id},
        condition=_OF_THIS_CALL,
        values={"owner": owner, "sending": Status.SENDING, "handover": handover_id},
    )


def restored(
    *,
    notification_id: str,
    order_id: str,
    recipient: str,
    owner: str,
    message_id: str,
    sent_at: str,
    now: float,
    event_type: str | None = None,
    part: Mapping[str, str] | None = None,
    resend: Mapping[str, str] | None = None,
) -> Put:
    """Record SES's acceptance where somebody deleted the record: no copy of the event may send again."""
    return Put(
        record={
            "notificationId": notification_id,
            "orderId": order_id,
            "customerEmail": recipient,
            "status": Status.SENT,
            "timestamp": sent_at,
            "owner": owner,
            "messageId": message_id,
            "ttl": int(now) + limits.RECORD_TTL,
            "sequence": first_sequence(now),
        }
        | _given(eventType=event_type, part=part)
        | _resent(resend),
        condition=_ABSENT,
        values={"now": int(now)},
    )


def released(*, notification_id: str, owner: str, now: float) -> Update:
    """End the lease of a claim whose owner failed before it called SES, so that anyone may try at once."""
    return Update(
        notification_id=notification_id,
        set={"leaseUntil": int(now)},
        condition="#owner = :owner AND #status = :claimed",
        values={"owner": owner, "claimed": Status.CLAIMED},
    )


def refused_as_it_is(*, notification_id: str, owner: str, reason: str, now: float) -> Update:
    """Record that SES refuses a mail. The event may be mended and published again."""
    return Update(
        notification_id=notification_id,
        set=_end(Status.REJECTED, reason, now),
        remove=("sendingAt",),
        condition=_OF_THIS_CLAIM,
        values={"owner": owner, "claimed": Status.CLAIMED, "sending": Status.SENDING},
    )


def given_up(*, notification_id: str, owner: str, reason: str, now: float) -> Update:
    """Record that a mail is given up: by the claim's owner, or where that one is over.

    Its event may be redriven. A mail in doubt (SENDING) that is given up stays in doubt.
    """
    return Update(
        notification_id=notification_id,
        set=_end(Status.FAILED, reason, now),
        condition=(
            f"({_OF_THIS_CLAIM}) OR (#status = :claimed AND leaseUntil <= :now)"
            " OR (#status = :sending AND sendingAt <= :over)"
        ),
        values={
            "owner": owner,
            "claimed": Status.CLAIMED,
            "sending": Status.SENDING,
            "now": int(now),
            "over": int(now) - limits.CLAIM_LEASE,
        },
    )


def _end(status: Status, reason: str, now: float) -> dict[str, Any]:
    return {"status": status, "timestamp": iso(now), "endedAt": int(now), "reason": reason}


def rejected(
    *,
    notification_id: str,
    rejection: Mapping[str, Any],
    owner: str,
    now: float,
    published_at: int | None = None,
    of_an_erased: bool = False,
) -> Put:
    """Keep an invalid event with its reasons, for 14 days. The same message again changes nothing.

    `of_an_erased`: the record of the notification that it would be is erased, so nothing is kept of it but
    that it came.
    """
    put = _rejected(notification_id, rejection, owner, now, published_at)
    if not of_an_erased:
        return put
    erasure = erased(put.record, now)
    kept = {name: value for name, value in put.record.items() if name not in erasure.remove}
    return replace(put, record=kept | dict(erasure.set))


def _rejected(
    notification_id: str,
    rejection: Mapping[str, Any],
    owner: str,
    now: float,
    published_at: int | None,
) -> Put:
    return Put(
        record={
            "notificationId": notification_id,
            "orderId": rejection["orderId"],
            "customerEmail": rejection["customerEmail"],
            "status": Status.REJECTED,
            "timestamp": iso(now),
            "owner": owner,
            "reasons": _reasons(rejection),
            "event": rejection["event"],
            "ttl": int(now) + limits.REJECTED_EVENT_TTL,
            "sequence": first_sequence(now),
        }
        | _given(
            eventType=rejection.get("eventType"),
            part=rejection.get("part"),
            resendOf=rejection.get("resendOf"),
            publishedAt=published_at,
        ),
        condition=_ABSENT,
        values={"now": int(now)},
    )


def abandoned(*, notification_id: str, rejection: Mapping[str, Any], now: float) -> Update:
    """End a notification that was claimed once and whose event is invalid by now: too old, above all.

    An execution that is at it still loses its claim, and its message comes back; where it has called SES
    already, its receipt has the last word.
    """
    return Update(
        notification_id=notification_id,
        set={
            "status": Status.REJECTED,
            "timestamp": iso(now),
            "endedAt": int(now),
            "reason": INVALID_EVENT,
            "reasons": _reasons(rejection),
        },
        condition=f"#status IN (:claimed, :sending, :failed) AND {_NOT_ERASED}",
        values={status.lower(): status for status in sorted(UNSENT)},
    )


def _reasons(rejection: Mapping[str, Any]) -> list[str]:
    return [f"{r['path']}: {r['reason']}" for r in rejection["reasons"]]


# --- what SES says --------------------------------------------------------------------------------

MAX_EVENTS = 30
"""Events kept per record, of about 70 bytes each, 350 at most. SES has two or three for an ordinary mail."""

ROOM_FOR_COUNTED = 10
"""And so many more deliveries, bounces and complaints, which are counted when they are kept."""

_MARK = "#"
"""Stands in `events` between an event's identity and the invocation that folded it in."""


def is_known(record: Record, event: SesEvent) -> bool:
    """Whether an event is folded in already."""
    return _as_kept(record, event) in map(_identity, record.get("events", ()))


def is_own(record: Record, event: SesEvent, *, by: str) -> bool:
    """Whether the message `by` itself has folded an event in."""
    return f"{_as_kept(record, event)}{_MARK}{by}" in record.get("events", ())


def _as_kept(record: Record, event: SesEvent) -> str:
    return without_words(event.identity) if is_erased(record) else event.identity


def _identity(folded: str) -> str:
    return folded.rpartition(_MARK)[0] or folded  # Older records have no mark.


def is_second(record: Record, event: SesEvent) -> bool:
    """Whether an event is about another mail than the one that the record knows to be sent."""
    others = record.get("secondMessageIds", frozenset())
    return is_settled(record) and event.message_id not in others | {record.get("messageId")}


def learn(record: Record, event: SesEvent, *, by: str, now: float) -> Update | None:
    """Fold what SES says of its mail into a record that was read.

    Conditional on what was read: of two events at once, one is folded again on top of the other. Whoever
    is the first to know that the mail was sent at all sets its time, and its message id, too. Status and
    reason come out the same in whatever order the events come, and however often.

    Of more than `MAX_EVENTS` only those are kept that make the status more final, those of a second mail,
    and a few that are counted: at most two dozen more. None is forgotten, so a repetition stays known, and
    the status is that of all.

    Args:
        record: as read.
        event: an event of SES's, or its receipt.
        by: names the message that brings the event.
        now: epoch seconds.

    Returns:
        None where the record knows it all already, or is full.
    """
    if event.message_id in record.get("superseded", ()) or is_known(record, event):
        return None
    settled, second = is_settled(record), is_second(record, event)
    if settled and not second and event.status is Status.SENT:
        return None
    status, reason = _word(record, event)
    if settled and not second and status == record["status"] and _is_full(record, event):
        return None
    attributes: dict[str, Any] = {"status": status}
    forgotten: tuple[str, ...] = ()
    if not settled:
        attributes |= {"timestamp": event.sent_at, "messageId": event.message_id, "promotedBy": by}
        forgotten += ("reasons",)
    if reason:
        attributes["reason"] = reason
    else:
        forgotten += ("reason",)
    if status is Status.UNDELIVERED:
        attributes["endedAt"] = int(now)
    if status is Status.DELAYED and event.gives_up_at:
        attributes |= {"overdue": status, "overdueAt": event.gives_up_at + OVERDUE_GRACE}
    elif status is not Status.DELAYED:
        forgotten += ("overdue", "overdueAt")
    added = {"events": f"{_as_kept(record, event)}{_MARK}{by}"} if event.identity else {}
    if second:
        added["secondMessageIds"] = event.message_id
    return Update(
        notification_id=record["notificationId"],
        set=attributes,
        remove=tuple(name for name in forgotten if name in record),
        add={name: frozenset({value}) for name, value in added.items()},
        **_as_read(record),
    )


def _is_full(record: Record, event: SesEvent) -> bool:
    room = MAX_EVENTS + (ROOM_FOR_COUNTED if event.metric else 0)
    return len(record.get("events", ())) >= room


def _word(record: Record, event: SesEvent) -> tuple[Status, str | None]:
    """Return the status by all that SES has said of a mail, and the reason that belongs to it."""
    seen = Status(record["status"]) if is_settled(record) else Status.SENT
    said = _said(record)
    if event.identity:
        said.append(recall(_as_kept(record, event)))
    status = fold(seen, [word.status for word in said])
    if deciding := _last(said, status):
        return status, deciding.reason
    return status, record.get("reason") if is_settled(record) else None


def last_word(record: Record) -> Word | None:
    """Return the last event of SES's that said what a record's status is; None where none did."""
    return _last(_said(record), Status(record["status"]))


def _said(record: Record) -> list[Word]:
    return [recall(_identity(folded)) for folded in record.get("events", ())]


def _last(said: list[Word], status: Status) -> Word | None:
    deciding = [word for word in said if word.status is status]
    return max(deciding, key=lambda word: (word.moment, word.subtypes), default=None)


def _as_read(record: Record) -> dict[str, Any]:
    """Return the condition under which a record is still what was read of it."""
    condition, values = "#status = :seen", {"seen": record["status"]}
    for name in ("events", "secondMessageIds"):
        if name in record:
            condition += f" AND size({name}) = :{name}"
            values[name] = len(record[name])
        else:
            condition += f" AND attribute_not_exists({name})"
    condition += " AND #owner = :owner"
    values["owner"] = record["owner"]
    if is_erased(record):
        condition += " AND erasedAt = :erased"
        values["erased"] = record["erasedAt"]
    else:
        condition += f" AND {_NOT_ERASED}"
    return {"condition": condition, "values": values}


# --- erasure --------------------------------------------------------------------------------------

_TEXTS = ("content", "event", "reasons", "resend")
"""What of a record is, holds or is made of what somebody wrote."""


def erased(record: Record, now: float) -> Update:
    """Take out of a record, given whole, all that says who its customer is. What is left is a tombstone.

    It keeps its key, its status, its `ttl` and SES's ids, so no event of its identity sends again, and what SES
    still reports is folded in. An id of the shop's that could be an address becomes what the logs show of it. A
    shop is told nothing of the erasure. Erasing it again changes nothing.

    Conditional on what was read. Where that fails the door returns what the record is by now, which is to be
    erased then:

        while record := table.write(rules.erased(record, now)):
            pass
    """
    kept = {"customerEmail": "", "erasedAt": record.get("erasedAt", iso(now))}
    if (order_id := shown(record["orderId"])) != record["orderId"]:
        kept["orderId"] = order_id
    events = frozenset(map(_wordless, record.get("events", ())))
    complaint = record["status"] == Status.COMPLAINED and record.get("reason") not in COMPLAINTS
    return Update(
        notification_id=record["notificationId"],
        set=kept
        | _given(
            part={name: shown(value) for name, value in record.get("part", {}).items()},
            events=events,
            # What the shop was told of a record with `reasons`: it is not to hear another word.
            reason="reason" not in record and record.get("reasons") and INVALID_EVENT,
        ),
        remove=(*_TEXTS, "reason") if complaint else _TEXTS,
        **_as_read(record),
    )


def _wordless(folded: str) -> str:
    identity = _identity(folded)
    return without_words(identity) + folded.removeprefix(identity)


# --- attempts -------------------------------------------------------------------------------------


def attempted(*, message_id: str, execution: str, now: float) -> Update:
    """Count an attempt at a message that failed by a bug; the same execution again counts nothing."""
    return Update(
        notification_id=attempts_id(message_id),
        set={"ttl": int(now) + limits.QUEUE_RETENTION},
        add={EXECUTIONS: frozenset({execution})},
        condition="attribute_not_exists(#status)",  # Always: no record has such a key.
        values={},
    )


NO_REPORT = "NoReportAfterDelay"
"""The reason of a mail that was delayed and of which SES never told the end."""


def overdue(*, notification_id: str, now: float) -> Update:
    """Write off a delayed mail: the time is over at which SES gave it up, and SES has not said so.

    A later event of SES's still changes the record. Fails where one was quicker, or moved the time.
    """
    return Update(
        notification_id=notification_id,
        set={"status": Status.UNDELIVERED, "reason": NO_REPORT, "endedAt": int(now)},
        remove=("overdue", "overdueAt"),
        condition="#status = :delayed AND overdueAt <= :now",
        values={"delayed": Status.DELAYED, "now": int(now)},
    )
