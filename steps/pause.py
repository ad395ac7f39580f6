"""Pause: stop the order mails, and say in the alert that it was done and how to lift it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from steps import aws_watch
from steps.function import framed, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.cost import Message
    from steps.cost_monitoring import TaskEvent


@framed
def handler(event: TaskEvent, _context: LambdaContext) -> Message:
    """Take `{state: {report}}`, pause, return the report's alert with what was done on top."""
    logger.append_keys(execution_id=event["execution"])
    aws_watch.pause(os.environ["CONFIGURATION_SET"])
    logger.warning("sending is paused")
    alert: Message = event["state"]["report"]["alert"]
    done = (
        "SENDING IS PAUSED by AUTO_PAUSE_SENDING: orders wait on the queue and go out when the pause is "
        "lifted, with the command below. It stays lifted while the verdict does not change."
    )
    return {"subject": alert["subject"], "message": f"{done}\n\n{alert['message']}"}
