"""Cost monitoring: the tasks of the cost analysis, one at a time, or all sources and the report at once."""

from __future__ import annotations

import os
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict, cast

from aws_lambda_powertools.metrics import MetricUnit

from steps import aws_watch, cost, limits
from steps.errors import SourceUnavailable
from steps.function import framed, logger, metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

DAY = 24 * 60 * 60


class TaskEvent(TypedDict, total=False):
    """`task` and when the execution began (ISO 8601); `state` for the tasks that need what came before."""

    task: str
    now: str
    execution: str
    state: dict[str, Any]


def months(now: datetime) -> datetime:
    """Return the start of the month before `now`'s, UTC."""
    last = now.date().replace(day=1) - timedelta(days=1)
    return datetime.combine(last.replace(day=1), time(), UTC)


def costs(now: datetime) -> cost.Costs:
    """Ask Cost Explorer for this month and the last, complete days only."""
    system = os.environ["SYSTEM"]
    results = aws_watch.cost_and_usage(months(now).date(), now.date(), system=system)
    return cost.from_cost_explorer(results, system)


def mails(now: datetime) -> cost.Mails:
    """Ask our own counter for the mails sent on each day of this month and the last."""
    sent = [("EmailNotification", "EmailSent", "Sum")]
    (days,) = aws_watch.metric_values(sent, months(now), now, period=DAY)
    return {"days": {at.date().isoformat(): int(count) for at, count in days.items()}}


def account(_now: datetime) -> cost.Account:
    """Ask SES which plan the account is on."""
    return {"plan": aws_watch.account().get("PricingAttributes", {}).get("CurrentPlan")}


def previous(_now: datetime) -> cost.Previous:
    """Read the last report, for what it has alerted already."""
    return {"report": aws_watch.last_report("cost")}


SOURCES: dict[str, Callable[[datetime], Any]] = {
    "costs": costs,
    "mails": mails,
    "account": account,
    "previous": previous,
}


def report(found: cost.Found, now: datetime) -> cost.Report:
    """Make the report, publish `TotalCost` and `CostPerEmail`, and log what the dashboard shows."""
    made = cost.report(
        found,
        today=now.date(),
        budget=Decimal(os.environ["BUDGET"]),
        dashboard=os.environ["DASHBOARD_URL"],
    )
    if made["total"] is not None:
        metrics.add_metric("TotalCost", MetricUnit.NoUnit, float(made["total"]))
    if made["costPerEmail"] is not None:
        metrics.add_metric("CostPerEmail", MetricUnit.NoUnit, float(made["costPerEmail"]))
    for service, amount in made["services"].items():
        logger.info("service cost", aws_service=service, usd=float(amount), day=made["date"])
    logger.info(
        "cost report",
        day=made["date"],
        total=made["total"],
        forecast=made["forecast"],
        budget=made["budget"],
        lacks=made["lacks"],
    )
    return made


def alone(now: datetime) -> cost.Report:
    """Ask every source and return the report; it is neither kept nor alerted."""
    found: dict[str, Any] = {}
    for name, source in SOURCES.items():
        try:
            found[name] = source(now)
        except SourceUnavailable as error:
            found[name] = {"Error": type(error).__name__, "Cause": str(error)}
    return report(cast("cost.Found", found), now)


@framed
def handler(event: TaskEvent, _context: LambdaContext) -> Any:
    """Take `{task, now, state?}` and return the task's result; `{}` returns the whole report."""
    logger.append_keys(execution_id=event.get("execution"))
    now = datetime.fromisoformat(event["now"]) if "now" in event else datetime.now(UTC)
    match event.get("task"):
        case None:
            return alone(now)
        case "report":
            return report(cast("cost.Found", event["state"]), now)
        case "keep":
            expires = int(now.timestamp()) + limits.COST_REPORT_TTL
            return aws_watch.keep_report("cost", event["state"]["report"], expires=expires)
        case source:
            return SOURCES[source](now)
