"""Volume: do far more mails go out than usual? Pure.

Whoever may publish orders is trusted, so nothing else stops a loop or a test that publishes orders with
ever new ids: each is one more mail, at the full rate that SES permits. The budget's alarm comes a day later.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict, final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

HOUR = timedelta(hours=1)

OVERLAP = timedelta(minutes=10)
"""What counts as the last hour is that much longer, so that no period falls between two hourly checks: one
that was not over at the first, or that CloudWatch had not heard of yet."""

FACTOR = 4
"""A sale doubles or trebles the best hour of a week."""

FLOOR = 500
"""Fewer mails in an hour do no harm, whatever was usual: that is a quarter of a day of 2,000."""


@final
class Volume(TypedDict):
    """Mails accepted by SES: in the last hour, and in the busiest hour of the days before it."""

    lastHour: int
    busiestHour: int


def measure(sent: Mapping[datetime, float], now: datetime) -> Volume:
    """Sum up what was counted, by the start of its period: in the last hour, and in those before it."""
    hours: Counter[int] = Counter()
    for at, mails in sent.items():
        hours[max(0, (now - at - OVERLAP) // HOUR)] += int(mails)
    last = hours.pop(0, 0)
    return {"lastHour": last, "busiestHour": max(hours.values(), default=0)}


def is_high(volume: Volume) -> bool:
    """Whether the last hour had far more mails than any before it."""
    return volume["lastHour"] > max(FLOOR, FACTOR * volume["busiestHour"])


def described(volume: Volume) -> str:
    """Say what is unusual, why it most often is, and what to do first."""
    return (
        f"{volume['lastHour']:,} mails went out in the last hour; the busiest hour of the week before had "
        f"{volume['busiestHour']:,}. Most often something publishes orders again and again with new ids: a "
        "loop, a retry that makes ids, an import of old orders, a load test. First: compare with the shop's "
        "own orders. If they are fewer, pause at once, then find out who publishes."
    )
