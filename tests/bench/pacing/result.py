"""What a run attained, the targets, and what is offered."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Self, TypedDict

from tests.conftest import load_event

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = load_event("order")

DISPATCHERS = 5
"""As many at once as by default."""

OVERLOAD = 1.5
"""Times the permitted rate is offered."""

FIRST_SECONDS = 12
"""Shown one by one: all is cold at first."""


class SesStats(TypedDict):
    """What the laptop's SES has counted since its start."""

    accepted: int
    calls: int
    throttled: int


@dataclass
class Stopwatch:
    """Asks SES once a second what it counted so far, from now on."""

    stats: Callable[[], SesStats]
    history: list[SesStats] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._start = time.monotonic()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while True:
            self.history.append(self.stats())
            if self._stop.wait(self._start + len(self.history) - time.monotonic()):
                return

    def stop(self) -> Self:
        """Read the counters a last time."""
        self._stop.set()
        self._thread.join()
        self.history.append(self.stats())
        self.seconds = time.monotonic() - self._start
        return self


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run attained while it was overloaded, and what became of all the mails that were offered."""

    way: str
    rate: float
    watched: Stopwatch
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
        return self.watched.history[-1]["accepted"] / self.watched.seconds / self.rate

    @property
    def throttled(self) -> float:
        """The share of the calls of SES that were throttled."""
        counted = self.watched.history[-1]
        return counted["throttled"] / max(1, counted["calls"])

    @property
    def good(self) -> bool:
        """Whether the targets are met: 95% of the rate, 5% throttled, none lost or given up."""
        return (
            self.attained >= 0.95
            and self.throttled <= 0.05
            and not self.lost
            and not self.dead_letters
        )

    def row(self) -> str:
        """One line of the table, and the first seconds below it."""
        history = self.watched.history
        seconds = _counted(history[: FIRST_SECONDS + 1])
        parts = _counted([history[len(history) * n // 10 - (n > 0)] for n in range(11)])
        return (
            f"{self.way:<10} {self.rate:>7g}/s {self.watched.seconds:>7.0f}s {self.offered:>8} "
            f"{self.attained:>9.1%} {self.throttled:>10.1%} {self.lost:>5} "
            f"{self.dead_letters:>12}  {'' if self.good else 'TARGET MISSED'}\n"
            f"           accepted+throttled in each of the first seconds: {seconds}\n"
            f"           accepted+throttled in each tenth of the run: {parts}"
        )


def _counted(history: list[SesStats]) -> str:
    """Say what SES counted from each moment to the next."""
    return " ".join(
        f"{after['accepted'] - before['accepted']}+{after['throttled'] - before['throttled']}"
        for before, after in pairwise(history)
    ).replace("+0", "")


HEADING = (
    f"{'way':<10} {'permitted':>9} {'measured':>8} {'offered':>8} {'attained':>9} "
    f"{'throttled':>10} {'lost':>5} {'dead letters':>12}"
)


def offered_event(number: int) -> str:
    """Return an order of its own, which goes to the simulator: the inbox is not what is measured."""
    address = f"bounce+{number}@simulator.amazonses.com"
    return json.dumps(ORDER | {"orderId": f"PACE-{number}", "customerEmail": address})
