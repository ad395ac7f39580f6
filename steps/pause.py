"""Pause: stop the order mails, and say in the alert that it was done and how to lift it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.aws import sources
from steps.contract.handler import lambda_handler, logger
from steps.contract.settings import FunctionSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.report_tasks import Alert, TaskEvent


@dataclass(frozen=True, kw_only=True)
class PauseSettings(FunctionSettings):
    """What is paused."""

    configuration_set: str


@lambda_handler
def handler(event: TaskEvent, _context: LambdaContext) -> Alert:
    """Take `{state: {report}}`, pause, return the report's alert with what was done on top."""
    logger.append_keys(execution_id=event["execution"])
    sources.pause_sending(PauseSettings.from_env().configuration_set)
    logger.warning("sending is paused")
    alert: Alert = event["state"]["report"]["alert"]
    done = (
        "SENDING IS PAUSED by AUTO_PAUSE_SENDING: orders wait on the queue and go out when the pause is "
        "lifted, with the command below. It stays lifted while the verdict does not change."
    )
    return {"subject": alert["subject"], "message": f"{done}\n\n{alert['message']}"}
