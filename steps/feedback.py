"""Feedback: fold SES's events into the ledger, each once, whatever their order.

SQS delivers at least once. What cannot be folded now stays on the queue, and the operators hear of it once it
is late; what is at fault itself goes to the dead letters with its reason, and holds nothing up.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steps.aws.late_notice import LateNotice
from steps.aws.ledger_table import LedgerTable
from steps.aws.queue import put_dead_letter
from steps.contract import limits
from steps.contract.batch_response import not_done
from steps.contract.errors import (
    LedgerUnavailable,
    OrderMailError,
    QueueUnavailable,
    RecordNotFound,
    UnexpectedError,
)
from steps.contract.handler import count, lambda_handler, log_unexpected, logger
from steps.contract.metrics import Metric
from steps.contract.order_id import shown
from steps.contract.recipient import is_simulated
from steps.contract.settings import FunctionSettings
from steps.contract.sqs_event import sent_at, times_received
from steps.ledger import rules, ses_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.batch_response import BatchResponse
    from steps.contract.sqs_event import SqsEvent, SqsRecord
    from steps.ledger.rules import Record
    from steps.ledger.ses_events import SesEvent


MESSAGE_DIGITS = 8
"""Of an SQS message's id: enough to tell the messages about one mail apart."""

USUAL = {"Send", "Delivery"}
"""What nearly every mail's events are: records and metrics have it all, so the log need not."""


@dataclass(frozen=True, kw_only=True)
class FeedbackSettings(FunctionSettings):
    """Where records are kept; through which configuration set their mails are sent; the dead letters' URL."""

    tracking_table: str
    configuration_set: str
    dead_letter_queue: str


def apply_event(
    message: str,
    *,
    table: LedgerTable,
    configuration_set: str,
    by: str,
    now: float,
    seen: dict[str, Record] | None = None,
) -> None:
    """Fold one event into its record; a repetition changes nothing and counts nothing.

    The first look at a record may show what it was a moment ago, since a write is conditional on what was read.
    What would be decided without one is decided by a consistent read. `seen`: what this batch has read already;
    a mail's first two events often come together.

    Mails of other configuration sets, and of others who send through ours, are none of ours: what SES says of
    them is left alone.

    `by` names the message that brings the event, and stands in the record beside it. A message that comes back
    counts what it wrote before, since nobody may have: metrics are told at an invocation's end, so what dies
    before that has counted none of its batch. So an event is

    - counted once where its function died between the write and the end, or was not told of its write;
    - counted twice where the function died after that end, Lambda could not delete the batch, or SQS delivers
      a message twice, since the second time looks like a death;
    - counted never where its function died so and the message does not come back under its id: SQS moved it to
      the dead letters, and whoever sends it from there makes it another;
    - counted by the first alone where SES or SNS publish it twice, which is two messages.

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
    seen = {} if seen is None else seen
    for again in range(limits.FOLD_ATTEMPTS):
        record = {} if again else seen.pop(notification_id, {})
        record = record or table.read(notification_id, rules.FOLDED, consistent=again > 0)
        if not again and not _is_of(record, event):
            continue
        if not record:
            raise RecordNotFound(f"no record {notification_id}")
        logger.append_keys(order_id=shown(record["orderId"]), message_id=event.message_id)
        if not rules.expects(record, event.message_id):
            raise RecordNotFound(f"record {notification_id} has no such mail")
        update = rules.learn(record, event, by=by, now=now)
        if update is None:
            seen[notification_id] = record
            if rules.is_own(record, event, by=by):
                _report(record, event, first=record.get("promotedBy") == by)
            return
        if table.write(update) is None:
            _report(record, event, first=not rules.is_settled(record))
            if rules.is_second(record, event):
                # Whoever has SES's id of it finds the record by this line.
                logger.warning("a second mail went out", notification_id=notification_id)
            return
    raise LedgerUnavailable("the record kept changing under the event")


def _is_of(record: Record, event: SesEvent) -> bool:
    """Whether an event is about the mail that a record has, as it was read."""
    return (
        bool(record)
        and rules.expects(record, event.message_id)
        and not rules.is_second(record, event)
    )


def _report(record: Record, event: SesEvent, *, first: bool) -> None:
    # The rest of its identity is in the words of the recipient's provider.
    kind = event.identity.partition("|")[0]
    say = logger.debug if kind in USUAL else logger.info
    say("reported", event=kind, status=event.status)
    if first:
        # Likewise: the send step may not have said that the mail was accepted.
        logger.warning("SES's answer was not recorded", notification_id=record["notificationId"])
    if is_simulated(record["customerEmail"]):
        return
    if event.metric:
        count(event.metric)
    if first:
        count(Metric.SENT)  # The send step's own answer never came.


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Folds batches of SES's events. `dead_letter` puts an event there, with a reason, or raises.

    seen: the records that a batch has read and left as they are.
    """

    table: LedgerTable
    configuration_set: str
    dead_letter: Callable[[str, str], None]
    late: LateNotice
    clock: Callable[[], float] = time.time
    seen: dict[str, Record] = field(default_factory=dict)

    def take(self, records: list[SqsRecord]) -> list[str]:
        """Fold a batch, one after the other; return the ids of the messages that stay on the queue.

        Where the table does not answer, or time is short, the rest of the batch is not begun. Of what stays
        the oldest decides whether notice is given.
        """
        end = self.clock() + limits.FEEDBACK_BUDGET
        staying: list[SqsRecord] = []
        done = 0
        for record in records:
            if self.clock() >= end:
                break
            try:
                settled = self._is_settled(record)
            except LedgerUnavailable as error:
                logger.warning("event not folded in", reason=str(error))
                break
            finally:
                logger.remove_keys(["order_id", "message_id"])
            done += 1
            if not settled:
                staying.append(record)
        self.seen.clear()
        if waiting := records[done:]:
            logger.warning("events wait", events=len(waiting))
        staying += waiting
        # Where a last event took that long and became a letter, too, a later batch gives the notice.
        if staying and self.clock() <= end + limits.LAST_EVENT:
            self.late.of(min(map(sent_at, staying)))
        return [record["messageId"] for record in staying]

    def fold(self, message: str, *, by: str) -> None:
        """Fold one event in; raises what `apply_event` raises."""
        apply_event(
            message,
            table=self.table,
            configuration_set=self.configuration_set,
            by=by,
            now=self.clock(),
            seen=self.seen,
        )

    def _is_settled(self, record: SqsRecord) -> bool:
        """Fold an event in, or set it aside; return whether its message may leave the queue."""
        try:
            self.fold(record["body"], by=record["messageId"][:MESSAGE_DIGITS])
        except LedgerUnavailable:
            raise
        except OrderMailError as error:
            logger.warning("event not folded in", reason=str(error))
            return self._is_set_aside(record, type(error).__name__)
        except Exception as error:
            log_unexpected(error)
            return self._is_set_aside(record, UnexpectedError.__name__)
        return True

    def _is_set_aside(self, record: SqsRecord, reason: str) -> bool:
        """Put an event at fault among the dead letters, once it was tried often enough."""
        if times_received(record) < limits.SES_EVENT_RECEIVES:
            return False
        try:
            self.dead_letter(record["body"], reason)
        except QueueUnavailable as error:
            logger.warning("event stays on the queue", reason=str(error))
            return False
        logger.error("dead letter", reason=reason)
        return True


@functools.cache
def _feedback(settings: FeedbackSettings) -> Feedback:
    """Return this environment's feedback, which remembers what notice it gave."""

    def dead_letter(event: str, reason: str) -> None:
        put_dead_letter(settings.dead_letter_queue, event, reason=reason)

    return Feedback(
        table=LedgerTable(settings.tracking_table),
        configuration_set=settings.configuration_set,
        dead_letter=dead_letter,
        late=LateNotice(
            name="sesEventsWaitSince",
            put=functools.partial(dead_letter, reason=LedgerUnavailable.__name__),
        ),
    )


@lambda_handler
def handler(event: SqsEvent, context: LambdaContext) -> BatchResponse:
    """Take an SQS batch, return `batchItemFailures`: the messages that stay on the queue."""
    feedback = _feedback(FeedbackSettings.from_env())
    # The subscription of before the queue, and Lambda's retries of it, live on while a deployment goes on.
    of_sns: list[Any] = [record for record in event["Records"] if "Sns" in record]
    for record in of_sns:
        feedback.fold(record["Sns"]["Message"], by=context.aws_request_id[:MESSAGE_DIGITS])
    return not_done(feedback.take([] if of_sns else event["Records"]))
