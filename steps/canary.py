"""Canary: look after the order that the run before has published, then publish the next.

Whatever fails raises, and Lambda calls again: the same scheduled time is the same canary, so a run that is
repeated adds no mail. An alert is at least once: it goes out before it is written down.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from steps.aws import sources
from steps.aws.ledger_table import LedgerTable
from steps.aws.sources import ReportsTable
from steps.contract import limits
from steps.contract.handler import lambda_handler, logger
from steps.contract.settings import FunctionSettings
from steps.ledger import rules
from steps.reports import canary

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.ledger.rules import Record
    from steps.reports.canary import Report

KIND = "canary"


class Scheduled(TypedDict, total=False):
    """What the schedule sends: the moment for which it was to start the run (ISO 8601)."""

    scheduledTime: str


@dataclass(frozen=True, kw_only=True)
class CanarySettings(FunctionSettings):
    """Where orders are published, recorded and reported on; where alerts go; where to look."""

    environment: str
    orders_topic: str
    tracking_table: str
    reports_table: str
    alerts_topic: str
    dashboard_url: str


def watch(event: Scheduled, now: datetime, *, settings: CanarySettings) -> Report | None:
    """Judge the last canary, publish the next, alert of what is news, and keep what was told.

    Returns:
        None where there is nothing to do: the run is a repetition, or the last canary is on its way still.

    Raises:
        LedgerUnavailable, SourceUnavailable: a table or SNS did not answer; Lambda calls again.
    """
    scheduled = datetime.fromisoformat(event["scheduledTime"]) if event else now
    name, table = canary.name(scheduled), ReportsTable(settings.reports_table)
    last = table.last(KIND)
    record: Record = {}
    if last:
        if name <= last["date"]:
            return None
        record = record_of(last["date"], LedgerTable(settings.tracking_table))
        published_at = datetime.fromisoformat(last["publishedAt"])
        if canary.state(published_at, record, now) == canary.WAITING:
            return None
    place = canary.Place(settings.environment, settings.orders_topic, settings.dashboard_url)
    report = canary.report(name, last, record, now=now, place=place)
    # First what a repetition does not double.
    sources.publish_event(settings.orders_topic, message(name))
    if alert := report.get("alert"):
        sources.publish(settings.alerts_topic, alert)
    table.keep(KIND, report, int(now.timestamp()) + limits.CANARY_REPORT_TTL)
    return report


def message(name: str) -> str:
    """Return what is published for the canary of this name."""
    return json.dumps(canary.order(name))


def record_of(name: str, table: LedgerTable) -> Record:
    """Read what became of a canary; an event that we reject has its record elsewhere."""
    order = canary.order(name)
    identity = (order["orderId"], order["eventType"], order["customerEmail"])
    return table.read(rules.notification_id(*identity), canary.READ) or table.read(
        rules.rejected_id(message(name)), canary.READ
    )


@lambda_handler
def handler(event: Scheduled, _context: LambdaContext) -> Report | None:
    """Take the schedule's event; `{}` is for now. Return the report where a canary was published."""
    report = watch(event, datetime.now(UTC), settings=CanarySettings.from_env())
    logger.info(
        "canary",
        published=report["date"] if report else "",
        verdict=report["verdict"] if report else "",
        seen=report["seen"] if report else "",
        alerted=bool(report and "alert" in report),
    )
    return report
