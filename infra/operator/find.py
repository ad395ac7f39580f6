"""`find`: what became of an order's mails, in words, with all that is known of the way there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.operator.aws import Deployment
    from infra.operator.sending import Sending


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
    where nothing is to be said. next_step: what to do now.
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


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """Where an order was seen besides its records: on a queue, in dead letters, in a log."""

    place: str
    what: str
    at: str
    next_step: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer: what was announced, where else it was seen, and whether mails go out at all."""

    term: str
    stories: list[Story]
    elsewhere: list[Sighting]
    sending: Sending
    notes: list[str]


def find(deployment: Deployment, term: str) -> Finding:
    """Find an order by its id, a message id, a notification id, an execution's name or ARN."""
    raise NotImplementedError
