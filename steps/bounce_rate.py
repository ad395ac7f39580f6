"""Bounce rate: the tasks of the hourly reputation check, one at a time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from steps.aws import sources
from steps.aws.sources import MetricSum, ReportsTable
from steps.contract import limits
from steps.contract.handler import lambda_handler, logger
from steps.contract.metrics import Metric
from steps.contract.report_tasks import Previous, ReputationSource
from steps.contract.settings import FunctionSettings
from steps.reports import reputation, volume
from steps.reports.tasks import ReportTasks

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.report_tasks import TaskEvent

KIND = "reputation"

PERIOD = 5 * 60
"""Seconds; small enough that a mail of this hour counts, and CloudWatch keeps it for 63 days."""

SPANS = {"24 h": timedelta(hours=24), "7 d": timedelta(days=7)}
"""The spans that are judged, trailing."""


@dataclass(frozen=True, kw_only=True)
class BounceRateSettings(FunctionSettings):
    """Where reports are kept; whose reputation it is; whether to pause at a critical rate; where to look."""

    reports_table: str
    configuration_set: str
    metrics_namespace: str
    auto_pause: bool
    dashboard_url: str


def mails(now: datetime, *, namespace: str) -> reputation.Windows:
    """Sum up what our metrics counted in each span."""
    values = sources.metric_values(
        [
            MetricSum(namespace, name, "Sum")
            for name in (Metric.SENT, Metric.BOUNCED, Metric.COMPLAINT)
        ],
        now - max(SPANS.values()),
        now,
        period=PERIOD,
    )

    def window(span: timedelta) -> reputation.Window:
        sent, bounced, complained = (
            int(sum(count for at, count in series.items() if at > now - span)) for series in values
        )
        return {"sent": sent, "bounced": bounced, "complained": complained}

    return {
        "windows": {name: window(span) for name, span in SPANS.items()},
        "volume": volume.measure(values[0], now),
    }


def account(now: datetime, *, configuration_set: str) -> reputation.AccountState:
    """Ask SES for the account's state, and CloudWatch for SES's own rates.

    SES puts them for the account, and for a configuration set with reputation metrics under its name ("Viewing
    and exporting reputation metrics", SES Developer Guide). They are long averages: only the last one counts.
    """
    state = sources.account_state()
    quota = state.get("SendQuota", {})
    allowed = quota.get("Max24HourSend", -1)
    ours = {"ses:configuration-set": configuration_set}
    rates = sources.metric_values(
        [
            MetricSum("AWS/SES", f"Reputation.{kind}Rate", "Average", dimensions)
            for kind in ("Bounce", "Complaint")
            for dimensions in (ours, {})
        ],
        now - timedelta(days=1),
        now,
        period=PERIOD,
    )
    bounce, complaint = (_latest(rates[0] or rates[1]), _latest(rates[2] or rates[3]))
    return {
        "enforcementStatus": state.get("EnforcementStatus"),
        "sendingEnabled": state.get("SendingEnabled"),
        # -1 means unlimited (SES v2 API Reference, SendQuota).
        "quotaUsed": quota.get("SentLast24Hours", 0) / allowed if allowed > 0 else None,
        "bounceRate": bounce,
        "complaintRate": complaint,
    }


def _latest(series: dict[datetime, float]) -> float | None:
    return series[max(series)] if series else None


def report(
    inputs: reputation.Inputs, now: datetime, *, settings: BounceRateSettings
) -> reputation.Report:
    """Judge, and log the verdict."""
    of_the_hour = reputation.report(
        inputs,
        hour=now.isoformat(timespec="hours")[: len("2026-11-24T12")],
        dashboard=settings.dashboard_url,
        configuration_set=settings.configuration_set,
        auto_pause=settings.auto_pause,
    )
    logger.info(
        "verdict",
        verdict=of_the_hour["verdict"],
        reasons=of_the_hour["reasons"],
        windows=of_the_hour["windows"],
        volume=of_the_hour["volume"],
    )
    return of_the_hour


def tasks(settings: BounceRateSettings) -> ReportTasks[reputation.Inputs, reputation.Report]:
    """Return what the function does."""
    table = ReportsTable(settings.reports_table)
    return ReportTasks(
        sources={
            ReputationSource.MAILS: functools.partial(mails, namespace=settings.metrics_namespace),
            ReputationSource.ACCOUNT: functools.partial(
                account, configuration_set=settings.configuration_set
            ),
            ReputationSource.PREVIOUS: lambda _now: Previous(report=table.last(KIND)),
        },
        make=functools.partial(report, settings=settings),
        keep=functools.partial(table.keep, KIND),
        ttl=limits.REPUTATION_REPORT_TTL,
    )


@lambda_handler
def handler(event: TaskEvent, _context: LambdaContext) -> object:
    """Take `{task, now, state?}` and return the task's result; `{}` returns the whole report."""
    logger.append_keys(execution_id=event.get("execution"))
    return tasks(BounceRateSettings.from_env()).run(event)
