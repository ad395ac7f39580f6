"""Rejections: tell the operators that orders are rejected, for which reason, and since when. Once.

The alarm `email-rejections` calls it for a burst, a schedule every hour for the rest. At least once: the alert
goes out before it is written down.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from steps.aws import sources
from steps.aws.sources import MetricSum, ReportsTable
from steps.contract import limits
from steps.contract.errors import SourceUnavailable
from steps.contract.handler import lambda_handler, logger
from steps.contract.metrics import Metric
from steps.contract.settings import FunctionSettings
from steps.reports import rejections
from steps.reports.rejections import BURST, REFUSED_LINE, REJECTED_LINE, SPAN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.reports.rejections import Counts, Line, Report, Told

KIND = "rejections"

PERIOD = 60
"""Seconds: five minutes are five of them, wherever they begin."""

AGES = (timedelta(), timedelta(minutes=5), timedelta(hours=1), SPAN)
"""What lies between two of them is read at once, the newest first: each answer has its oldest lines first."""


@dataclass(frozen=True, kw_only=True)
class RejectionsSettings(FunctionSettings):
    """Where the figures, the reasons and the last alert are; where alerts go; where to look."""

    reports_table: str
    metrics_namespace: str
    validate_log_group: str
    send_log_group: str
    alerts_topic: str
    dashboard_url: str


def is_alarm(event: Mapping[str, Any]) -> bool:
    """Whether CloudWatch calls, since the alarm went off ("Invoke a Lambda function from an alarm")."""
    return event.get("source") == "aws.cloudwatch" and "alarmData" in event


def watch(
    event: Mapping[str, Any],
    now: datetime,
    *,
    settings: RejectionsSettings,
    clock: Callable[[], float] = time.monotonic,
) -> Report | None:
    """Judge, alert of what is news, and keep what was told; None where nothing is unusual.

    Raises:
        SourceUnavailable: our counters, SNS or the reports table did not answer; Lambda calls again.
    """
    gaps: list[str] = []
    counts = _counts(now, settings, gaps, needed=not is_alarm(event))
    finding = BURST if is_alarm(event) else rejections.judge(counts) if counts else ""
    if not finding:
        return None
    table = ReportsTable(settings.reports_table)
    told = _told(table, gaps)
    report = rejections.report(
        finding,
        counts,
        _lines(now, settings, gaps, clock),
        told=told,
        gaps=gaps,
        now=now,
        dashboard=settings.dashboard_url,
    )
    if alert := report.get("alert"):
        sources.publish(settings.alerts_topic, alert)
    if report["told"] != told:
        expires = int(now.timestamp()) + limits.REJECTIONS_REPORT_TTL
        table.keep(KIND, report, expires)
    return report


def _counts(
    now: datetime, settings: RejectionsSettings, gaps: list[str], *, needed: bool
) -> Counts | None:
    """Sum up what our metrics counted; where that is not `needed`, no answer is a gap."""
    try:
        rejected, sent = sources.metric_values(
            [
                MetricSum(settings.metrics_namespace, name, "Sum")
                for name in (Metric.REJECTED, Metric.SENT)
            ],
            now - SPAN,
            now,
            period=PERIOD,
        )
    except SourceUnavailable as error:
        if needed:
            raise
        gaps.append(f"how many orders: {error}")
        return None
    return rejections.measure(rejected, sent)


def _told(table: ReportsTable, gaps: list[str]) -> dict[str, Told]:
    try:
        told: dict[str, Told] = table.last(KIND).get("told", {})
    except SourceUnavailable as error:
        gaps.append(f"the last alert: {error}; this one may repeat it")
        return {}
    return told


def _lines(
    now: datetime, settings: RejectionsSettings, gaps: list[str], clock: Callable[[], float]
) -> list[Line]:
    """Read what both steps logged of rejections, the newest first, as far as lines and time go."""
    deadline = clock() + limits.REJECTION_LOGS_BUDGET
    groups = {settings.validate_log_group: REJECTED_LINE, settings.send_log_group: REFUSED_LINE}
    read: dict[str, list[Line]] = {group: [] for group in groups}
    for youngest, oldest in itertools.pairwise(AGES):
        for group, words in list(groups.items()):
            pages = sources.log_pages(
                group,
                f'"{words}"',
                now - oldest,
                now - youngest,
                limit=limits.REJECTION_LINES,
            )
            try:
                while len(read[group]) < limits.REJECTION_LINES and clock() < deadline:
                    read[group] += filter(None, (rejections.read(*line) for line in next(pages)))
                gaps.append(f"{group}: only the newest rejections were read")
                del groups[group]
            except StopIteration:
                continue
            except SourceUnavailable as error:
                gaps.append(f"the reasons in {group}: {error}")
                del groups[group]
    return [line for lines in read.values() for line in lines]


@lambda_handler
def handler(event: Mapping[str, Any], _context: LambdaContext) -> Report | None:
    """Take the alarm's event or the schedule's; return the report where there is a finding."""
    report = watch(event, datetime.now(UTC), settings=RejectionsSettings.from_env())
    logger.info(
        "rejections",
        by_alarm=is_alarm(event),
        finding=report["finding"] if report else "",
        reasons=report["reasons"] if report else {},
        alerted=bool(report and "alert" in report),
        gaps=report["gaps"] if report else [],
    )
    return report
