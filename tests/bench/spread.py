"""What several rounds gave: the median, and between which values the middle half of them lies."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Spread:
    """The three quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise what was measured; a single value has no spread."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    @classmethod
    def of_ratios(cls, values: Sequence[float], baselines: Sequence[float]) -> Self:
        """Summarise the ratio of each round: what slows a round slows both in it."""
        return cls.of([ours / theirs for ours, theirs in zip(values, baselines, strict=True)])

    def text(self, digits: int = 0) -> str:
        """Write it as `median (low to high)`."""
        low, median, high = (f"{value:.{digits}f}" for value in (self.low, self.median, self.high))
        return f"{median} ({low} to {high})"
