"""The order path in one process: SQS's rules, the real dispatcher, and the workflow's steps one by one.

`QueueInMemory` keeps to SQS's visibility, receive counts, redrive and retention, by any clock.
`WorkflowInProcess` stands in for Step Functions: the real steps with the retries and ends of the
generated ASL.
"""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.config import LOCAL_BRAND
from steps import dedup, record, render, send, validate
from steps.aws.queue import OrderQueue
from steps.aws.workflow import OrderExecution, OrderWorkflow
from steps.contract import errors, limits
from steps.contract.state import ClaimResult, FailureEnd
from tests.support.asl import end_of, is_retried, retrier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steps.aws.ledger_table import LedgerTable
    from steps.aws.ses import Ses
    from steps.dispatch import Dispatcher, SqsRecord
    from steps.mail.brand import Brand


@dataclass
class Message:
    """An order event on the queue; times are epoch seconds."""

    body: str
    sent_at: float
    visible_at: float
    number: int
    receives: int = 0

    @property
    def sqs_record(self) -> SqsRecord:
        """As Lambda's event source hands it over."""
        return {
            "messageId": f"{self.number:08}",
            "receiptHandle": str(self.number),
            "body": self.body,
            "attributes": {"ApproximateReceiveCount": str(self.receives)},
        }


@dataclass
class QueueInMemory:
    """The order queue, its dead letters, and Lambda's event source on it. Thread-safe."""

    clock: Callable[[], float]
    messages: dict[str, Message] = field(default_factory=dict)
    dead_letters: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def publish(self, *bodies: str) -> None:
        now = self.clock()
        with self._lock:
            for body in bodies:
                number = next(self._numbers)
                self.messages[str(number)] = Message(body, now, now, number)

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
                elif message.receives >= limits.QUEUE_MAX_RECEIVES:
                    self.dead_letters.append(self.messages.pop(handle).body)
                else:
                    message.receives += 1
                    message.visible_at = now + limits.QUEUE_VISIBILITY
                    batch.append(message.sqs_record)
        return batch

    def run(self, dispatcher: Dispatcher) -> int:
        """Let a dispatcher take one batch; return how many messages that was."""
        batch = self.receive()
        stay = set(dispatcher.run_batch(batch)) if batch else set()
        with self._lock:
            for one in batch:
                if one["messageId"] not in stay:
                    del self.messages[one["receiptHandle"]]
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

    `jitter` gives the share of a wait that is waited for: Step Functions' FULL jitter is 0 to 1.
    """

    arn: str = "workflow"
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    table: LedgerTable
    ses: Ses
    brand: Brand = LOCAL_BRAND
    jitter: Callable[[], float] = lambda: 1.0

    def run(self, *, name: str, request: str) -> OrderExecution:
        """Run an execution to its end."""
        state: Any = json.loads(request)
        at = ["Validate"]
        try:
            self._order(name, state, at)
        except errors.OrderMailError as error:
            reason = type(error).__name__
            state["error"] = {"Error": reason, "Cause": ""}
            end = end_of(at[-1], state)
            if end is None:
                self._call(
                    "RecordFailed",
                    lambda: record.record_failed(state, name, table=self.table, now=self.clock()),
                )
            return OrderExecution(
                arn=name, status="FAILED", end=end or FailureEnd.GAVE_UP, error=reason
            )
        return OrderExecution(arn=name, status="SUCCEEDED", output=state)

    def _order(self, name: str, state: Any, at: list[str]) -> None:
        def call(task: str, step: Callable[[], Any]) -> Any:
            at.append(task)
            return self._call(task, step)

        def now() -> datetime:
            return datetime.fromtimestamp(self.clock(), UTC)

        table, ses = self.table, self.ses
        attempt = state["attempt"]
        state |= call("Validate", lambda: validate.validate(state["message"], attempt, now()))
        state["claim"] = call(
            "Dedup", lambda: dedup.claim(state, name, table=table, now=self.clock())
        )
        if state["claim"]["result"] != ClaimResult.NEW:
            return
        state["email"] = call(
            "Render", lambda: render.render(state["order"], self.brand, state["notificationId"])
        )
        state["receipt"] = call(
            "Send", lambda: send.send(state, name, table=table, ses=ses, clock=self.clock)
        )
        call("Record", lambda: record.record_sent(state, name, table=table))

    def _call(self, task: str, step: Callable[[], Any]) -> Any:
        for tries in itertools.count(1):
            try:
                return step()
            except errors.OrderMailError as error:
                reason = type(error).__name__
                if not is_retried(task, reason, tries):
                    raise
                rule = retrier(task, reason)
                wait = rule["IntervalSeconds"] * rule["BackoffRate"] ** (tries - 1)
                self.sleep(wait * self.jitter())
        raise AssertionError
