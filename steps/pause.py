"""Pause: stop the order mails, keep why, and say in the alert that it was done and how to lift it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from steps.aws import sources
from steps.aws.sources import ReportsTable
from steps.contract.errors import SourceUnavailable
from steps.contract.handler import lambda_handler, logger
from steps.contract.settings import FunctionSettings
from steps.reports.pause import KIND, kept

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.report_tasks import Alert, TaskEvent


@dataclass(frozen=True, kw_only=True)
class PauseSettings(FunctionSettings):
    """What is paused, and where it is kept that it was, and why."""

    configuration_set: str
    reports_table: str


def _keep(why: str, reports: ReportsTable) -> None:
    reason = kept(paused=True, by="bounce-rate-check", why=why, now=datetime.now(UTC))
    try:
        reports.keep(KIND, reason.report, reason.expires)
    except SourceUnavailable as error:  # It is paused all the same, and the alert says so.
        logger.warning("the reason of the pause is not kept", reason=str(error))


@lambda_handler
def handler(event: TaskEvent, _context: LambdaContext) -> Alert:
    """Take `{state: {report}}`, pause, return the report's alert with what was done on top."""
    logger.append_keys(execution_id=event["execution"])
    settings = PauseSettings.from_env()
    sources.pause_sending(settings.configuration_set)
    logger.warning("sending is paused")
    alert: Alert = event["state"]["report"]["alert"]
    _keep(alert["subject"], ReportsTable(settings.reports_table))
    done = (
        "SENDING IS PAUSED by AUTO_PAUSE_SENDING: orders wait on the queue and go out when the pause is "
        "lifted, with the command below. It stays lifted while the verdict does not change."
    )
    return {"subject": alert["subject"], "message": f"{done}\n\n{alert['message']}"}
