"""Cost monitoring: the tasks of the cost analysis, one at a time, or all sources and the report at once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.metrics import MetricUnit

from steps.aws import sources
from steps.aws.sources import ReportsTable
from steps.contract import limits
from steps.contract.handler import lambda_handler, logger, metrics
from steps.contract.metrics import Metric
from steps.contract.report_tasks import CostSource, Previous
from steps.contract.settings import FunctionSettings
from steps.reports import cost
from steps.reports.tasks import ReportTasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.report_tasks import TaskEvent

KIND, ANSWER = "cost", "cost-explorer"
"""As what reports are kept, and Cost Explorer's answers."""


@dataclass(frozen=True, kw_only=True)
class CostSettings(FunctionSettings):
    """Whose costs: the cost-allocation tag's value, region and metrics; and what the report needs.

    `budget` is in USD a month.
    """

    reports_table: str
    system: str
    region: str
    metrics_namespace: str
    budget: Decimal
    dashboard_url: str


def first_day(now: datetime) -> datetime:
    """Return the start of the month before `now`'s, UTC."""
    last = now.date().replace(day=1) - timedelta(days=1)
    return datetime.combine(last.replace(day=1), time(), UTC)


def costs(now: datetime, *, system: str, region: str) -> cost.Costs:
    """Ask Cost Explorer for this month and the last, complete days only."""
    today = now.date()
    results = sources.cost_and_usage(first_day(now).date(), today, system=system, region=region)
    return cost.from_cost_explorer(results, system, today)


def costs_kept(
    now: datetime,
    others: Mapping[str, Any],
    *,
    settings: CostSettings,
    table: ReportsTable,
    afresh: bool,
) -> cost.Costs:
    """Return Cost Explorer's last answer, or ask for another: `afresh`, or where that earns its cent."""
    last = table.last(ANSWER)
    if last and not afresh:
        kept, known = cast("cost.Costs", last), cast("cost.OtherInputs", others)
        if not cost.is_due(kept, known, today=now.date(), budget=settings.budget):
            return kept
    answer = costs(now, system=settings.system, region=settings.region)
    table.keep(ANSWER, answer, int(now.timestamp()) + limits.COST_REPORT_TTL)
    return answer


def mails(now: datetime, *, namespace: str) -> cost.MailsSent:
    """Ask our own counter for the mails sent on each day of this month and the last."""
    (days,) = sources.metric_values(
        [sources.MetricSum(namespace, Metric.SENT, "Sum")], first_day(now), now, period=limits.DAY
    )
    return {"days": {at.astimezone(UTC).date().isoformat(): int(sent) for at, sent in days.items()}}


def plan(_now: datetime) -> cost.SesPlan:
    """Ask SES which plan the account is on."""
    return {"plan": sources.account_state().get("PricingAttributes", {}).get("CurrentPlan")}


def report(inputs: cost.Inputs, now: datetime, *, settings: CostSettings) -> cost.Report:
    """Make the report, publish `TotalCost` and `CostPerEmail`, and log what the dashboard shows."""
    of_today = cost.report(
        inputs, today=now.date(), budget=settings.budget, dashboard=settings.dashboard_url
    )
    for metric, usd in (
        (Metric.TOTAL_COST, of_today["total"]),
        (Metric.COST_PER_EMAIL, of_today["costPerEmail"]),
    ):
        if usd is not None:
            metrics.add_metric(metric, MetricUnit.NoUnit, float(usd))
    for service, amount in of_today["services"].items():
        logger.info("service cost", aws_service=service, usd=float(amount), day=of_today["date"])
    logger.info(
        "cost report",
        day=of_today["date"],
        total=of_today["total"],
        estimated_from=of_today["estimatedFrom"],
        forecast=of_today["forecast"],
        budget=of_today["budget"],
        gaps=of_today["gaps"],
    )
    return of_today


def tasks(settings: CostSettings, *, afresh: bool = False) -> ReportTasks[cost.Inputs, cost.Report]:
    """Return what the function does; `afresh`: with an answer of Cost Explorer's of this moment."""
    table = ReportsTable(settings.reports_table)
    return ReportTasks(
        sources={
            CostSource.MAILS: functools.partial(mails, namespace=settings.metrics_namespace),
            CostSource.ACCOUNT: plan,
            CostSource.PREVIOUS: lambda _now: Previous(report=table.last(KIND)),
        },
        informed={
            CostSource.COSTS: functools.partial(
                costs_kept, settings=settings, table=table, afresh=afresh
            )
        },
        make=functools.partial(report, settings=settings),
        keep=functools.partial(table.keep, KIND),
        ttl=limits.COST_REPORT_TTL,
    )


@lambda_handler
def handler(event: TaskEvent, _context: LambdaContext) -> object:
    """Take `{task, now, state?}` and return the task's result; `{}` returns the whole report of this moment."""
    logger.append_keys(execution_id=event.get("execution"))
    return tasks(CostSettings.from_env(), afresh="task" not in event).run(event)
