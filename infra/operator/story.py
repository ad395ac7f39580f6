"""What became of one notification, told from its record and the order's trail. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from infra.operator.reasons import SUPPRESSION, WAITS, Why, why
from infra.operator.trail import read_name
from infra.operator.words import STATUSES, announced
from steps.contract.errors import SendingPaused
from steps.contract.rejection_words import named
from steps.contract.state import FailureEnd
from steps.ledger import rules
from steps.ledger.ses_events import AUTOMATIC_REPLY, NOT_SPAM, SUPPRESSED, recall
from steps.ledger.status import UNSENT, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from infra.operator.trail import Execution, Trail, Wait
    from steps.ledger.rules import Record


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One line of a timeline: when (ISO 8601 UTC), what happened, more about it, and where to look."""

    at: str
    what: str
    detail: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Story:
    """What became of one notification.

    status: the record's; words: the same for people. reason: why, in a sentence for a shop assistant; empty
    where nothing is to be said. next_step: what to do now. announced: what the mail says, in words.
    """

    notification_id: str
    order_id: str
    event_type: str
    part: dict[str, str]
    recipient: str
    status: str
    words: str
    reason: str
    next_step: str
    timeline: list[Moment]
    details: dict[str, str] = field(default_factory=dict)
    announced: str = ""


class Suppressed(NamedTuple):
    """What the account's suppression list has of an address: since when (ISO 8601), and why."""

    since: str
    because: str


NOT_LISTED = "not listed"
"""Instead of what the suppression list has: nothing."""


class Pause(NamedTuple):
    """Sending was paused, or a pause was lifted."""

    at: datetime
    paused: bool
    by: str
    why: str


QUIET_AFTER = timedelta(hours=1)
"""SES reports a delivery within seconds, a delay within minutes; to hear nothing is unusual."""

_FAR = datetime(9999, 1, 1, tzinfo=UTC)


def tell(
    record: Record,
    trail: Trail,
    *,
    listed: Suppressed | str,
    pauses: Iterable[Pause],
    alone: bool,
    again: Record | None,
    halted: bool,
    link: Callable[[Execution], str],
    now: datetime,
) -> Story:
    """Tell a record's story.

    Args:
        record: all of it.
        trail: the order's.
        listed: what the suppression list has of its address; `NOT_LISTED`, or "" where it was not asked.
        pauses: of the time that it tells of.
        alone: whether it is its order's only notification, so that every execution is about it.
        again: the newest record of those that sent its mail again on purpose.
        halted: whether no mail goes out now.
        link: where an execution is shown.
        now: the moment that it is told at.
    """
    executions = [e for e in trail.executions if alone or is_of(record, e)]
    wait = _waiting(record, trail)
    reason = (
        _erased(record)
        if rules.is_erased(record)
        else _why(record, wait, listed, now, halted=halted)
    )
    next_step = _sent_again(again) if again else reason.next_step
    part = dict(record.get("part", {}))
    return Story(
        notification_id=record["notificationId"],
        order_id=record["orderId"],
        event_type=record.get("eventType", ""),
        part=part,
        recipient=record["customerEmail"],
        status=record["status"],
        words=_words(record, wait),
        reason=reason.sentence,
        next_step=next_step,
        timeline=_timeline(record, executions, trail, pauses, link=link, alone=alone),
        details=_details(record, listed),
        announced=announced(record.get("eventType", ""), part),
    )


def is_of(record: Record, execution: Execution) -> bool:
    """Whether an execution worked at the message that the record's claim is of."""
    return bool(message := message_of(record)) and execution.name.message == message


def message_of(record: Record) -> str:
    """Return the first digits of the id of the message that the record's claim is of."""
    name = read_name(record.get("owner", ""))
    return name.message if name else ""


def _waiting(record: Record, trail: Trail) -> Wait | None:
    """Return how the record's message waits on the queue, if it does."""
    if record["status"] not in (Status.CLAIMED, Status.SENDING):
        return None
    message = message_of(record)
    for wait in trail.waits:
        if message and wait.message.startswith(message) and not trail.is_over(wait.message):
            return wait
    return None


# --- why ------------------------------------------------------------------------------------------


def _words(record: Record, wait: Wait | None) -> str:
    return "Waiting" if wait else STATUSES[record["status"]].name


def _sent_again(again: Record) -> str:
    since, status = shown_time(first_written(again)), STATUSES[again["status"]].name.lower()
    return f"Nothing here: the mail was sent again at {since} ({status})."


def _why(
    record: Record, wait: Wait | None, listed: Suppressed | str, now: datetime, *, halted: bool
) -> Why:
    status = STATUSES[record["status"]]
    name, fields = record.get("reason", ""), record.get("reasons", ())
    plain = Why(status.sentence, status.next_step)
    if wait:
        return waits(wait, halted=halted)
    if fields:
        words = "; ".join(_fixed(fields))
        known = why(rules.INVALID_EVENT)
        return Why(f"{status.sentence} {known.sentence} {words}.", known.next_step)
    if record["status"] == Status.FAILED:
        maybe = " SES may have the mail all the same." if "sendingAt" in record else ""
        return Why(f"All attempts failed. {why(name).sentence}{maybe}", status.next_step)
    if name in SUPPRESSION:
        return _suppressed(name, listed)
    if name:
        known = why(name)
        sentence = known.sentence
        if record["status"] == Status.REJECTED:
            sentence = f"{status.sentence} {sentence}"
        if isinstance(listed, Suppressed):
            sentence += f" The address is on the account's suppression list {_since(listed)}:"
            sentence += " no mail of ours reaches it."
        return Why(sentence, known.next_step or status.next_step)
    return _quiet(record, plain, now)


def _erased(record: Record) -> Why:
    return Why(
        f"{STATUSES[record['status']].sentence} The customer's data was erased since.",
        "Nothing: no mail of it is sent again.",
    )


def _quiet(record: Record, plain: Why, now: datetime) -> Why:
    """Say that SES has told nothing for too long, where that is so."""
    if record["status"] == Status.SENT and _moment(record["timestamp"]) < now - QUIET_AFTER:
        return Why(
            "SES has the mail and has not said since what became of it.",
            "Tell the engineer on call: order-mail doctor says whether SES's reports arrive.",
        )
    return plain


def _fixed(reasons: Iterable[str]) -> list[str]:
    """Return a rejected event's reasons without what they may quote of it."""
    pairs = (reason.partition(": ") for reason in reasons)
    return named([{"path": path, "reason": sentence} for path, _, sentence in pairs])


def waits(wait: Wait, *, halted: bool | None) -> Why:
    """Say why a message waits on the order queue, and until when.

    `halted`: whether no mail goes out now; None where nobody asked.
    """
    known = why(wait.reason)
    if wait.reason == SendingPaused.__name__ and halted is None:
        known = Why("sending was paused at the last try.", WAITS)
    elif wait.reason == SendingPaused.__name__ and not halted:
        known = Why(
            "sending was paused.", "Nothing: the pause is lifted, and it goes out by itself."
        )
    return Why(
        f"It waits on the order queue since {shown_time(wait.since)}: {known.sentence}",
        f"{known.next_step} The next try is at {shown_time(wait.until)}.",
    )


def _suppressed(name: str, listed: Suppressed | str) -> Why:
    known = why(name)
    if isinstance(listed, Suppressed):
        sentence = (
            "SES did not try: the address is on the account's suppression list "
            f"{_since(listed)}, because of a {listed.because}."
        )
        return Why(sentence, known.next_step)
    if listed == NOT_LISTED:
        return Why(
            "SES did not try: the address was on the account's suppression list then. It is not on it now.",
            "Send the mail again: order-mail suppression retry.",
        )
    return known


def _since(listed: Suppressed) -> str:
    return f"since {listed.since[:10]}"


# --- when -----------------------------------------------------------------------------------------


def shown_time(moment: datetime) -> str:
    """Return a moment as people read it: `2026-11-30 03:12:07 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(moment: datetime) -> str:
    """Return a moment as the record has it: ISO 8601 UTC, to the second."""
    return rules.iso(moment.timestamp())


def _moment(text: str) -> datetime:
    """Read a moment that a record or SES wrote."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _FAR
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_epoch(seconds: object) -> datetime:
    return datetime.fromtimestamp(float(str(seconds)), UTC)


def first_written(record: Record) -> datetime:
    """Return when a record was made: its `sequence` begins with that."""
    if "sequence" in record:
        return _of_epoch(int(record["sequence"]) / 1000)
    return _moment(record["timestamp"])


def begun(record: Record) -> datetime:
    """Return when the first thing happened that a record tells of: its event was published, or it was made."""
    published = _of_epoch(record["publishedAt"]) if "publishedAt" in record else _FAR
    return min(published, first_written(record))


def last_written(record: Record) -> datetime:
    """Return the last moment that a record tells of; now is later."""
    return max(at for at, _ in (*_of_record(record), *_of_ses(record)))


Happened = tuple[datetime, Moment]


def _happened(at: datetime, what: str, detail: str = "", link: str = "") -> Happened:
    return at, Moment(at=iso(at), what=what, detail=detail, link=link)


def _of_record(record: Record) -> Iterator[Happened]:
    """Yield what the record itself tells of the way to SES."""
    if "publishedAt" in record:
        at = _of_epoch(record["publishedAt"])
        again = " again" if at > first_written(record) else ""
        yield _happened(at, f"Published{again}: the event is on the order queue")
    rejected_event = record["notificationId"].startswith("rejected-")
    made = "The event was rejected" if rejected_event else "Taken up: the notification was claimed"
    yield _happened(first_written(record), made)
    if "sendingAt" in record:
        yield _happened(_of_epoch(record["sendingAt"]), "Handed to SES")
    if rules.is_settled(record):
        yield _happened(_moment(record["timestamp"]), "Sent: SES accepted the mail")


def _of_ses(record: Record) -> Iterator[Happened]:
    """Yield what came after the attempts: what SES told of the mail, duplicates, the end."""
    words = [recall(folded.rpartition("#")[0] or folded) for folded in record.get("events", ())]
    for word in sorted(words, key=lambda word: (word.moment, _STAGES.index(word.status))):
        if (at := _moment(word.moment)) is not _FAR:
            yield _happened(at, *_said(word.status, word.subtypes))
    if "ignoredAt" in record:
        times = int(record.get("ignored", 1))
        yield _happened(
            _moment(record["ignoredAt"]),
            "An event that says something else was ignored as a duplicate",
            f"{times} in all; this is the last",
        )
    if "endedAt" in record:
        yield _happened(
            _of_epoch(record["endedAt"]), f"Ended: {STATUSES[record['status']].name.lower()}"
        )


_STAGES = (*Status, None)

_EVENTS = {
    None: "SES: taken out of the junk",
    Status.SENT: "SES: sending",
    Status.DELIVERED: "SES: delivered",
    Status.DELAYED: "SES: delayed",
    Status.UNDELIVERED: "SES: given up",
    Status.BOUNCED: "SES: came back",
    Status.COMPLAINED: "SES: reported as spam",
    Status.REJECTED: "SES: rejected",
}


def _said(status: Status | None, subtypes: str) -> tuple[str, str]:
    if subtypes == AUTOMATIC_REPLY:
        return "SES: an automatic reply came", ""
    what = _EVENTS[status]
    if subtypes.rpartition("/")[2] in SUPPRESSED:
        what = "SES: held back"
    if not subtypes or subtypes == NOT_SPAM:
        return what, ""
    return what, f"{subtypes}: {why(subtypes).sentence}"


_ENDS = {
    "Sent": "Attempt: sent",
    "Duplicate": "Attempt: a duplicate, nothing to do",
    "InProgress": "Attempt: another one is at it",
    "Rejected": "Attempt: rejected",
    FailureEnd.DEFERRED: "Attempt: put off",
    FailureEnd.IN_DOUBT: "Attempt: SES gave no answer",
    FailureEnd.FAILED: "Attempt: a fault",
    FailureEnd.GAVE_UP: "Attempt: given up",
}

_SAID = {
    "in doubt: no event of SES's came, sending again": "Sent again: SES never told of the first try",
    "a second mail went out": "A second mail went out",
}


def attempts(
    executions: Iterable[Execution], link: Callable[[Execution], str]
) -> Iterator[Happened]:
    """Yield executions at their ends, and what their functions said that an operator wants to know."""
    for execution in executions:
        detail = arn_name(execution)
        if execution.error and execution.end not in ("Sent", "Duplicate"):
            detail += f". {execution.error}: {why(execution.error).sentence}"
        for line in execution.said:
            if word := _SAID.get(line.said.get("message", "")):
                yield _happened(line.at, word, link=link(execution))
        what = _ENDS.get(execution.end, "Attempt: its end is not known")
        yield _happened(execution.last, what, detail, link(execution))


def arn_name(execution: Execution) -> str:
    """Return an execution's name."""
    name = execution.name
    return f"{name.order}-{name.message}-{name.receives}" if name.order else execution.arn


def _of_queue(record: Record, trail: Trail, *, alone: bool) -> Iterator[Happened]:
    message = message_of(record)
    for wait in trail.waits:
        if alone or (message and wait.message.startswith(message)):
            yield from put_back(wait)
    for id_, line in trail.dead.items():
        if alone or (message and id_.startswith(message)):
            reason = line.said.get("reason", "")
            yield _happened(
                line.at, "Put into the dead letters", f"{reason}: {why(reason).sentence}"
            )


def put_back(wait: Wait) -> Iterator[Happened]:
    """Yield the first and the last time that a message was put back."""
    detail = f"{wait.reason}: {why(wait.reason).sentence}"
    yield _happened(wait.since, "Put back on the queue", detail if wait.times == 1 else "")
    if wait.times > 1:
        yield _happened(wait.last, f"Put back on the queue, {wait.times} times so far", detail)


def _of_pauses(pauses: Iterable[Pause]) -> Iterator[Happened]:
    for pause in pauses:
        what = "Sending was paused" if pause.paused else "The pause was lifted"
        yield _happened(pause.at, what, f"by {pause.by}: {pause.why}")


def _timeline(
    record: Record,
    executions: Iterable[Execution],
    trail: Trail,
    pauses: Iterable[Pause],
    *,
    link: Callable[[Execution], str],
    alone: bool,
) -> list[Moment]:
    told = [
        *_of_pauses(pauses),
        *_of_record(record),
        *attempts(executions, link),
        *_of_queue(record, trail, alone=alone),
        *_of_ses(record),
    ]
    return in_order(told)


def in_order(told: Iterable[Happened]) -> list[Moment]:
    """Sort moments; records know no less than a second, so those of one stay as told."""
    return [moment for _, moment in sorted(told, key=lambda one: iso(one[0]))]


def _details(record: Record, listed: Suppressed | str) -> dict[str, str]:
    """Return what else is known and is no other's: ids, counts."""
    found = {
        "message id": record.get("messageId", ""),
        "links in place of attachments": record.get("attachmentsLinked", ""),
        "sent again": str(again) if (again := rules.resends(record)) else "",
        "second mails": ", ".join(sorted(record.get("secondMessageIds", ()))),
        "given up by SES before": ", ".join(sorted(record.get("superseded", ()))),
        "last claimed by": record.get("owner", ""),
        "expires": iso(_of_epoch(record["ttl"])) if "ttl" in record else "",
        "counts as not delivered from": iso(_of_epoch(record["overdueAt"]))
        if "overdueAt" in record
        else "",
    }
    if isinstance(listed, Suppressed):
        found["on the suppression list"] = f"{_since(listed)}, because of a {listed.because}"
    return {name: value for name, value in found.items() if value}


def is_unsent(record: Record) -> bool:
    """Whether nobody knows yet that SES has the mail."""
    return record["status"] in UNSENT
