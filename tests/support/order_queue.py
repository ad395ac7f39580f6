"""The order path in one process: SQS's rules, the real dispatcher, and the workflow's steps one by one.

`QueueInMemory` keeps to SQS's visibility, receive counts, redrive and retention, by any clock.
`WorkflowInProcess` stands in for Step Functions: the real steps in the order, with the retries and to the
ends of the generated ASL.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.brand import LOCAL_BRAND
from steps import dedup, record, render, send, validate
from steps.aws.queue import OrderQueue
from steps.aws.workflow import OrderExecution, OrderWorkflow
from steps.contract import errors, limits
from tests.support import asl
from tests.support.in_memory_aws import NO_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steps.aws.ledger_table import LedgerTable
    from steps.aws.ses import Ses
    from steps.contract.attachments import Attachment
    from steps.contract.sqs_event import SqsRecord
    from steps.contract.state import Reference
    from steps.mail.brand import Brand
    from steps.send import Fetch


def sqs_record(
    body: str = "{}",
    *,
    message_id: str = "0123456789",
    receives: int = 1,
    sent_at: float | None = None,
) -> SqsRecord:
    """Return a message as Lambda's event source hands it over; its id is its receipt handle, too.

    sent_at: in epoch seconds; by default now, by the clock of the functions' handlers.
    """
    moment = time.time() if sent_at is None else sent_at
    return {
        "messageId": message_id,
        "receiptHandle": message_id,
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": str(round(moment * 1000)),
        },
    }


@dataclass
class Message:
    """An order event on the queue; times are epoch seconds."""

    body: str
    sent_at: float
    visible_at: float
    receives: int = 0


@dataclass
class QueueInMemory:
    """A queue, its dead letters, and Lambda's event source on it: by default the order queue. Thread-safe.

    `messages` are found by their receipt handle.
    """

    clock: Callable[[], float]
    visibility: int = limits.QUEUE_VISIBILITY
    redrive_receives: int = limits.QUEUE_REDRIVE_RECEIVES
    messages: dict[str, Message] = field(default_factory=dict)
    dead_letters: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def publish(self, *bodies: str) -> None:
        now = self.clock()
        with self._lock:
            for body in bodies:
                self.messages[f"{next(self._numbers):08}"] = Message(body, now, now)

    def receive(self) -> list[SqsRecord]:
        """Take a batch of visible messages, those that wait longest first."""
        now = self.clock()
        batch: list[SqsRecord] = []
        with self._lock:
            for handle, message in sorted(
                self.messages.items(), key=lambda pair: pair[1].visible_at
            ):
                if message.visible_at > now or len(batch) == limits.DISPATCHER_BATCH:
                    break
                if now - message.sent_at > limits.QUEUE_RETENTION:
                    self.expired.append(self.messages.pop(handle).body)
                elif message.receives >= self.redrive_receives:
                    self.dead_letters.append(self.messages.pop(handle).body)
                else:
                    message.receives += 1
                    message.visible_at = now + self.visibility
                    batch.append(
                        sqs_record(
                            message.body,
                            message_id=handle,
                            receives=message.receives,
                            sent_at=message.sent_at,
                        )
                    )
        return batch

    def run(self, take: Callable[[list[SqsRecord]], list[str]]) -> int:
        """Let a function take one batch, and say what stays; return how many messages that was."""
        batch = self.receive()
        staying = set(take(batch)) if batch else set()
        with self._lock:
            for message in batch:
                if message["messageId"] not in staying:
                    del self.messages[message["receiptHandle"]]
        return len(batch)

    @property
    def door(self) -> OrderQueue:
        """The queue as the dispatcher sees it."""
        return _Door(url="", dead_letters_url="", queue=self)

    def next_visible(self) -> float:
        """When the next message can be received; infinity on an empty queue."""
        with self._lock:
            return min((m.visible_at for m in self.messages.values()), default=float("inf"))


@dataclass(frozen=True, kw_only=True)
class _Door(OrderQueue):
    queue: QueueInMemory

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        self.queue.messages[receipt_handle].visible_at = self.queue.clock() + seconds

    def dead_letter(self, body: str, *, reason: str, execution: str) -> None:
        self.queue.dead_letters.append(f"{reason} {execution} {body}")


@dataclass(frozen=True, kw_only=True)
class WorkflowInProcess(OrderWorkflow):
    """Runs executions, step by step; `clock` is the steps', `sleep` the wait before a retry.

    A retry waits as long as it may: Step Functions' FULL jitter is a share of that.
    """

    arn: str = "workflow"
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    table: LedgerTable
    ses: Ses
    fetch: Fetch = NO_FILES
    brand: Brand = LOCAL_BRAND

    def run(self, *, name: str, request: str) -> OrderExecution:
        """Run an execution to its end."""
        state, state_input = asl.START_AT, json.loads(request)
        while not (execution := asl.ended(name, state, state_input)):
            try:
                result = self._run_with_retries(state, state_input, name)
            except errors.OrderMailError as error:
                state, state_input = asl.after_failure(state, state_input, type(error).__name__)
            else:
                state, state_input = asl.after(state, state_input, result)
        return execution

    def _run_with_retries(self, state: str, state_input: asl.StateInput, owner: str) -> object:
        for tries in itertools.count(1):
            try:
                return self._run_once(state, state_input, owner)
            except errors.OrderMailError as error:
                reason = type(error).__name__
                if not asl.is_retried(state, reason, tries):
                    raise
                self.sleep(asl.retry_wait(state, reason, tries))
        raise AssertionError

    def _run_once(self, state: str, state_input: Any, owner: str) -> object:
        table, now = self.table, self.clock()
        result: object
        match state:
            case "Validate":
                result = validate.validate(state_input, datetime.fromtimestamp(now, UTC))
            case "Dedup":
                result = dedup.claim(state_input, owner, table=table, now=now)
            case "Render":
                order, kept = state_input["order"], state_input.keys() - {"order"}
                notification_id, resent = state_input["notificationId"], "resend" in state_input
                linked = state_input["claim"].get("linked", False)
                email = render.render(
                    order, self.brand, notification_id, resent=resent, linked=linked
                )
                result = {key: state_input[key] for key in kept} | {"email": email}
            case "Send":
                result = send.send(
                    state_input,
                    owner,
                    table=table,
                    ses=self.ses,
                    fetch=self._fetch,
                    handover_id=self._handover_id(),
                    clock=self.clock,
                )
            case "Record":
                result = record.record_sent(state_input, owner, table=table, now=now)
            case "Release":
                result = record.release(state_input, owner, table=table, now=now)
            case "RecordRejected":
                result = record.record_rejected(state_input, owner, table=table, now=now)
            case "RecordFailed":
                result = record.record_failed(state_input, owner, table=table, now=now)
            case _:
                raise AssertionError(f"no step is called by {state}")
        return result

    def _fetch(self, references: Sequence[Reference]) -> list[Attachment]:
        """Fetch a mail's attachments."""
        return self.fetch(references)

    def _handover_id(self) -> str:
        """Name one try of Send, as its function does."""
        return uuid.uuid4().hex
