"""Dispatch: one Express execution per queued message, a batch at a time, in parallel.

SQS delivers at least once and a synchronous Express execution runs at most once; together each
message is tried until its outcome is known. What waits goes back to the queue with a growing delay;
what cannot succeed goes to the dead letters with its reason, and is counted. A message leaves the queue
only then.
"""

from __future__ import annotations

import functools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from steps.aws.ledger_table import LedgerTable
from steps.aws.pace import Pace
from steps.aws.queue import OrderQueue
from steps.aws.workflow import OrderExecution, OrderWorkflow
from steps.contract import limits
from steps.contract.batch_response import not_done
from steps.contract.errors import (
    AttachmentsLinked,
    AttachmentUnavailable,
    OrderMailError,
    QueueUnavailable,
    QuotaExceeded,
    SendingPaused,
    SendThrottled,
    SesUnavailable,
    UnexpectedError,
    WorkflowUnavailable,
)
from steps.contract.handler import count, lambda_handler, log_unexpected, logger
from steps.contract.message import field
from steps.contract.metrics import Metric
from steps.contract.order_id import in_name, shown
from steps.contract.recipient import is_simulated
from steps.contract.settings import FunctionSettings
from steps.contract.sqs_event import sent_at, times_received
from steps.contract.state import ClaimResult, FailureEnd
from steps.ledger import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.batch_response import BatchResponse
    from steps.contract.sqs_event import SqsEvent, SqsRecord

MESSAGE_TOO_LARGE = "MessageTooLarge"
"""The reason of a dead letter whose message is larger than an execution's input may be."""

IN_PROGRESS = "InProgress"
"""Why a message waits: another execution holds the notification."""

PACED = "Paced"
"""Why a message waits: other dispatchers have reserved the send rate."""

MALFORMED = "malformed"
"""Stands for the order id of a message that has none."""

SOON = {
    AttachmentUnavailable.__name__: limits.ATTACHMENT_RETRY_MAX,
    AttachmentsLinked.__name__: limits.RETRY_DELAY_MIN,
}
"""The longest delay after an error that need not wait as long as others, in seconds."""

NOT_STUCK = {IN_PROGRESS, *SOON}
"""Why a message waits and says nothing of whether mails go out."""

REFUSED = {error.__name__ for error in (SendingPaused, QuotaExceeded, SendThrottled)}
"""Why a message waits where SES itself does not send for now."""

ATTACHMENTS = '"attachments"'
"""What the event of a mail with attachments has in it; reading it would be more work than a try too many."""

NAME_MAX = 80
"""Step Functions: an execution's name has at most 80 characters."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class DispatchSettings(FunctionSettings):
    """The workflow's ARN, both queues' URLs, and the table with the sending slots and the attempts.

    tracing_rate: of how many executions there are traces, from 0 to 1.
    dispatcher_concurrency: how many dispatchers share the slots.
    """

    order_workflow: str
    order_queue: str
    dead_letter_queue: str
    tracking_table: str
    tracing_rate: Decimal
    dispatcher_concurrency: int


@dataclass(frozen=True)
class Done:
    """The message's outcome is known and recorded."""


@dataclass(frozen=True)
class Later:
    """The message is to be tried again in `delay` seconds."""

    delay: int
    reason: str


@dataclass(frozen=True)
class DeadLetter:
    """The message cannot succeed; `reason` is an error's name, `execution` where to look, if any."""

    reason: str
    execution: str = ""


Disposition = Done | Later | DeadLetter


def execution_name(message: str, message_id: str, receives: int) -> str:
    """Name an execution so that an operator finds an order in the console: `<order id>-<message>-<try>`.

    The order id is as in the logs, but for the characters that a name cannot have.
    """
    end = f"-{message_id[:8]}-{receives}"
    return in_name(order_shown(message))[: NAME_MAX - len(end)] + end


def order_shown(message: str) -> str:
    """Return the order id of a message as logs show it; `malformed` where it has none."""
    return shown(field(message, "orderId") or MALFORMED)


def dispose(execution: OrderExecution, *, receives: int, attempt: int) -> Disposition:
    """Say what becomes of a message after its execution.

    Whether to give up is the workflow's decision, except where it came to none: it broke, it timed out,
    or it could not record its decision, and this was the last receive or the last attempt.
    """
    if execution.status == "SUCCEEDED":
        claim = execution.output.get("claim", {})
        if claim.get("result") == ClaimResult.IN_PROGRESS:
            # Its claim may run for long, but most are settled within seconds.
            return Later(min(claim["retryAfter"], limits.retry_delay(receives)), IN_PROGRESS)
        return Done()
    if execution.end is FailureEnd.GAVE_UP:
        return DeadLetter(execution.error, execution.arn)
    bug = execution.broke or execution.end is FailureEnd.FAILED
    # With links the mail goes at the next receive, which the queue has: SQS counts further than we do.
    last = is_last(receives) and execution.error != AttachmentsLinked.__name__
    if last or (bug and attempt >= limits.UNEXPECTED_MAX_ATTEMPTS):
        return DeadLetter(execution.error, execution.arn)
    longest = SOON.get(execution.error, limits.RETRY_DELAY_MAX)
    return Later(min(longest, limits.retry_delay(receives)), execution.error)


def is_last(receives: int) -> bool:
    """Whether this is the last of a message's receives."""
    return receives >= limits.QUEUE_MAX_RECEIVES


def in_parallel(run: Callable[..., Answer], *arguments: Iterable[object]) -> list[Answer]:
    """Call `run` for each set of arguments, a batch at once."""
    with ThreadPoolExecutor(max_workers=limits.DISPATCHER_BATCH) as pool:
        return list(pool.map(run, *arguments))


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """Runs batches of the order queue through the order workflow, no faster than SES permits."""

    workflow: OrderWorkflow
    queue: OrderQueue
    pace: Pace
    table: LedgerTable
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    each: Callable[..., list[Disposition] | list[bool]] = in_parallel

    def run_batch(self, records: list[SqsRecord]) -> list[str]:
        """Run a batch; return the ids of the messages that stay on the queue."""
        dispositions = [*map(self._sooner, records, self._dispositions(records))]
        settled = self.each(self._settle, records, dispositions)
        for record, disposition, leaves in zip(records, dispositions, settled, strict=True):
            _count(record, disposition, leaves=bool(leaves))
        return [r["messageId"] for r, leaves in zip(records, settled, strict=True) if not leaves]

    def _dispositions(self, records: list[SqsRecord]) -> list[Disposition]:
        try:
            account = self.pace.account(len(records))
        except SesUnavailable as error:
            return self._put_off(records, type(error).__name__)
        if account.paused:
            return self._put_off(records, SendingPaused.__name__)
        if account.quota_left <= 0:
            return self._put_off(records, QuotaExceeded.__name__)
        if (slots := self.pace.reserve(len(records), account.rate)) is None:
            return self._put_off(records, PACED)
        dispositions = self._alone(self._dispatch, records, slots)
        if any(isinstance(d, Later) and d.reason in REFUSED for d in dispositions):
            self.pace.refused()
        return dispositions

    def _sooner(self, record: SqsRecord, disposition: Disposition) -> Disposition:
        """Let a young mail with attachments wait no longer than it would for these."""
        if not isinstance(disposition, Later) or ATTACHMENTS not in record["body"]:
            return disposition
        if self.clock() >= sent_at(record) + limits.ATTACHMENT_RETRIES_FOR:
            return disposition
        return replace(disposition, delay=min(disposition.delay, limits.ATTACHMENT_RETRY_MAX))

    def _put_off(self, records: list[SqsRecord], reason: str) -> list[Disposition]:
        """Let messages wait. One that cannot wait any more is run, so that giving it up is recorded."""

        def put_off(record: SqsRecord) -> Disposition:
            if is_last(receives := times_received(record)):
                return self._dispatch(record, self.clock())
            return Later(limits.retry_delay(receives), reason)

        return self._alone(put_off, records)

    def _alone(
        self, run: Callable[..., Disposition], *arguments: Iterable[object]
    ) -> list[Disposition]:
        """Run each message of a batch by itself: whatever befalls one, the others do not notice."""

        def alone(*of_one: object) -> Disposition:
            try:
                return run(*of_one)
            except Exception as error:
                log_unexpected(error)
                return Later(limits.RETRY_DELAY_MAX, UnexpectedError.__name__)

        return self.each(alone, *arguments)  # type: ignore[return-value]

    def _dispatch(self, record: SqsRecord, slot: float) -> Disposition:
        """Wait for the message's sending slot, then run it."""
        self.sleep(max(0.0, slot - self.clock()))
        receives = times_received(record)
        try:
            return self._run(record, receives)
        except WorkflowUnavailable as error:
            reason = type(error).__name__
        except Exception as error:
            log_unexpected(error)
            reason = UnexpectedError.__name__
            self._count_attempt(record["messageId"], f"dispatcher-{receives}")
            if self._attempts(record["messageId"]) >= limits.UNEXPECTED_MAX_ATTEMPTS:
                return DeadLetter(reason)
        return (
            DeadLetter(reason) if is_last(receives) else Later(limits.retry_delay(receives), reason)
        )

    def _run(self, record: SqsRecord, receives: int) -> Disposition:
        message_id = record["messageId"]
        attempt = self._attempts(message_id) + 1 if receives > 1 else 1
        order_event = {
            "message": record["body"],
            "publishedAt": int(sent_at(record)),
            "attempt": attempt,
            "lastReceive": is_last(receives),
        }
        request = json.dumps(order_event, ensure_ascii=False)
        if len(request.encode("utf-8", "backslashreplace")) > limits.MESSAGE_MAX_BYTES:
            return DeadLetter(MESSAGE_TOO_LARGE)
        execution = self.workflow.run(
            name=execution_name(record["body"], message_id, receives), request=request
        )
        if execution.broke or execution.end is FailureEnd.FAILED:
            self._count_attempt(message_id, execution.arn)
        return dispose(execution, receives=receives, attempt=attempt)

    def _attempts(self, message_id: str) -> int:
        """Return how many executions of a message have failed by a bug, as far as is known."""
        try:
            attempts = self.table.read(rules.attempts_id(message_id), [rules.EXECUTIONS])
            return len(attempts.get(rules.EXECUTIONS, ()))
        except OrderMailError as error:
            logger.warning("attempts not read", message_id=message_id, reason=str(error))
            return 0

    def _count_attempt(self, message_id: str, execution: str) -> None:
        attempted = rules.attempted(message_id=message_id, execution=execution, now=self.clock())
        try:
            self.table.write(attempted)
        except OrderMailError as error:
            logger.warning("attempt not counted", message_id=message_id, reason=str(error))

    def _settle(self, record: SqsRecord, disposition: Disposition) -> bool:
        """Carry a disposition out; return whether the message may leave the order queue."""
        message_id = record["messageId"]
        try:
            match disposition:
                case Later(delay, reason):
                    logger.info(
                        "later",
                        order_id=order_shown(record["body"]),
                        message_id=message_id,
                        reason=reason,
                        delay=delay,
                    )
                    self.queue.postpone(record["receiptHandle"], delay)
                    return False
                case DeadLetter(reason=reason, execution=execution):
                    logger.error(
                        "dead letter",
                        order_id=order_shown(record["body"]),
                        message_id=message_id,
                        reason=reason,
                        execution_id=execution,
                    )
                    self.queue.dead_letter(record["body"], reason=reason, execution=execution)
        except QueueUnavailable as error:
            logger.warning("message stays on the queue", message_id=message_id, reason=str(error))
            return False
        except Exception as error:
            log_unexpected(error)
            return False
        return True


def _count(record: SqsRecord, disposition: Disposition, *, leaves: bool) -> None:
    """Count a dead letter that is put for certain; of a mail to SES's mailbox simulator nothing is counted."""
    waits = isinstance(disposition, Later) and disposition.reason not in NOT_STUCK
    fails = isinstance(disposition, DeadLetter) and leaves
    if not (waits or fails) or is_simulated(field(record["body"], "customerEmail")):
        return
    # A period with orders and no mail has the value 0 then; one without orders has none.
    count(*((Metric.SENT, 0) if waits else (Metric.FAILED, 1)))


@functools.cache
def _dispatcher() -> Dispatcher:
    """Return this environment's dispatcher, which remembers what SES permits between invocations."""
    settings = DispatchSettings.from_env()
    return Dispatcher(
        workflow=OrderWorkflow(settings.order_workflow, float(settings.tracing_rate)),
        queue=OrderQueue(url=settings.order_queue, dead_letters_url=settings.dead_letter_queue),
        pace=Pace(settings.tracking_table, dispatchers=settings.dispatcher_concurrency),
        table=LedgerTable(settings.tracking_table),
    )


@lambda_handler
def handler(event: SqsEvent, _context: LambdaContext) -> BatchResponse:
    """Take an SQS batch, return `batchItemFailures`: the messages that stay on the queue."""
    return not_done(_dispatcher().run_batch(event["Records"]))
