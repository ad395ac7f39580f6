"""Record: write down what became of a mail. Called once per execution, with the outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.aws.ledger_table import LedgerTable
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable
from steps.contract.handler import count, logger, step_handler
from steps.contract.metrics import Metric
from steps.contract.settings import FunctionSettings
from steps.contract.state import Outcome, Recorded
from steps.ledger import rules, ses_events
from steps.ledger.status import Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.state import State, StepEvent
    from steps.ledger.rules import Record


RECEIPT = "receipt"
"""Who learned that SES accepted the mail, where that was this step."""


@dataclass(frozen=True, kw_only=True)
class RecordSettings(FunctionSettings):
    """Where records are kept."""

    tracking_table: str


def record_sent(state: State, owner: str, *, table: LedgerTable, now: float) -> Recorded:
    """Record SES's acceptance, whatever the record says by now: a receipt is proof.

    Raises:
        LedgerUnavailable: the table did not answer, or the record kept changing.
    """
    receipt = state["receipt"]
    event = ses_events.receipt(receipt["messageId"], receipt["sentAt"])
    request: rules.Put | rules.Update = rules.sent(
        notification_id=state["notificationId"],
        owner=owner,
        handover_id=receipt.get("handoverId", ""),  # absent while a deployment goes on
        message_id=receipt["messageId"],
        sent_at=receipt["sentAt"],
    )
    record: Record = {}
    for _ in range(limits.RECORD_WRITES):
        in_the_way = table.write(request)
        if in_the_way is None:
            return _accepted(record, event)
        record = in_the_way
        if not record:
            logger.error("the record of an accepted mail is gone", message_id=event.message_id)
            request = _restored(state, owner, now)
        elif (learned := rules.learn(record, event, by=RECEIPT, now=now)) is None:
            if record.get("promotedBy", RECEIPT) == RECEIPT:
                count(Metric.SENT)  # Our own write; its answer was lost.
            return _recorded(record)
        else:
            request = learned
    raise LedgerUnavailable("the record changed under the receipt each time")


def _accepted(before: Record, event: ses_events.SesEvent) -> Recorded:
    """Count what our write has changed, and say what the record is then."""
    if not before or not rules.is_settled(before):
        count(Metric.SENT)
        return {"status": Status.SENT, "settled": True}
    logger.warning("a second mail went out", second_message_id=event.message_id)
    if rules.is_unflagged(before):
        count(Metric.IN_DOUBT)
    return _recorded(before)


def _restored(state: State, owner: str, now: float) -> rules.Put:
    return rules.restored(
        notification_id=state["notificationId"],
        order_id=state["orderId"],
        recipient=state["email"]["to"],
        owner=owner,
        message_id=state["receipt"]["messageId"],
        sent_at=state["receipt"]["sentAt"],
        now=now,
        event_type=state.get("eventType"),
        part=state.get("part"),
        resend=state.get("resend"),
    )


def record_rejected(state: State, owner: str, *, table: LedgerTable, now: float) -> Recorded:
    """Record an invalid event with its reasons, or a mail that SES refuses as it is."""
    if rejection := state.get("rejection"):
        in_the_way: Record | None = None
        if claimed := rejection.get("claimed"):
            abandoned = rules.abandoned(notification_id=claimed, rejection=rejection, now=now)
            in_the_way = table.write(abandoned)
        request: rules.Put | rules.Update = rules.rejected(
            notification_id=state["notificationId"],
            rejection=rejection,
            owner=owner,
            now=now,
            published_at=state.get("publishedAt"),
            of_an_erased=rules.is_erased(in_the_way or {}),
        )
    else:
        request = rules.refused_as_it_is(
            notification_id=state["notificationId"],
            owner=owner,
            reason=state["error"]["Error"],
            now=now,
        )
    if not (
        in_the_way := table.write(request)
    ):  # There may be no record, which the end does not need.
        count(Metric.REJECTED)
        return {"status": Status.REJECTED, "settled": False}
    if in_the_way.get("owner") == owner and not rules.is_settled(in_the_way):
        count(Metric.REJECTED)  # Written before; or it has ended already, by word of another copy.
    return _recorded(in_the_way)


def record_failed(state: State, owner: str, *, table: LedgerTable, now: float) -> Recorded:
    """Record that we gave up, unless SES has the mail. Without a record the dead letter tells of it.

    Nothing is counted: whether there is a dead letter is the dispatcher's to know.
    """
    if "receipt" in state:
        return record_sent(state, owner, table=table, now=now)
    if "notificationId" not in state:
        return {"status": Status.FAILED, "settled": False}
    in_the_way = table.write(
        rules.given_up(
            notification_id=state["notificationId"],
            owner=owner,
            reason=state["error"]["Error"],
            now=now,
        )
    )
    return _recorded(in_the_way or {"status": Status.FAILED})


def release(state: State, owner: str, *, table: LedgerTable, now: float) -> Recorded:
    """End the claim's lease after a failure before SES was called."""
    record = table.write(
        rules.released(notification_id=state["notificationId"], owner=owner, now=now)
    )
    return _recorded(record or {"status": Status.CLAIMED})


def _recorded(record: Record) -> Recorded:
    return {"status": record["status"], "settled": rules.is_settled(record)}


_RECORDERS = {
    Outcome.SENT: record_sent,
    Outcome.REJECTED: record_rejected,
    Outcome.FAILED: record_failed,
    Outcome.RELEASED: release,
}


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> Recorded:
    """Take `{execution, outcome, state}`, return what the record says then."""
    table = LedgerTable(RecordSettings.from_env().tracking_table)
    recorder = _RECORDERS[Outcome(event["outcome"])]
    recorded = recorder(event["state"], event["execution"], table=table, now=time.time())
    # The send step has said of an accepted mail that it was.
    say = logger.debug if event["outcome"] == Outcome.SENT else logger.info
    say("recorded", status=recorded["status"])
    return recorded
