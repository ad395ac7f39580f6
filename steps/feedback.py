"""Feedback: fold SES's events into the ledger, each once, whatever their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from steps.aws.ledger_table import LedgerTable
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable, RecordNotFound
from steps.contract.handler import count, lambda_handler, logger
from steps.contract.metrics import Metric
from steps.contract.settings import FunctionSettings
from steps.ledger import rules, ses_events
from steps.ledger.rules import UNSENT, Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.ledger.rules import Record
    from steps.ledger.ses_events import SesEvent


class SnsMessage(TypedDict):
    """The part of an SNS record that is read."""

    Message: str


class SnsRecord(TypedDict):
    """One SNS message as Lambda hands it over."""

    Sns: SnsMessage


class SnsEvent(TypedDict):
    """What SNS invokes a function with (AWS Lambda Developer Guide, "Using AWS Lambda with Amazon SNS")."""

    Records: list[SnsRecord]


@dataclass(frozen=True, kw_only=True)
class FeedbackSettings(FunctionSettings):
    """Where records are kept."""

    tracking_table: str


def apply_event(message: str, *, table: LedgerTable) -> None:
    """Fold one event into its record; a repetition changes nothing and counts nothing.

    Raises:
        InvalidSesEvent: it is no SES event.
        RecordNotFound: no record has sent it, or its message id is not recorded yet.
        LedgerUnavailable: the table did not answer, or the record kept changing.
    """
    event = ses_events.parse(message)
    if event is None:
        return
    notification_id = event.notification_id or table.find_by_message_id(event.message_id)
    if notification_id is None:
        raise RecordNotFound(f"no record of message {event.message_id}")
    for _ in range(limits.FOLD_ATTEMPTS):
        record = table.read(notification_id)
        if not record:
            raise RecordNotFound(f"no record {notification_id}")
        logger.append_keys(order_id=record["orderId"], message_id=event.message_id)
        update = _update(record, event)
        if update is None:
            return
        if table.write(update) is None:
            _report(Status(record["status"]), event)
            return
    raise LedgerUnavailable("the record kept changing under the event")


def _update(record: Record, event: SesEvent) -> rules.Update | None:
    """Return the write that folds an event in; None where it says what is recorded already."""
    seen = Status(record["status"])
    status = rules.fold(seen, [event.status])
    if event.identity in record.get("events", ()):
        return None
    if event.status is Status.SENT and status is seen and record.get("messageId"):
        return None
    return rules.reported(
        notification_id=record["notificationId"],
        seen=seen,
        status=status,
        identity=event.identity,
        message_id=event.message_id,
        sent_at=event.sent_at,
        reason=event.reason if status is event.status is not Status.SENT else None,
    )


def _report(seen: Status, event: SesEvent) -> None:
    status = rules.fold(seen, [event.status])
    if event.metric:
        count(event.metric)
    if seen in UNSENT and status not in UNSENT:
        count(Metric.SENT)  # The send step's own answer never came.
    logger.info("reported", event=event.identity, status=status)


@lambda_handler
def handler(event: SnsEvent, _context: LambdaContext) -> None:
    """Take SNS records, one or more. A failure repeats the invocation, which is safe."""
    table = LedgerTable(FeedbackSettings.from_env().tracking_table)
    for record in event["Records"]:
        try:
            apply_event(record["Sns"]["Message"], table=table)
        finally:
            logger.remove_keys(["order_id", "message_id"])
