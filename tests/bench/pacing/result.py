"""What a run attained, the targets, and what is offered."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from tests.conftest import load_event

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 15.0
"""Seconds before the measurement: SES's bucket is full at first, the dispatchers' line empty, and the
deployed functions are cold, which bunches the first mails up so that SES throttles some of them."""

ORDER = load_event("order")


class SesStats(TypedDict):
    """What the laptop's SES has counted since its start."""

    accepted: int
    calls: int
    throttled: int


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What SES counted in so many seconds."""

    seconds: float
    accepted: int
    calls: int
    throttled: int


class Stopwatch:
    """Measures what SES counts from here on."""

    def __init__(self, stats: Callable[[], SesStats]) -> None:
        self._stats = stats
        self._before, self._since = stats(), time.monotonic()

    def stop(self) -> Measurement:
        after = self._stats()
        return Measurement(
            seconds=time.monotonic() - self._since,
            accepted=after["accepted"] - self._before["accepted"],
            calls=after["calls"] - self._before["calls"],
            throttled=after["throttled"] - self._before["throttled"],
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run attained after its warm-up, and what became of all the mails that were offered."""

    way: str
    rate: float
    dispatchers: int
    measured: Measurement
    offered: int
    accepted: int
    dead_letters: int

    @property
    def lost(self) -> int:
        """Mails that never went out."""
        return self.offered - self.accepted

    @property
    def attained(self) -> float:
        """Mails accepted a second / mails permitted a second."""
        return self.measured.accepted / self.measured.seconds / self.rate

    @property
    def throttled(self) -> float:
        """The share of the calls of SES that were throttled."""
        return self.measured.throttled / self.measured.calls

    @property
    def good(self) -> bool:
        """Whether the targets are met: 90% of the rate, 5% throttled, none lost or given up."""
        return (
            self.attained >= 0.9
            and self.throttled <= 0.05
            and not self.lost
            and not self.dead_letters
        )

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.way:<10} {self.rate:>7g}/s {self.offered:>8} {self.dispatchers:>11} "
            f"{self.attained:>9.1%} {self.throttled:>10.1%} {self.lost:>5} "
            f"{self.dead_letters:>12}  {'' if self.good else 'TARGET MISSED'}"
        )


HEADING = (
    f"{'way':<10} {'permitted':>9} {'offered':>8} {'dispatchers':>11} {'attained':>9} "
    f"{'throttled':>10} {'lost':>5} {'dead letters':>12}"
)


def offered_event(number: int) -> str:
    """Return an order of its own, which goes to the simulator: the inbox is not what is measured."""
    address = f"bounce+{number}@simulator.amazonses.com"
    return json.dumps(ORDER | {"orderId": f"PACE-{number}", "customerEmail": address})
