"""Record: write down what became of a mail. Called once per execution, with the outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from steps import aws, ledger
from steps.function import StepEvent, count, logger, step
from steps.ledger import Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.model import State


def record_sent(state: State, owner: str) -> Status:
    """Record SES's acceptance; return the status that the record has then."""
    receipt = state["receipt"]
    found = aws.write(
        ledger.sent(
            notification_id=state["notificationId"],
            owner=owner,
            message_id=receipt["messageId"],
            sent_at=receipt["sentAt"],
        )
    )
    if found is None:
        count("EmailSent")
        return Status.SENT
    return Status(found.get("status", Status.SENT))


def record_rejected(state: State, owner: str, now: float) -> Status:
    """Record an invalid event with its reasons, or a mail that SES refused for good."""
    notification_id = state["notificationId"]
    if rejection := state.get("rejection"):
        written = aws.write(
            ledger.rejected(notification_id=notification_id, rejection=rejection, now=now)
        )
    else:
        written = _end(state, owner, Status.REJECTED, now)
    if written is None:
        count("EmailRejected")
    return Status.REJECTED


def record_failed(state: State, owner: str, now: float) -> Status:
    """Record that we gave up. Without a claim there is no record; the dead letter tells of it."""
    if state.get("claim"):
        _end(state, owner, Status.FAILED, now)
    count("EmailFailed")
    return Status.FAILED


def _end(state: State, owner: str, status: Status, now: float) -> ledger.Record | None:
    return aws.write(
        ledger.ended(
            notification_id=state["notificationId"],
            owner=owner,
            status=status,
            reason=state["error"]["Error"],
            now=now,
        )
    )


@step
def handler(event: StepEvent, _context: LambdaContext) -> dict[str, str]:
    """Take `{execution, outcome: SENT | REJECTED | FAILED, state}`, return the record's status."""
    state, owner = event["state"], event["execution"]
    match event["outcome"]:
        case "SENT":
            status = record_sent(state, owner)
        case "REJECTED":
            status = record_rejected(state, owner, time.time())
        case _:
            status = record_failed(state, owner, time.time())
    logger.info("recorded", status=status)
    return {"status": status}
