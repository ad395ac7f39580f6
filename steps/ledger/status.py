"""What is known of a notification: its statuses in the order of finality, and how they are folded."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(StrEnum):
    """What is known of a notification, from least to most final: see the README for what each means.

    A later one is never undone by an earlier one. A bounce after "delivered" is the truth: the server
    took the mail and then gave it back.
    """

    CLAIMED = "CLAIMED"
    SENDING = "SENDING"
    FAILED = "FAILED"
    SENT = "SENT"
    DELAYED = "DELAYED"
    UNDELIVERED = "UNDELIVERED"
    DELIVERED = "DELIVERED"
    REJECTED = "REJECTED"
    BOUNCED = "BOUNCED"
    COMPLAINED = "COMPLAINED"


UNSENT = frozenset({Status.CLAIMED, Status.SENDING, Status.FAILED})
"""The statuses of a mail of which nobody knows yet that SES accepted it."""

_FINALITY = tuple(Status)


def fold(status: Status, reported: Iterable[Status | None]) -> Status:
    """Return the status of a mail of which `reported` is known besides: the most final of them all.

    The order and the number of repetitions make no difference.
    """
    return max([status, *(r for r in reported if r)], key=_FINALITY.index)
