"""The order path in one process: SQS's rules, the real dispatcher, and the workflow's steps one by one.

`OrderQueue` keeps to SQS's visibility, receive counts, redrive and retention, by any clock. `Workflow`
stands in for the Express execution: the real steps with the retries of
`statemachines/order_workflow.py`, whose end it reports as StartSyncExecution would.
"""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from steps import aws, dedup, dispatch, errors, limits, record, render, send, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Message:
    """An order event on the queue; times are epoch seconds."""

    body: str
    sent_at: float
    visible_at: float
    number: int
    receives: int = 0

    @property
    def sqs_record(self) -> dict[str, Any]:
        """As Lambda's event source hands it over."""
        return {
            "messageId": f"{self.number:08}",
            "receiptHandle": str(self.number),
            "body": self.body,
            "attributes": {"ApproximateReceiveCount": str(self.receives)},
        }


@dataclass
class OrderQueue:
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

    def receive(self) -> list[dict[str, Any]]:
        """Take a batch of visible messages, those that wait longest first."""
        now = self.clock()
        batch: list[dict[str, Any]] = []
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

    def run_dispatcher(self) -> int:
        """Let one dispatcher take one batch; return how many messages that was."""
        batch = self.receive()
        if batch:
            answer = dispatch.handler({"Records": batch}, SimpleNamespace())
            stay = {f["itemIdentifier"] for f in answer["batchItemFailures"]}
            with self._lock:
                for one in batch:
                    if one["messageId"] not in stay:
                        del self.messages[one["receiptHandle"]]
        return len(batch)

    def hide(self, receipt_handle: str, seconds: int) -> None:
        """Stand in for `steps.aws.hide`."""
        with self._lock:
            self.messages[receipt_handle].visible_at = self.clock() + seconds

    def dead_letter(self, body: str, *, reason: str, execution: str) -> None:
        """Stand in for `steps.aws.dead_letter`."""
        self.dead_letters.append(f"{reason} {execution} {body}")

    def next_visible(self) -> float:
        """When the next message can be received; infinity on an empty queue."""
        with self._lock:
            return min((m.visible_at for m in self.messages.values()), default=float("inf"))


@dataclass
class Workflow:
    """Runs executions, step by step, each by its handler; `sleep` is the wait before a retry.

    `jitter` gives the share of a wait that is waited for: Step Functions' FULL jitter is 0 to 1.
    """

    sleep: Callable[[float], None]
    jitter: Callable[[], float] = lambda: 1.0
    _calls: Iterator[int] = field(default_factory=itertools.count)

    def run(self, *, name: str, request: str) -> aws.Execution:
        """Stand in for `steps.aws.run_order_workflow`."""
        state: Any = json.loads(request)
        try:
            self._order(name, state)
        except errors.OrderMailError as error:
            reason = type(error).__name__
            if limits.gives_up(reason, state["attempt"]):
                state["error"] = {"Error": reason, "Cause": ""}
                self._step(record, name, state, outcome="FAILED")
            return aws.Execution(arn=name, status="FAILED", error=reason, output={})
        return aws.Execution(arn=name, status="SUCCEEDED", error="", output=state)

    def _order(self, name: str, state: Any) -> None:
        state |= self._step(validate, name, state)
        state["claim"] = self._step(dedup, name, state, errors.LedgerUnavailable)
        if state["claim"]["result"] == "NEW":
            state |= self._step(render, name, state)
            passing = (errors.SendThrottled, errors.LedgerUnavailable)
            state["receipt"] = self._step(send, name, state, *passing)
            self._step(record, name, state, errors.LedgerUnavailable, outcome="SENT")

    def _step(
        self, step: Any, name: str, state: Any, *passing: type[Exception], outcome: str = ""
    ) -> Any:
        event = {"execution": name, "state": {**state}, "outcome": outcome}
        for attempt in itertools.count():
            context = SimpleNamespace(aws_request_id=f"call-{next(self._calls)}")
            try:
                return step.handler(event, context)
            except passing:
                if attempt == limits.SEND_RETRIES:
                    raise
                wait = limits.SEND_RETRY_INTERVAL * limits.SEND_RETRY_BACKOFF**attempt
                self.sleep(wait * self.jitter())
        raise AssertionError
