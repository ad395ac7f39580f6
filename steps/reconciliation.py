"""Reconciliation: the tasks of the nightly search for mails that are stuck, one at a time."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from steps.aws import sources
from steps.aws.ledger_table import LedgerTable
from steps.aws.sources import MetricSum, ReportsTable
from steps.contract import limits
from steps.contract.canary import is_named
from steps.contract.errors import LedgerUnavailable, SourceUnavailable
from steps.contract.handler import lambda_handler, logger
from steps.contract.metrics import Metric
from steps.contract.order_id import shown
from steps.contract.report_tasks import Previous, ReconciliationSource, Task
from steps.contract.settings import FunctionSettings
from steps.ledger import unfinished
from steps.ledger.rules import iso
from steps.reports import reconciliation
from steps.reports.reconciliation import Scan
from steps.reports.tasks import ReportTasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.report_tasks import Gap, TaskEvent
    from steps.ledger.rules import Record
    from steps.reports.reconciliation import Found

KIND = "reconciliation"

PERIOD = 5 * 60
"""Seconds; CloudWatch keeps it for 63 days."""


@dataclass(frozen=True, kw_only=True)
class ReconciliationSettings(FunctionSettings):
    """Where records and reports are kept; how long a mail may be in doubt; which environment it is."""

    tracking_table: str
    reports_table: str
    metrics_namespace: str
    in_doubt_grace_seconds: int
    environment_suffix: str


class Segment(TypedDict):
    """What a call of `scan` gets: the segment's number, the last report, and how far it is read."""

    segment: int
    previous: Previous | Gap
    scan: Scan | Gap


def scan(
    state: Segment,
    now: datetime,
    *,
    table: LedgerTable,
    grace: int,
    clock: Callable[[], float] = time.time,
) -> Scan | Gap:
    """Read a segment of the tracking table on, for `SCAN_BUDGET` seconds or to its end.

    What is read to its end, or has failed, is returned as it is: the others are read on.

    Raises:
        LedgerUnavailable: the table gave no page at all. What this call has read before is not lost.
        SourceUnavailable: `SCAN_DEADLINE` is over.
    """
    so_far = state["scan"]
    if "Error" in so_far or "start" not in so_far:
        return so_far
    began, moment = clock(), now.timestamp()
    if began > moment + limits.SCAN_DEADLINE:
        raise SourceUnavailable(f"not read to its end within {limits.SCAN_DEADLINE // 3600} hours")
    first, end = reconciliation.day_before(now)
    day = first.timestamp(), end.timestamp()
    search = unfinished.search(moment, grace=grace, canaries=day)
    read = functools.partial(
        _read, now=moment, day=day, before=_before(state["previous"]), grace=grace
    )
    found, start = so_far["found"], so_far["start"] or None
    pages = 0
    while True:
        try:
            page = table.scan_segment(search, state["segment"], limits.SCAN_SEGMENTS, start)
        except LedgerUnavailable:
            if pages and start and _may_be_kept(start):
                return Scan(found=found, start=start)
            raise
        pages += 1
        found, start = reconciliation.united([found, *map(read, page.records)]), page.start
        if start is None:
            return Scan(found=found)
        if clock() >= began + limits.SCAN_BUDGET and _may_be_kept(start):
            return Scan(found=found, start=start)


def _may_be_kept(start: Mapping[str, str]) -> bool:
    """Whether the workflow's history, kept for 90 days, may have it: an order id may be somebody's address."""
    return shown(start["orderId"]) == start["orderId"]


def _before(previous: Previous | Gap) -> float | None:
    """Return when the last report was made, in epoch seconds; None where that is not known."""
    moment = reconciliation.until(previous)
    return datetime.fromisoformat(moment).timestamp() if moment else None


def _read(
    record: Record, *, now: float, day: tuple[float, float], before: float | None, grace: int
) -> Found:
    kind = unfinished.kind(record, now, grace=grace)
    if kind is None:
        first, end = map(iso, day)
        is_counted = is_named(record["orderId"]) and first <= record["timestamp"] < end
        return reconciliation.nothing() | {"canaries": int(is_counted)}
    return reconciliation.found(
        kind,
        {
            "orderId": shown(record["orderId"]),
            "status": record["status"],
            "since": record["timestamp"],
        },
        known_before=None if before is None else unfinished.before(kind, before, grace=grace),
    )


def mails(now: datetime, *, namespace: str) -> reconciliation.Mails:
    """Ask how many mails SES and we have counted on the last complete UTC day."""
    first, end = reconciliation.day_before(now)
    ours, ses = sources.metric_values(
        [MetricSum(namespace, Metric.SENT, "Sum"), MetricSum("AWS/SES", "Send", "Sum")],
        first,
        end,
        period=PERIOD,
    )
    return reconciliation.measure(ours, ses, now)


def report(
    inputs: reconciliation.Inputs, now: datetime, *, environment: str
) -> reconciliation.Report:
    """Judge, and log the verdict."""
    of_the_night = reconciliation.report(
        inputs, now, command=f"order-mail reconcile --env {environment}"
    )
    logger.info(
        "reconciliation",
        stuck=of_the_night["stuck"],
        new=of_the_night["new"],
        mails=of_the_night["mails"],
        missing=of_the_night["missing"],
        surplus=of_the_night["surplus"],
        gaps=of_the_night["gaps"],
    )
    return of_the_night


def tasks(
    settings: ReconciliationSettings,
) -> ReportTasks[reconciliation.Inputs, reconciliation.Report]:
    """Return what the function does besides reading the tracking table."""
    table = ReportsTable(settings.reports_table)
    return ReportTasks(
        sources={
            ReconciliationSource.MAILS: functools.partial(
                mails, namespace=settings.metrics_namespace
            ),
            ReconciliationSource.PREVIOUS: lambda _now: Previous(report=table.last(KIND)),
            ReconciliationSource.TABLE: lambda _now: reconciliation.unread(),
        },
        make=functools.partial(report, environment=settings.environment_suffix),
        keep=functools.partial(table.keep, KIND),
        ttl=limits.RECONCILIATION_REPORT_TTL,
    )


@lambda_handler
def handler(event: TaskEvent, _context: LambdaContext) -> object:
    """Take `{task, now, state?}` and return the task's result; the task `scan` reads a part of the table."""
    logger.append_keys(execution_id=event.get("execution"))
    settings = ReconciliationSettings.from_env()
    if event.get("task") == Task.SCAN:
        segment: Any = event["state"]
        return scan(
            segment,
            datetime.fromisoformat(event["now"]).astimezone(UTC),
            table=LedgerTable(settings.tracking_table),
            grace=settings.in_doubt_grace_seconds,
        )
    return tasks(settings).run(event)
