"""Where an order is that has no record: on the order queue, or in a rejected event that named none."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.operator import records
from infra.operator.letter_words import unmovable
from infra.operator.letters import ORDER_QUEUE, Kind, peek, unseen
from infra.operator.reasons import ENGINEER, why
from infra.operator.story import iso, waits
from steps.contract.order_id import UNKNOWN_ORDER
from steps.dispatch import order_shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from infra.operator.aws import Deployment
    from infra.operator.letters import Letter
    from infra.operator.trail import Line, Wait
    from steps.ledger.rules import Record

LOOKS, PAGE = 3, 10
"""Of the messages that are visible now, so many times ten are looked at: SQS shows no more at once."""

UNKNOWN_MAX = 500
"""Of the rejected events that name no order, the newest that are looked through."""


ON_THE_QUEUE = "order queue"
"""The place of an order that waits."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """Where an order was seen besides its records: on a queue, in dead letters, in a log."""

    place: str
    what: str
    at: str
    next_step: str


def waiting(wait: Wait, *, halted: bool) -> Sighting:
    """Say that a message waits on the queue, by what a dispatcher logged."""
    known = waits(wait, halted=halted)
    return Sighting(
        place=ON_THE_QUEUE, what=known.sentence, at=iso(wait.last), next_step=known.next_step
    )


@dataclass(frozen=True)
class Visible:
    """The messages of the order queue that could be seen now: those of the order, and how many in all."""

    sightings: list[Sighting]
    looked_at: int
    waiting: int


def visible(deployment: Deployment, orders: set[str]) -> Visible:
    """Look at the order queue: at messages that no dispatcher has taken yet.

    They stay visible, and each look counts as one of their receives. `orders`: as logs show them.
    """
    sqs, url = deployment.client("sqs"), deployment.queue_url(ORDER_QUEUE)
    counts = sqs.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )["Attributes"]
    seen: dict[str, dict[str, Any]] = {}
    if int(counts["ApproximateNumberOfMessages"]):
        for _ in range(LOOKS):
            messages = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=PAGE,
                VisibilityTimeout=0,
                AttributeNames=["SentTimestamp"],
            ).get("Messages", [])
            if not {message["MessageId"] for message in messages} - seen.keys():
                break
            seen |= {message["MessageId"]: message for message in messages}
    found = [
        Sighting(
            place=ON_THE_QUEUE,
            what="It is on the order queue, and no dispatcher has taken it up yet.",
            at=iso(_sent(message)),
            next_step="Wait a minute. If it stays there, the engineer on call looks whether the dispatcher "
            "runs: order-mail doctor.",
        )
        for message in seen.values()
        if order_shown(message["Body"]) in orders
    ]
    return Visible(found, len(seen), sum(map(int, counts.values())))


def _sent(message: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)


class InLetters(NamedTuple):
    """Where an order was seen in a dead-letter queue; and what could not be looked at, if anything."""

    sightings: list[Sighting]
    unseen: list[str]


def letters(
    deployment: Deployment,
    base: str,
    orders: Collection[str],
    notifications: Collection[str],
    texts: Collection[str],
) -> InLetters:
    """Look for an order in a dead-letter queue.

    orders: as logs show them. notifications: ids of its records. texts: what a letter that names no order may
    have of it.
    """
    look = peek(deployment, base)
    found = [
        dead(letter)
        for letter in look.letters
        if letter.order_id in orders
        or letter.notification_id in notifications
        or (not letter.order_id and any(says(letter.body, text) for text in texts))
    ]
    return InLetters(found, [unseen(base, look.unseen)] if look.unseen else [])


_LETTERS = {
    Kind.ORDER: (
        "The order was given up",
        "Once the cause is mended, the engineer on call sends it through again: order-mail dead.",
    ),
    Kind.SES_EVENT: (
        "A report of SES's about a mail could not be added to its record",
        "The engineer on call adds it: order-mail dead.",
    ),
    Kind.OUTCOME: (
        "The shop could not be told what became of the mail",
        "The engineer on call tells it: order-mail dead.",
    ),
}


def dead(letter: Letter) -> Sighting:
    """Say what a dead letter means."""
    what, next_step = _LETTERS.get(
        letter.kind, ("It is named in a letter that is no order", ENGINEER)
    )
    because = why(letter.reason).sentence if letter.reason else "SQS moved it after too many tries."
    return Sighting(
        place=f"dead letters ({letter.queue})",
        what=f"{what}: {because}",
        at=letter.sent_at,
        next_step=f"{instead}." if (instead := unmovable(letter)) else next_step,
    )


def gone(line: Line) -> Sighting:
    """Say that an order was given up whose dead letter is not there any more, by what a dispatcher logged."""
    known = why(line.said.get("reason", ""))
    return Sighting(
        place="log of the dispatcher",
        what=f"The order was given up: {known.sentence} Its letter is not among the dead letters any more.",
        at=iso(line.at),
        next_step="Have the shop publish the event again, mended. Who took the letter away, and why, is in the "
        "audit log.",
    )


def nameless(deployment: Deployment, term: str) -> list[Record]:
    """Return the rejected events that name no order and have the term somewhere in their text."""
    kept = sorted(
        records.of_order(deployment, UNKNOWN_ORDER), key=lambda r: r["timestamp"], reverse=True
    )
    return [
        record
        for record in records.whole(deployment, kept[:UNKNOWN_MAX])
        if says(record.get("event", ""), term)
    ]


def says(text: str, term: str) -> bool:
    """Whether a text has a term that is not a part of a longer word; JSON may have escaped it."""
    return any(
        re.search(rf"(?<![\w-]){re.escape(written)}(?![\w-])", text) for written in _written(term)
    )


def _written(term: str) -> Iterator[str]:
    yield term
    yield json.dumps(term)[1:-1]
