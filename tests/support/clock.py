"""A clock that tests move."""

from dataclasses import dataclass

NOW = 1_800_000_000.0
"""A moment in January 2027, in epoch seconds."""


@dataclass
class Clock:
    """Stands still until somebody sleeps by it; a moment is in epoch seconds."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def elapsed(self) -> float:
        """Seconds since `NOW`."""
        return self.now - NOW
