"""The send protocol in slow motion: the real steps, one at a time, with a death at any point.

A `World` holds the queue, the executions that run, SES and its events, and a clock that only moves
when told to. The table is moto's, so that conditions are evaluated for real; the steps are the real
ones. What Step Functions and SQS do around them (retries, ends, delays) is played by `World`, after
`statemachines/order_workflow.py` and `steps/dispatch.py`.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from steps import aws, dedup, dispatch, errors, feedback, ledger, limits, model, record, send
from steps.function import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

START = 1_800_000_000.0
ORDER = {"eventType": "order.confirmed", "customerEmail": "customer@example.com"}
ID = model.notification_id("ORDER1", ORDER["eventType"], ORDER["customerEmail"])

WRITE_FAULTS = ("dies before", "dies after", "unavailable", "answer lost")
SEND_FAULTS = (
    *("dies before", "dies after", "answer lost", "5xx, not accepted"),
    *("throttled", "paused", "quota", "not verified"),
)


class Died(BaseException):
    """The process was killed: nothing after this point ran, not even an `except`."""


@dataclass
class Message:
    """A copy of the order event on the queue."""

    number: int
    visible_at: float
    receives: int = 0


@dataclass
class Execution:
    """One run of the order workflow: the step it is at, and its tries of that step so far."""

    owner: str
    message: Message
    step: str = "dedup"
    tries: int = 0
    state: dict[str, Any] = field(default_factory=dict)


@dataclass
class Event:
    """An event that SES will publish, in the order, and as often, as it likes."""

    text: str
    folded: int = 0


class World:
    """Everything around the steps. Methods are what may happen next; each returns nothing."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = START
        self.numbers = itertools.count(1)
        self.queue: list[Message] = []
        self.executions: list[Execution] = []
        self.dead_letters: list[Message] = []
        self.accepted: list[str] = []
        self.events: list[Event] = []
        self.fault: str | None = None
        self.fault_at = ""
        self.log: list[str] = []
        self._write, self._read = aws.write, aws.read
        for module in (dedup, send, record):
            patch.setattr(module, "time", SimpleNamespace(time=lambda: self.now))
        patch.setattr(aws, "write", self._faulty_write)
        patch.setattr(aws, "send_email", self._ses)
        patch.setenv("SENDER", "orders@example.com")

    # --- what may happen --------------------------------------------------------------------------

    def publish(self) -> None:
        """The shop publishes the order event, perhaps again."""
        self.queue.append(Message(next(self.numbers), self.now))

    def receive(self) -> None:
        """A dispatcher takes a message that is visible, and starts an execution."""
        message = next(m for m in self.queue if m.visible_at <= self.now)
        message.receives += 1
        message.visible_at = self.now + limits.QUEUE_VISIBILITY
        owner = f"execution-{next(self.numbers)}"
        state = {
            "attempt": message.receives,
            "notificationId": ID,
            "orderId": "ORDER1",
            "order": ORDER,
            "email": {"to": "customer@example.com", "subject": "", "html": "", "text": ""},
        }
        self.executions.append(Execution(owner, message, state=state))

    def advance(self, execution: Execution, fault: str | None = None, at: str = "") -> None:
        """Run an execution's next step; `fault` strikes at the first write, or `at` one of a kind."""
        self.fault, self.fault_at = fault, at
        run: Callable[[Execution], None] = getattr(self, f"_{execution.step}")
        try:
            run(execution)
        except Died:
            self._failed(execution, "Runtime.ExitError")
        except errors.OrderMailError as error:
            self._failed(execution, type(error).__name__)
        finally:
            self.fault = None
            metrics.clear_metrics()

    def dispatcher_dies(self, execution: Execution) -> None:
        """The dispatcher is killed: its message comes back by itself; nobody judges the execution."""
        execution.message = Message(0, 0)

    def report(self, event: Event, fault: str | None = None) -> None:
        """SES publishes an event, perhaps again; the feedback function folds it."""
        self.fault, self.fault_at = fault, ""
        try:
            feedback.feed(event.text)
            event.folded += 1
        except (Died, errors.OrderMailError):
            pass  # SNS and Lambda try again.
        finally:
            self.fault = None
            metrics.clear_metrics()

    def wait(self, seconds: float) -> None:
        """Time passes. Executions go on, even past every time-out: safety must not hang on clocks."""
        self.now += seconds

    def time_out(self, execution: Execution) -> None:
        """The machine's time-out ends an execution."""
        self._end(execution, "FAILED", "States.Timeout")

    def drain(self) -> None:
        """Let everything go well from here on until nothing is left to do."""
        for _ in range(500):
            for event in self.events:
                if not event.folded:
                    self.report(event)
            if self.executions:
                self.advance(self.executions[0])
            elif not self.queue:
                return
            elif any(m.visible_at <= self.now for m in self.queue):
                self.receive()
            else:
                self.now = min(m.visible_at for m in self.queue)
        raise AssertionError(f"never settled: {self.record()}")

    # --- what can be asked ------------------------------------------------------------------------

    def record(self) -> ledger.Record:
        """Return the notification's record; empty while there is none."""
        return self._read(ID)

    # --- the machine ------------------------------------------------------------------------------

    def _dedup(self, execution: Execution) -> None:
        claim = dedup.claim(execution.state, execution.owner, self.now)  # type: ignore[arg-type]
        execution.state["claim"] = claim
        if claim["result"] == "NEW":
            self._next(execution, "send")
        else:
            self._end(execution, "SUCCEEDED", "")

    def _send(self, execution: Execution) -> None:
        execution.state["receipt"] = send.send(execution.state, execution.owner)  # type: ignore[arg-type]
        self._next(execution, "record")

    def _record(self, execution: Execution) -> None:
        record.record_sent(execution.state, execution.owner)  # type: ignore[arg-type]
        self._end(execution, "SUCCEEDED", "")

    def _give_up(self, execution: Execution) -> None:
        record.record_failed(execution.state, execution.owner, self.now)  # type: ignore[arg-type]
        self._end(execution, "FAILED", execution.state["error"]["Error"])

    @staticmethod
    def _next(execution: Execution, step: str) -> None:
        execution.step, execution.tries = step, 0

    def _failed(self, execution: Execution, error: str) -> None:
        retried = {
            "send": ("SendThrottled", "LedgerUnavailable"),
            "dedup": ("LedgerUnavailable", "Runtime.ExitError"),
            "record": ("LedgerUnavailable", "Runtime.ExitError"),
            "give_up": ("LedgerUnavailable", "Runtime.ExitError"),
        }[execution.step]
        execution.tries += 1
        if error in retried and execution.tries <= limits.STEP_RETRIES:
            return
        execution.state["error"] = {"Error": error, "Cause": ""}
        if execution.step != "give_up" and limits.gives_up(error, execution.state["attempt"]):
            self._next(execution, "give_up")
        else:
            self._end(execution, "FAILED", error)

    def _end(self, execution: Execution, status: str, error: str) -> None:
        self.executions.remove(execution)
        message = execution.message
        if message not in self.queue:
            return  # Its dispatcher died.
        ended = aws.Execution(
            arn=execution.owner, status=status, error=error, output=execution.state
        )
        match dispatch.outcome(ended, message.receives):
            case dispatch.Done():
                self.queue.remove(message)
            case dispatch.Later(delay):
                message.visible_at = self.now + delay
            case dispatch.DeadLetter():
                self.queue.remove(message)
                self.dead_letters.append(message)

    # --- AWS, with faults -------------------------------------------------------------------------

    def _strikes(self, at: str) -> str | None:
        if self.fault is None or self.fault_at not in ("", at):
            return None
        fault, self.fault = self.fault, None
        return fault

    def _faulty_write(self, request: ledger.Put | ledger.Change) -> ledger.Record | None:
        written = request.record if isinstance(request, ledger.Put) else request.set
        fault = self._strikes("SENDING" if written.get("status") == "SENDING" else "write")
        if fault == "dies before":
            raise Died
        if fault == "unavailable":
            raise errors.LedgerUnavailable("as asked")
        found = self._write(request)
        if fault == "dies after":
            raise Died
        if fault == "answer lost":
            raise errors.LedgerUnavailable("as asked")
        return found

    def _ses(self, _email: object, *, sender: str, tags: dict[str, str]) -> str:
        fault = self._strikes("SES")
        refusals = {
            "throttled": errors.SendThrottled,
            "paused": errors.SendingPaused,
            "quota": errors.QuotaExceeded,
            "not verified": errors.SenderNotReady,
            "5xx, not accepted": errors.SendOutcomeUnknown,
        }
        if fault in refusals:
            raise refusals[fault]("as asked")
        if fault == "dies before":
            raise Died
        assert self.record()["status"] == "SENDING", "SES is called before the record says so"
        message_id = f"message-{len(self.accepted) + 1}"
        self.accepted.append(message_id)
        self._publish_later(message_id, sender, tags)
        if fault == "dies after":
            raise Died
        if fault == "answer lost":
            raise errors.SendOutcomeUnknown("as asked")
        return message_id

    def _publish_later(self, message_id: str, sender: str, tags: dict[str, str]) -> None:
        mail = {
            "timestamp": ledger.iso(self.now),
            "messageId": message_id,
            "source": sender,
            "tags": {name: [value] for name, value in tags.items()},
        }
        details: list[tuple[str, dict[str, Any]]] = [
            ("Send", {"send": {}}),
            ("Delivery", {"delivery": {"timestamp": ledger.iso(self.now + 1)}}),
        ]
        if len(self.accepted) % 2:
            bounce = {"bounceType": "Permanent", "bounceSubType": "General"}
            details.append(
                ("Bounce", {"bounce": bounce | {"timestamp": ledger.iso(self.now + 17)}})
            )
        self.events += [
            Event(json.dumps({"eventType": type_, "mail": mail} | detail))
            for type_, detail in details
        ]
