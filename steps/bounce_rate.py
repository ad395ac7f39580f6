"""Bounce rate: the tasks of the hourly reputation check, one at a time."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from steps import aws_watch, limits, reputation
from steps.function import framed, logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.cost import Previous
    from steps.cost_monitoring import TaskEvent

PERIOD = 5 * 60
"""Seconds; small enough that a mail of this hour counts, and CloudWatch keeps it for 63 days."""

SPANS = {"24 h": timedelta(hours=24), "7 d": timedelta(days=7)}
"""The spans that are judged, trailing."""


def mails(now: datetime) -> reputation.Windows:
    """Sum up what our metrics counted in each span."""
    names = ("EmailSent", "EmailBounced", "EmailComplaint")
    values = aws_watch.metric_values(
        [("EmailNotification", name, "Sum") for name in names],
        now - max(SPANS.values()),
        now,
        period=PERIOD,
    )

    def window(span: timedelta) -> reputation.Window:
        sent, bounced, complained = (
            int(sum(count for at, count in series.items() if at > now - span)) for series in values
        )
        return {"sent": sent, "bounced": bounced, "complained": complained}

    return {"windows": {name: window(span) for name, span in SPANS.items()}}


def account(now: datetime) -> reputation.Account:
    """Ask SES for the account's state, and CloudWatch for the rates by which SES judges it."""
    state = aws_watch.account()
    quota = state.get("SendQuota", {})
    allowed = quota.get("Max24HourSend", -1)
    rates = aws_watch.metric_values(
        [("AWS/SES", f"Reputation.{kind}Rate", "Average") for kind in ("Bounce", "Complaint")],
        now - timedelta(days=1),
        now,
        period=60 * 60,
    )
    bounce, complaint = (series[max(series)] if series else None for series in rates)
    return {
        "enforcementStatus": state.get("EnforcementStatus"),
        "sendingEnabled": state.get("SendingEnabled"),
        # -1 means unlimited (SES v2 API Reference, SendQuota).
        "quotaUsed": quota.get("SentLast24Hours", 0) / allowed if allowed > 0 else None,
        "bounceRate": bounce,
        "complaintRate": complaint,
    }


def previous(_now: datetime) -> Previous:
    """Read the last report, for its verdict."""
    return {"report": aws_watch.last_report("reputation")}


SOURCES: dict[str, Callable[[datetime], Any]] = {
    "mails": mails,
    "account": account,
    "previous": previous,
}


def report(found: reputation.Found, now: datetime) -> reputation.Report:
    """Judge, and log the verdict."""
    made = reputation.report(
        found,
        hour=now.isoformat(timespec="hours")[: len("2026-11-24T12")],
        dashboard=os.environ["DASHBOARD_URL"],
        configuration_set=os.environ["CONFIGURATION_SET"],
        auto_pause=os.environ["AUTO_PAUSE"] == "true",
    )
    logger.info(
        "verdict", verdict=made["verdict"], reasons=made["reasons"], windows=made["windows"]
    )
    return made


@framed
def handler(event: TaskEvent, _context: LambdaContext) -> Any:
    """Take `{task, now, state?}` and return the task's result."""
    logger.append_keys(execution_id=event["execution"])
    now = datetime.fromisoformat(event["now"])
    match event["task"]:
        case "report":
            return report(cast("reputation.Found", event["state"]), now)
        case "keep":
            expires = int(now.timestamp()) + limits.REPUTATION_REPORT_TTL
            kept = event["state"]["report"]
            return aws_watch.keep_report("reputation", kept, expires=expires)
        case source:
            return SOURCES[source](now)
