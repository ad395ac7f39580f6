"""Which notification SES's id of a mail belongs to, by what the functions logged when SES took it.

No index has the message ids: it would cost a write unit per mail, and support asks for one now and then. Logs
are kept for as long as records are.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from infra.operator import trail
from infra.operator.trail import FEEDBACK_LOG, SEND_LOG
from steps.contract import limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.operator.aws import Deployment
    from infra.operator.trail import Line, Span, Trail

_MESSAGE_ID = re.compile(r"(?=.*-)[0-9A-Za-z-]{36,128}")
"""What may be one: SES says no more than that it is unique. Few order ids are as long."""

_MILLISECONDS = re.compile(r"01[0-9a-f]{2}([0-9a-f]{12})-.*")
"""How SES's ids begin, though nowhere is it written: where it is taken, and when, in epoch milliseconds."""

_BEFORE, _AFTER = timedelta(hours=1), timedelta(days=1)
"""Around that moment. Where the answer was lost, SES's first event that arrived tells of the mail."""


def may_be_message_id(term: str) -> bool:
    """Whether a term could be SES's id of a mail."""
    return _MESSAGE_ID.fullmatch(term) is not None


def sought(deployment: Deployment, message_id: str, now: datetime) -> Trail:
    """Return what was logged of a mail: first around the time in its id, else in all that is kept.

    A line has the `notification_id`, or, from before it did, the `order_id` alone.
    """
    if (at := _accepted_at(message_id)) and now - _kept() <= at <= now:
        found = _search(deployment, message_id, [trail.Span(at - _BEFORE, at + _AFTER)])
        if found.lines:
            return found
    return _search(deployment, message_id, trail.recent(now, 1, 14, _kept().days))


def names(lines: Sequence[Line]) -> list[str]:
    """Return the notification that lines about a mail name, and the order."""
    keys = ("notification_id", "order_id")
    return list(dict.fromkeys(str(s.said[key]) for key in keys for s in lines if s.said.get(key)))


def _kept() -> timedelta:
    return timedelta(seconds=limits.RECORD_TTL)


def _accepted_at(message_id: str) -> datetime | None:
    match = _MILLISECONDS.fullmatch(message_id)
    # Twelve digits are up to ten thousand years, beyond what a datetime holds.
    milliseconds = int(match[1], 16) if match else 0
    if not 0 < milliseconds < 2**43:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _search(deployment: Deployment, message_id: str, when: Sequence[Span]) -> Trail:
    return trail.follow(
        deployment,
        phrases=[message_id],
        when=when,
        belongs=lambda said: said.get("message_id") == message_id,
        logs=(SEND_LOG, FEEDBACK_LOG),
    )
