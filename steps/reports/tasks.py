"""The tasks of a scheduled report, one at a time: ask a source, make the report, keep it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from steps.contract.errors import SourceUnavailable
from steps.contract.report_tasks import Gap, ReportBase, Task, TaskEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Inputs = TypeVar("Inputs")
Report = TypeVar("Report", bound=ReportBase)


def reason(gap: Gap) -> str:
    """Return the sentence in a gap's cause; a function's error arrives as JSON with its message inside."""
    try:
        return str(json.loads(gap["Cause"])["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return gap["Cause"]


@dataclass(frozen=True, kw_only=True)
class ReportTasks(Generic[Inputs, Report]):
    """What one report's function does.

    sources: by name, each asked for the moment of the report.
    make: makes the report of what the sources gave.
    keep: keeps a report until a moment in epoch seconds, which is `ttl` seconds after the report's.
    """

    sources: Mapping[str, Callable[[datetime], object]]
    make: Callable[[Inputs, datetime], Report]
    keep: Callable[[dict[str, Any], int], None]
    ttl: int

    def run(self, event: TaskEvent) -> object:
        """Do the event's task and return its result; without a task, ask all sources and report."""
        now = datetime.fromisoformat(event["now"]) if "now" in event else datetime.now(UTC)
        match event.get("task"):
            case None:
                return self.make(self._ask_all(now), now)
            case Task.REPORT:
                return self.make(cast("Inputs", event["state"]), now)
            case Task.KEEP:
                self.keep(event["state"]["report"], int(now.timestamp()) + self.ttl)
                return None
            case source:
                return self.sources[source](now)

    def _ask_all(self, now: datetime) -> Inputs:
        answers: dict[str, Any] = {}
        for name, source in self.sources.items():
            try:
                answers[name] = source(now)
            except SourceUnavailable as error:
                answers[name] = Gap(Error=type(error).__name__, Cause=str(error))
        return cast("Inputs", answers)
