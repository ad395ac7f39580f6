"""The tasks of a scheduled report: ask the sources, make the report, keep it."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from steps.contract import limits
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
    informed: likewise, asked last and told what the others gave.
    make: makes the report of what the sources gave.
    keep: keeps a report until a moment in epoch seconds, which is `ttl` seconds after the report's.
    """

    sources: Mapping[str, Callable[[datetime], object]]
    informed: Mapping[str, Callable[[datetime, Mapping[str, Any]], object]] = field(
        default_factory=dict
    )
    make: Callable[[Inputs, datetime], Report]
    keep: Callable[[dict[str, Any], int], None]
    ttl: int

    def run(self, event: TaskEvent) -> object:
        """Do the event's task and return its result; without a task, ask all sources and report."""
        now = datetime.fromisoformat(event["now"]) if "now" in event else datetime.now(UTC)
        match event.get("task"):
            case None:
                return self.make(self._collect(now, again=False), now)
            case Task.COLLECT:
                return self._collect(now, again=_is_tried_again(event))
            case Task.CHECK:
                return self._report(self._collect(now, again=_is_tried_again(event)), now)
            case Task.REPORT:
                return self._report(cast("Inputs", event["state"]), now)
            case Task.KEEP:
                self._keep(event["state"]["report"], now)
                return None
            case unknown:
                raise ValueError(f"no task of a report: {unknown}")

    def _collect(self, now: datetime, *, again: bool) -> Inputs:
        """Ask all sources. One that does not answer is a gap, or ends a task that is tried `again`."""
        answers: dict[str, Any] = {}
        asked = {name: functools.partial(source, now) for name, source in self.sources.items()}
        asked |= {n: functools.partial(source, now, answers) for n, source in self.informed.items()}
        for name, ask in asked.items():
            try:
                answers[name] = ask()
            except SourceUnavailable as error:
                if again:
                    raise
                answers[name] = Gap(Error=type(error).__name__, Cause=str(error))
        return cast("Inputs", answers)

    def _report(self, inputs: Inputs, now: datetime) -> Report:
        """Make the report, and keep it unless there is an alert: that goes out first, so that none is lost."""
        report = self.make(inputs, now)
        if "alert" not in report:
            self._keep(report, now)
        return report

    def _keep(self, report: Mapping[str, Any], now: datetime) -> None:
        self.keep(dict(report), int(now.timestamp()) + self.ttl)


def _is_tried_again(event: TaskEvent) -> bool:
    return event.get("retries", 0) < limits.REPORT_RETRIES
