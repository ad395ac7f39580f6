"""Record: write down what became of a mail. Called once per execution, with the outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.aws.ledger_table import LedgerTable
from steps.contract.handler import count, logger, step_handler
from steps.contract.metrics import Metric
from steps.contract.settings import FunctionSettings
from steps.contract.state import Outcome
from steps.ledger import rules
from steps.ledger.rules import Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.state import State, StepEvent


@dataclass(frozen=True, kw_only=True)
class RecordSettings(FunctionSettings):
    """Where records are kept."""

    tracking_table: str


def record_sent(state: State, owner: str, *, table: LedgerTable) -> Status:
    """Record SES's acceptance; return the status that the record has then."""
    receipt = state["receipt"]
    record = table.write(
        rules.sent(
            notification_id=state["notificationId"],
            owner=owner,
            message_id=receipt["messageId"],
            sent_at=receipt["sentAt"],
        )
    )
    if record is None:
        count(Metric.SENT)
        return Status.SENT
    return Status(record.get("status", Status.SENT))


def record_rejected(state: State, owner: str, *, table: LedgerTable, now: float) -> Status:
    """Record an invalid event with its reasons, or a mail that SES refused for good."""
    if rejection := state.get("rejection"):
        request: rules.Put | rules.Update = rules.rejected(
            notification_id=state["notificationId"], rejection=rejection, now=now
        )
    else:
        request = _ended(state, owner, Status.REJECTED, now)
    if table.write(request) is None:
        count(Metric.REJECTED)
    return Status.REJECTED


def record_failed(state: State, owner: str, *, table: LedgerTable, now: float) -> Status:
    """Record that we gave up. Without a claim there is no record; the dead letter tells of it."""
    if state.get("claim"):
        table.write(_ended(state, owner, Status.FAILED, now))
    count(Metric.FAILED)
    return Status.FAILED


def _ended(state: State, owner: str, status: Status, now: float) -> rules.Update:
    return rules.ended(
        notification_id=state["notificationId"],
        owner=owner,
        status=status,
        reason=state["error"]["Error"],
        now=now,
    )


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> dict[str, str]:
    """Take `{execution, outcome, state}`, return the record's status."""
    table = LedgerTable(RecordSettings.from_env().tracking_table)
    state, owner = event["state"], event["execution"]
    match Outcome(event["outcome"]):
        case Outcome.SENT:
            status = record_sent(state, owner, table=table)
        case Outcome.REJECTED:
            status = record_rejected(state, owner, table=table, now=time.time())
        case Outcome.FAILED:
            status = record_failed(state, owner, table=table, now=time.time())
    logger.info("recorded", status=status)
    return {"status": status}
