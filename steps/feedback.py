"""Feedback: fold SES's events into the ledger, each once, whatever their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steps import aws, ledger, ses_events
from steps.errors import LedgerUnavailable, RecordNotFound
from steps.function import count, framed, logger
from steps.ledger import Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ATTEMPTS = 5
"""How often a fold is made anew when the record changed between reading and writing."""


def feed(message: str) -> None:
    """Fold one event into its record; a repetition changes nothing and counts nothing.

    Raises:
        InvalidSesEvent: it is no SES event.
        RecordNotFound: no record has sent it, or its message id is not recorded yet.
        LedgerUnavailable: the table did not answer, or the record changed all the time.
    """
    event = ses_events.parse(message)
    if event is None:
        return
    notification_id = event.notification_id or aws.find_by_message_id(event.message_id)
    if notification_id is None:
        raise RecordNotFound(f"no record of message {event.message_id}")
    for _ in range(ATTEMPTS):
        record = aws.read(notification_id)
        if not record:
            raise RecordNotFound(f"no record {notification_id}")
        logger.append_keys(order_id=record["orderId"], message_id=event.message_id)
        seen = Status(record["status"])
        status = ses_events.fold(seen, [event.status])
        if event.identity in record.get("events", ()):
            return
        if event.status is Status.SENT and status is seen and record.get("messageId"):
            return  # Says what is recorded already: no write.
        change = ledger.reported(
            notification_id=notification_id,
            seen=seen,
            status=status,
            identity=event.identity,
            message_id=event.message_id,
            sent_at=event.sent_at,
            reason=event.reason if status is event.status is not Status.SENT else None,
        )
        if aws.write(change) is None:
            if event.metric:
                count(event.metric)
            if seen in ledger.UNSENT and status not in ledger.UNSENT:
                count("EmailSent")  # The send step's own answer never came.
            logger.info("reported", event=event.identity, status=status)
            return
    raise LedgerUnavailable("the record changed under the event all the time")


@framed
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Take SNS records, one or more. A failure repeats the invocation, which is safe."""
    for record in event["Records"]:
        try:
            feed(record["Sns"]["Message"])
        finally:
            logger.remove_keys(["order_id", "message_id"])
