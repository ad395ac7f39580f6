"""What is kept of a pause: since when nothing is sent, who said so, and why. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from steps.contract import limits

if TYPE_CHECKING:
    from datetime import datetime

KIND = "pause"
"""The kind of report under which it is kept; the newest tells."""


class PauseReport(TypedDict):
    """Sending was paused, or a pause was lifted: when (ISO 8601 UTC), by whom, why."""

    date: str
    paused: bool
    by: str
    why: str


class Kept(NamedTuple):
    """A report, and when it expires (epoch seconds)."""

    report: PauseReport
    expires: int


def kept(*, paused: bool, by: str, why: str, now: datetime) -> Kept:
    """Return what to keep of a pause, or of its end."""
    since = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    report: PauseReport = {"date": since, "paused": paused, "by": by, "why": why}
    return Kept(report, int(now.timestamp()) + limits.PAUSE_REPORT_TTL)
