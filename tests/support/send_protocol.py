"""The send protocol in slow motion: the real steps, one at a time, with a death at any point.

A `SlowMotion` holds the queue, the executions that run, SES and its events, and a clock that only moves
when told to. The table is `TableInMemory`, which is held against moto's; the steps are the real ones.
What Step Functions and SQS do around them (retries, ends, delays) is played here, after the generated ASL
and `steps/dispatch.py`.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from steps import dedup, dispatch, feedback, record, send
from steps.aws.ses import Ses
from steps.aws.workflow import OrderExecution
from steps.contract import errors, limits
from steps.contract.attachments import Attachment, Unattached
from steps.contract.handler import metrics
from steps.contract.state import FailureEnd
from steps.ledger import rules
from steps.ledger.ses_events import NOTIFICATION_TAG
from steps.ledger.status import Status
from tests.support import asl
from tests.support.clock import NOW
from tests.support.in_memory_aws import SES, STATE
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.ses_events import ses_event
from tests.support.table_in_memory import TableInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from steps.contract.state import Email, Reference, State

WRITES_NOTHING = "Render"
"""The step between the claim and the send: nobody can tell whether it has run, so it runs at once."""

WRITE_FAULTS = ("dies before", "dies after", "unavailable", "answer lost", "lands late", "bug")
"""What may befall a write. One that lands late is repeated at once, and then lands a second time."""

REFUSALS = {
    "throttled": errors.SendThrottled,
    "paused": errors.SendingPaused,
    "quota": errors.QuotaExceeded,
    "not verified": errors.SenderNotReady,
    "not reached": errors.SesUnreachable,
    "5xx, not accepted": errors.SendOutcomeUnknown,
    "refused as it is": errors.SendRejected,
    "refused with its attachment": errors.AttachmentsRefused,
    "bug": errors.UnexpectedError,
}

SEND_FAULTS = (
    *("dies before", "dies after", "answer lost", "5xx, not accepted"),
    *("throttled", "paused", "quota", "not verified", "not reached", "refused as it is", "bug"),
    *("refused with its attachment", "refused with its attachment, answer lost"),
)

FETCH_FAULTS = {
    "missing": Unattached.NOT_FOUND,
    "replaced": Unattached.MISMATCH,
    "too large": Unattached.TOO_LARGE,
    "too large, answer lost": Unattached.TOO_LARGE,
}
"""What may befall the attachment; in the last case also the write that says so."""

REFERENCE: Reference = {"uri": "s3://shop/mails/1", "sha256": "0" * 64, "fileName": "Invoice.pdf"}
INVOICE = Attachment(file_name="Invoice.pdf", media_type="application/pdf", content=b"%PDF-")

INVALID: State = {
    "attempt": 1,
    "lastReceive": False,
    "notificationId": "rejected-1",
    "rejection": {
        "orderId": STATE["orderId"],
        "customerEmail": STATE["order"]["customerEmail"],
        "event": "{}",
        "reasons": [{"path": "eventTimestamp", "reason": "is too long ago"}],
        "claimed": NOTIFICATION_ID,
    },
}
"""What Validate leaves of the order event once it is too old."""


class Died(BaseException):
    """The process was killed: nothing after this point ran, not even an `except`."""


@dataclass
class Message:
    """A copy of the order event on the queue."""

    number: int
    visible_at: float
    published_at: float = 0
    receives: int = 0
    attempts: int = 0


@dataclass(repr=False)
class RunningExecution:
    """One run of the order workflow: the state it is at, what that gets, and its tries so far."""

    def __repr__(self) -> str:
        return f"{self.owner} at {self.state}"

    owner: str
    message: Message
    state_input: Any
    state: str = "Dedup"
    tries: int = 0
    unheard: str = ""
    """The state whose write was made and nobody was told: what comes after it counts it."""


@dataclass(repr=False)
class Event:
    """An event that SES will publish, in the order, and as often, as it likes."""

    text: str
    folded: int = 0
    message: str = ""

    def __repr__(self) -> str:
        event = json.loads(self.text)
        return f"{event['eventType']} of {event['mail']['messageId']}"


class SlowMotion:
    """Everything around the steps. Methods are what may happen next; each returns nothing."""

    def __init__(self) -> None:
        self.now = NOW
        self.numbers = itertools.count(1)
        self.queue: list[Message] = []
        self.executions: list[RunningExecution] = []
        self.dead_letters: list[Message] = []
        self.accepted: list[str] = []
        self.attached: dict[str, bool] = {}
        """Whether a mail that SES accepted has its attachment."""
        self.events: list[Event] = []
        self.late: list[rules.Put | rules.Update] = []
        self.counted: Counter[str] = Counter()
        self.uncounted = 0
        """How many acceptances nobody counted: the execution ended before Record's next try."""
        self.stale = False
        self.fault: str | None = None
        self.fault_at = ""
        self.refusals_land_late = False
        self.has_no_attachments = False
        self.refuses_attachments = False
        self.table = FaultyTable("tracking", slow_motion=self)
        self.ses = FaultySes(**vars(SES), slow_motion=self)

    # --- what may happen --------------------------------------------------------------------------

    def publish(self, receives: int = 0) -> None:
        """The shop publishes the order event, perhaps again; it may have been received often already."""
        self.queue.append(Message(next(self.numbers), self.now, self.now, receives))

    def redrive(self) -> None:
        """The operator sends the dead letters through again."""
        for _ in range(len(self.dead_letters)):
            self.dead_letters.pop()
            self.publish()

    def receive(self) -> None:
        """A dispatcher takes a message that is visible, and starts an execution."""
        message = next(m for m in self.queue if m.visible_at <= self.now)
        message.receives += 1
        message.visible_at = self.now + limits.QUEUE_VISIBILITY
        owner = f"execution-{next(self.numbers)}"
        state_input = {
            **(INVALID if self.stale else STATE | {"content": f"{message.number % 2}"}),
            "attempt": message.attempts + 1,
            "lastReceive": dispatch.is_last(message.receives),
            "startedAt": int(self.now),
            "publishedAt": int(message.published_at),
        }
        state = "RecordRejected" if self.stale else "Dedup"
        self.executions.append(RunningExecution(owner, message, state_input, state))

    def advance(self, execution: RunningExecution, fault: str | None = None, at: str = "") -> None:
        """Run an execution's next step; `fault` strikes at the first write, or `at` one of a kind."""
        self.fault, self.fault_at = fault, at
        try:
            with self._counting():
                result = self._steps[execution.state](execution)
        except Died:
            if fault == "dies after":
                execution.unheard = execution.state
            self.fail(execution, "Runtime.ExitError")
        except errors.OrderMailError as error:
            if fault == "answer lost":
                execution.unheard = execution.state
            self.fail(execution, type(error).__name__)
        else:
            execution.unheard = ""
            self._go_on(execution, *asl.after(execution.state, execution.state_input, result))
        finally:
            self.fault = None

    def dispatcher_dies(self, execution: RunningExecution) -> None:
        """The dispatcher is killed: its message comes back by itself; nobody judges the execution."""
        execution.message = Message(0, 0)

    def report(self, event: Event, fault: str | None = None) -> None:
        """SES publishes an event, perhaps again; the feedback function folds it."""
        self.fault, self.fault_at = fault, ""
        event.message = event.message or f"{next(self.numbers)}"
        try:
            with self._counting():
                feedback.apply_event(
                    event.text,
                    table=self.table,
                    configuration_set=SES.configuration_set,
                    by=event.message,
                    now=self.now,
                )
        except (Died, errors.OrderMailError):
            pass  # The same message comes back.
        else:
            event.folded += 1
            event.message = ""
        finally:
            self.fault = None

    def lose(self, event: Event) -> None:
        """SES never publishes an event."""
        self.events.remove(event)

    def deliver_late(self) -> None:
        """The network delivers a write that was repeated long ago."""
        self.table.carry_out(self.late.pop(0))

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Collect what an invocation counts: it is flushed at its end, unless the process is killed."""
        metrics.clear_metrics()
        try:
            yield
        except Died:
            metrics.clear_metrics()
            raise
        finally:
            for name, metric in metrics.metric_set.items():
                self.counted[name] += round(sum(metric["Value"]))
            metrics.clear_metrics()

    def wait(self, seconds: float) -> None:
        """Time passes. Executions go on, even past every time-out: safety must not hang on clocks."""
        self.now += seconds

    def time_out(self, execution: RunningExecution) -> None:
        """The machine's time-out ends an execution."""
        self._end(
            execution,
            OrderExecution(arn=execution.owner, status="TIMED_OUT", error="States.Timeout"),
        )

    def drain(self, *, events_first: bool = True) -> None:
        """Let everything go well from here on until nothing is left to do.

        Events that come first settle mails that would be sent again if they came last.
        """
        for _ in range(1000):
            if events_first:
                self._report_all()
            if self.executions:
                self.advance(self.executions[0])
            elif not self.queue:
                break
            elif self.message_is_visible():
                self.receive()
            else:
                self.now = min(m.visible_at for m in self.queue)
        else:
            raise AssertionError(f"never settled: {self.record()}")
        self._report_all()

    def _report_all(self) -> None:
        for event in self.events:
            if not event.folded:
                self.report(event)

    # --- what can be asked ------------------------------------------------------------------------

    def record(self) -> rules.Record:
        """Return the notification's record; empty while there is none."""
        return self.table.whole(NOTIFICATION_ID)

    def unpublished(self) -> list[Event]:
        """Return the events that SES has not published yet."""
        return [event for event in self.events if not event.folded and not event.message]

    def message_is_visible(self) -> bool:
        """Whether a dispatcher can receive a message now."""
        return any(message.visible_at <= self.now for message in self.queue)

    # --- the machine ------------------------------------------------------------------------------

    @property
    def _steps(self) -> dict[str, Callable[[RunningExecution], object]]:
        """The steps that write, by their states."""
        return {
            "Dedup": lambda e: dedup.claim(e.state_input, e.owner, table=self.table, now=self.now),
            "Send": lambda e: send.send(
                e.state_input,
                e.owner,
                table=self.table,
                ses=self.ses,
                fetch=self._fetch,
                handover_id=f"call-{next(self.numbers)}",
                clock=lambda: self.now,
            ),
            "Record": lambda e: record.record_sent(
                e.state_input, e.owner, table=self.table, now=self.now
            ),
            "Release": lambda e: record.release(
                e.state_input, e.owner, table=self.table, now=self.now
            ),
            "RecordRejected": lambda e: record.record_rejected(
                e.state_input, e.owner, table=self.table, now=self.now
            ),
            "RecordFailed": lambda e: record.record_failed(
                e.state_input, e.owner, table=self.table, now=self.now
            ),
        }

    def _go_on(self, execution: RunningExecution, state: str, state_input: asl.StateInput) -> None:
        if state == WRITES_NOTHING:
            linked = state_input["claim"].get("linked", False)
            email = {"to": "customer@example.com", "subject": "", "html": "", "text": ""}
            rendered = state_input | {
                "email": email if linked else email | {"attachments": [REFERENCE]}
            }
            state, state_input = asl.after(state, state_input, rendered)
        execution.state, execution.state_input, execution.tries = state, state_input, 0
        if ended := asl.ended(execution.owner, state, state_input):
            self._end(execution, ended)

    def _fetch(self, references: Sequence[Reference]) -> list[Attachment]:
        if references and self.has_no_attachments:
            raise errors.AttachmentUnavailable(Unattached.OUTSIDE_PREFIX)
        if references and (fault := self.strikes("S3")) in FETCH_FAULTS:
            self.fault, self.fault_at = fault.partition(", ")[2] or None, "write"
            raise errors.AttachmentUnavailable(FETCH_FAULTS[fault])
        return [INVOICE for _ in references]

    def fail(self, execution: RunningExecution, error: str) -> None:
        """Let the step at which an execution is fail by an error."""
        execution.tries += 1
        if not asl.is_retried(execution.state, error, execution.tries):
            self._go_on(
                execution, *asl.after_failure(execution.state, execution.state_input, error)
            )

    def _end(self, execution: RunningExecution, ended: OrderExecution) -> None:
        self.executions.remove(execution)
        self.uncounted += execution.unheard == "Record"
        message = execution.message
        if message not in self.queue:
            return  # Its dispatcher died.
        message.attempts += ended.broke or ended.end is FailureEnd.FAILED
        match dispatch.dispose(
            ended, receives=message.receives, attempt=execution.state_input["attempt"]
        ):
            case dispatch.Done():
                self.queue.remove(message)
            case dispatch.Later(delay):
                message.visible_at = self.now + delay
            case dispatch.DeadLetter():
                self.queue.remove(message)
                self.dead_letters.append(message)

    # --- AWS, with faults -------------------------------------------------------------------------

    def strikes(self, at: str) -> str | None:
        """Take the fault that is to strike here, if it is."""
        if self.fault is None or self.fault_at not in ("", at):
            return None
        fault, self.fault = self.fault, None
        return fault

    def accept(self, tags: Mapping[str, str], *, attached: bool) -> str:
        """Let SES accept a mail, whose events it will publish; every other mail bounces in the end."""
        message_id = f"message-{len(self.accepted) + 1}"
        self.accepted.append(message_id)
        self.attached[message_id] = attached
        event = partial(
            ses_event,
            message_id=message_id,
            notification_id=tags[NOTIFICATION_TAG],
            sent_at=rules.iso(self.now),
        )
        texts = [event("Send"), event("Delivery", moment=rules.iso(self.now + 1))]
        if len(self.accepted) % 2:
            moment = rules.iso(self.now + 17)
            texts.append(
                event("Bounce", moment=moment, bounceType="Permanent", bounceSubType="General")
            )
        self.events += [Event(text) for text in texts]
        return message_id


@dataclass(frozen=True, kw_only=True)
class FaultyTable(TableInMemory):
    """The tracking table, whose writes fail as asked."""

    slow_motion: SlowMotion

    def carry_out(self, request: rules.Put | rules.Update) -> rules.Record | None:
        """Make a write without a fault."""
        return super().write(request)

    def write(self, request: rules.Put | rules.Update) -> rules.Record | None:
        """Write, or die, or be unavailable, or lose the answer."""
        attributes = request.record if isinstance(request, rules.Put) else request.set
        at = "SENDING" if attributes.get("status") == Status.SENDING else "write"
        fault = self.slow_motion.strikes(at)
        if fault == "dies before":
            raise Died
        if fault == "unavailable":
            raise errors.LedgerUnavailable("as asked")
        if fault == "bug":
            raise errors.UnexpectedError("as asked")
        record = super().write(request)
        refusal = isinstance(request, rules.Update) and "sendingAt" in request.remove
        if fault == "lands late" or (refusal and self.slow_motion.refusals_land_late):
            self.slow_motion.late.append(request)
        if fault == "dies after":
            raise Died
        if fault == "answer lost":
            raise errors.LedgerUnavailable("as asked")
        return record


@dataclass(frozen=True, kw_only=True)
class FaultySes(Ses):
    """SES, which accepts, refuses or dies as asked."""

    slow_motion: SlowMotion

    def send(
        self, email: Email, *, tags: Mapping[str, str], attachments: Sequence[Attachment] = ()
    ) -> str:
        """Accept the mail, or not."""
        slow_motion = self.slow_motion
        fault = slow_motion.strikes("SES")
        if (fault or "").startswith("refused with") or slow_motion.refuses_attachments:
            fault = self._refuse(fault, attachments)
        if fault in REFUSALS:
            raise REFUSALS[fault]("as asked")
        if fault == "dies before":
            raise Died
        assert slow_motion.record()["status"] == Status.SENDING, (
            "SES is called before the record says so"
        )
        assert len(attachments) == len(email.get("attachments", [])), "the text says so"
        message_id = slow_motion.accept(tags, attached=bool(attachments))
        if fault == "dies after":
            raise Died
        if fault == "answer lost":
            raise errors.SendOutcomeUnknown("as asked")
        return message_id

    def _refuse(self, fault: str | None, attachments: Sequence[Attachment]) -> str | None:
        """Refuse a mail for its attachments; what is asked beyond that befalls the write that says so."""
        if not attachments:
            return None
        slow_motion = self.slow_motion
        slow_motion.fault, slow_motion.fault_at = (fault or "").partition(", ")[2] or None, "write"
        return "refused with its attachment"
