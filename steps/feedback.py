"""Feedback: fold SES's events into the ledger, each once, whatever their order."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from steps.aws.ledger_table import LedgerTable
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable, RecordNotFound
from steps.contract.handler import count, lambda_handler, logger
from steps.contract.metrics import Metric
from steps.contract.order_id import shown
from steps.contract.recipient import is_simulated
from steps.contract.settings import FunctionSettings
from steps.ledger import rules, ses_events

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.ledger.rules import Record
    from steps.ledger.ses_events import SesEvent


INVOCATION_DIGITS = 8
"""Of a request id: enough to tell the invocations of one mail apart."""


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
    """Where records are kept, and through which configuration set their mails are sent."""

    tracking_table: str
    configuration_set: str


def apply_event(
    message: str, *, table: LedgerTable, configuration_set: str, by: str, now: float
) -> None:
    """Fold one event into its record; a repetition changes nothing and counts nothing.

    Mails of other configuration sets, and of others who send through ours, are none of ours: what SES says of
    them is left alone. `by` names the invocation. Lambda repeats a failed one under the same name, which
    then counts what the failed one wrote and may not have counted.

    Raises:
        InvalidSesEvent: it is no SES event.
        RecordNotFound: no record has such a mail.
        LedgerUnavailable: the table did not answer, or the record kept changing.
    """
    event = ses_events.parse(message)
    if event is None:
        return
    notification_id = event.notification_id
    if notification_id is None or event.configuration_set != configuration_set:
        logger.warning("an event of somebody else's mail")
        return
    for _ in range(limits.FOLD_ATTEMPTS):
        record = table.read(notification_id, rules.FOLDED)
        if not record:
            raise RecordNotFound(f"no record {notification_id}")
        logger.append_keys(order_id=shown(record["orderId"]), message_id=event.message_id)
        if not rules.expects(record, event.message_id):
            raise RecordNotFound(f"record {notification_id} has no such mail")
        update = rules.learn(record, event, by=by, now=now)
        if update is None:
            if rules.is_own(record, event, by=by):
                _report(record, event, first=record.get("promotedBy") == by)
            return
        if table.write(update) is None:
            _report(record, event, first=not rules.is_settled(record))
            if rules.is_second(record, event):
                logger.warning("a second mail went out")
            return
    raise LedgerUnavailable("the record kept changing under the event")


def _report(record: Record, event: SesEvent, *, first: bool) -> None:
    # The rest of its identity is in the words of the recipient's provider.
    logger.info("reported", event=event.identity.partition("|")[0], status=event.status)
    if is_simulated(record["customerEmail"]):
        return
    if event.metric:
        count(event.metric)
    if first:
        count(Metric.SENT)  # The send step's own answer never came.


@lambda_handler
def handler(event: SnsEvent, context: LambdaContext) -> None:
    """Take SNS records, one or more. A failure repeats the invocation, which is safe."""
    by = context.aws_request_id[:INVOCATION_DIGITS]
    settings = FeedbackSettings.from_env()
    table = LedgerTable(settings.tracking_table)
    for record in event["Records"]:
        try:
            apply_event(
                record["Sns"]["Message"],
                table=table,
                configuration_set=settings.configuration_set,
                by=by,
                now=time.time(),
            )
        finally:
            logger.remove_keys(["order_id", "message_id"])
