"""What a dead letter is, why it is there and what to do with it, in words; and what may be shown of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from infra.operator.audit import without_addresses
from infra.operator.letters import Kind, Letter, parsed
from infra.operator.output import HIDDEN
from steps import kinds
from steps.contract.order_id import shown
from steps.dispatch import MESSAGE_TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WORDS = {
    Kind.ORDER: "an order that was given up: no mail went out",
    Kind.SES_EVENT: "an event of SES's that could not be added to its record",
    Kind.OUTCOME: "an outcome that the shop was not told of",
    Kind.LATE_NOTICE: "a notice: {what}, and nothing is lost yet",
    Kind.STREAM_BATCH: "outcomes that waited for 23 hours and were given up",
    Kind.SCHEDULE: "EventBridge Scheduler could not start something",
    Kind.INVOCATION: "a run of a function that failed three times",
    Kind.UNKNOWN: "nothing that the system puts here",
}

_NEXT_STEPS = {
    Kind.ORDER: (
        "Mend the cause, then: order-mail dead redrive. An order that was sent before is a duplicate then"
    ),
    Kind.SES_EVENT: "Mend the cause, then: order-mail dead redrive. An event twice changes nothing",
    Kind.OUTCOME: (
        "The log of email-outcomes names the place. Mend it, then: order-mail dead redrive. An outcome that is"
        " told twice has the same id"
    ),
    Kind.LATE_NOTICE: (
        "The log of {function} has the reason in its warnings '{warning}'. Mend it, then: order-mail dead drop."
        " There is one every hour"
    ),
    Kind.STREAM_BATCH: (
        "Nothing can be told anew: have the shop read the records of that time. Then: order-mail dead drop"
    ),
    Kind.SCHEDULE: (
        "Mend the cause, most often the schedule's role, then: order-mail dead drop. The next run comes by"
        " itself"
    ),
    Kind.INVOCATION: (
        "Read the function's log, then: order-mail dead drop. The next hour's run does the work; what was"
        " rejected is told by hand this time"
    ),
    Kind.UNKNOWN: "Find out who put it here, then: order-mail dead drop",
}

_LATE = {
    "outcomesWaitSince": {
        "what": "the shop waits for outcomes",
        "function": "email-outcomes",
        "warning": "outcomes not published",
    },
    "sesEventsWaitSince": {
        "what": "SES's events wait to be added to their records",
        "function": "email-feedback",
        "warning": "event not folded in",
    },
}
"""What a notice is about, by the field that it has."""

_LOST = {
    Kind.ORDER: "the order event: the customer gets no mail unless the shop publishes it again",
    Kind.SES_EVENT: "what SES said of a mail: its record stays as it is",
    Kind.OUTCOME: "an outcome: the shop is not told of it",
}


def words(letter: Letter) -> str:
    """Say what a letter is, and why it is here."""
    what = _of(_WORDS, letter)
    if letter.reason == MESSAGE_TOO_LARGE:
        return f"{what}: the event is larger than the workflow takes"
    if letter.detail:
        return f"{what}: {letter.reason}: {letter.detail}"
    if letter.reason:
        return f"{what}: {letter.reason}"
    if letter.kind is Kind.ORDER:
        return f"{what}: SQS itself moved it, since the dispatcher died each time, or SNS did"
    return what


def next_step(letter: Letter) -> str:
    """Say what to do with a letter."""
    return unmovable(letter) or _of(_NEXT_STEPS, letter)


def unmovable(letter: Letter) -> str:
    """Say what to do with a letter that cannot be sent through again; nothing where it can."""
    if letter.kind not in {Kind.ORDER, Kind.SES_EVENT, Kind.OUTCOME}:
        return _of(_NEXT_STEPS, letter)
    if letter.reason == MESSAGE_TOO_LARGE:
        return (
            "It would be too large again: have the shop publish a smaller event (fewer items, shorter texts),"
            " then: order-mail dead drop"
        )
    return ""


def _of(sentences: Mapping[Kind, str], letter: Letter) -> str:
    """Return the sentence about a letter; that about a notice says what waits."""
    sentence = sentences[letter.kind]
    if letter.kind is not Kind.LATE_NOTICE:
        return sentence
    return sentence.format(**next(_LATE[name] for name in parsed(letter.content) if name in _LATE))


def lost(chosen: Iterable[Letter]) -> list[str]:
    """Say what is lost with letters, each kind once."""
    return sorted({_LOST.get(letter.kind, "a message to the operators") for letter in chosen})


_PLAIN = frozenset(
    {
        *("eventType", "eventName", "eventTimestamp", "orderTimestamp", "currency", "locale"),
        *("status", "timestamp", "sequence", "notificationId", "messageId", "sendingAccountId"),
        *("bounceType", "bounceSubType", "complaintFeedbackType", "complaintSubType", "delayType"),
        *(*_LATE, "DDBStreamBatchInfo", "requestContext", "responseContext"),
        *("tags", "ApproximateCreationDateTime", "SequenceNumber"),
    }
)
"""The fields that say nothing of a customer."""


@functools.cache
def _ids() -> frozenset[str]:
    """Return the fields with the shop's own ids, which may be anything."""
    identities = (kinds.kind(name).identity for name in kinds.names())
    return frozenset({"orderId", *filter(None, identities)})


def masked(letter: Letter) -> Any:
    """Return what a letter holds, without what may be about a customer."""
    fields = parsed(letter.content)
    return _masked(fields) if fields else f"({len(letter.content)} characters, no JSON object)"


def _masked(value: Any, *, plain: bool = False, an_id: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            # A name that is none of the field names that are known may be anything, too.
            without_addresses(name): _masked(
                inner, plain=plain or name in _PLAIN, an_id=an_id or name in _ids()
            )
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, plain=plain, an_id=an_id) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if an_id:
        return shown(str(value))
    return without_addresses(str(value)) if plain else HIDDEN
