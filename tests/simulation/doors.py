"""AWS as the steps and the dispatcher see it: every call takes time, lets others run, and may fail."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from statemachines.order_workflow import TIMEOUTS
from steps.aws.workflow import OrderExecution
from steps.contract import limits
from steps.contract.attachments import Attachment, Unattached
from steps.contract.errors import (
    AttachmentUnavailable,
    LedgerUnavailable,
    OrderMailError,
    WorkflowUnavailable,
)
from steps.ledger.rules import INVALID_EVENT, Put
from tests.simulation.processes import Died, InjectedBug, Invocation, TaskFailed, running
from tests.simulation.scheduler import Future
from tests.support import asl
from tests.support.order_queue import WorkflowInProcess
from tests.support.pace_in_memory import PaceInMemory
from tests.support.table_in_memory import TableInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from steps.aws.pace import Answer, Outside
    from steps.contract.state import Reference
    from steps.ledger.rules import Record, Update
    from tests.simulation.faults import Dice
    from tests.simulation.life import Life
    from tests.simulation.world import World

EMAIL = {
    "to": "customer@example.com",
    "fromName": "Shop",
    "replyTo": "shop@example.com",
    "subject": "Order",
    "html": "<p>Order</p>",
    "text": "Order",
    "headers": {},
}
"""What stands in for a rendered mail: rendering is pure, and slow."""

INVOICE: Reference = {"uri": "s3://shop/1", "sha256": "0a" * 32, "fileName": "Invoice.pdf"}

UNATTACHED = {
    "missing": Unattached.NOT_FOUND,
    "unavailable": Unattached.UNAVAILABLE,
    "too-large": Unattached.TOO_LARGE,
}

FUNCTIONS = {
    state: definition["Resource"].rpartition(":")[2].split("-")[1]
    for state, definition in asl.STATES.items()
    if definition["Type"] == "Task"
}
"""The step that each task calls."""

LATE = "a late request"
"""Who makes a write that the network delivers after its repetition, or after its process gave up."""

GRACE = limits.IN_DOUBT_GRACE
"""The grace period as it is promised, in seconds."""

PAUSED = (
    ("SendingPausedException", "Sending paused for this account."),
    ("MessageRejected", "Sending paused for this account. For more information, ..."),
    ("BadRequestException", "Configuration set <mails> does not exist."),
)
"""How SES says that it does not send for now."""

SENTLIKE = frozenset({"SENT", "DELAYED", "UNDELIVERED", "DELIVERED", "BOUNCED", "COMPLAINED"})

# --- the tracking table ---------------------------------------------------------------------------


class Change(NamedTuple):
    """A write as the table's stream has it: the images of the item, `{}` where there was none."""

    old: Record
    new: Record


@dataclass(frozen=True)
class StreamedTable(TableInMemory):
    """A tracking table with a stream: each item's changes in their order, by its key."""

    stream: defaultdict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))

    def write(self, request: Put | Update) -> Record | None:
        key = key_of(request)
        old = self.items.get(key, {})
        standing = super().write(request)
        if standing is None:
            self.stream[key].append(Change(old, self.items[key]))
        return standing

    def delete(self, key: str) -> None:
        """Delete an item. A shop is told nothing of it, so the stream does without."""
        del self.items[key]


def key_of(request: Put | Update) -> str:
    """Return the key of the item that is written."""
    if isinstance(request, Put):
        key: str = request.record["notificationId"]
        return key
    return request.notification_id


@dataclass(frozen=True)
class Table(StreamedTable):
    """The tracking table, whose calls take time and fail."""

    world: World = field(kw_only=True)

    def write(self, request: Put | Update) -> Record | None:
        """Make one conditional write, or not, or twice, or late."""
        life, who = running().life, running().invocation.function
        standing: Record | None = self._call(
            lambda by=who: self._carry_out(request, life, by), writes=True
        )
        return standing

    def read(
        self, notification_id: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> Record:
        """Read a record, or not; or as it was up to three writes ago, where it need not be consistent."""
        plain, dice = super().read, running().life.dice
        found: Record = self._call(lambda: plain(notification_id, attributes), writes=False)
        if consistent or not dice.strike("stale-read"):
            return found
        changes = self.stream[notification_id]
        images = [*(change.old for change in changes[-3:]), *(c.new for c in changes[-1:])]
        image = images[int(dice.share() * len(images))] if images else {}
        return {name: image[name] for name in attributes if name in image}

    def _carry_out(self, request: Put | Update, life: Life, who: str) -> Record | None:
        _utf8(life, request)
        key = key_of(request)
        answer = super().write(request)
        if answer is None:
            old, new = self.stream[key][-1]
            if isinstance(request, Put) and old and old["ttl"] <= self.world.time.now:
                life.forgotten, old = True, {}
            self._observe(life, old, new, who)
            if who != LATE:
                self._observe_erasure(life, old, new)
        return answer

    def _observe_erasure(self, life: Life, old: Record, new: Record) -> None:
        invocation = running().invocation
        own = new["notificationId"] == life.notification_id
        life.erased |= own and "erasedAt" in new
        if own and old.get("handoverId") != new.get("handoverId"):
            invocation.said_so_at = self.world.time.now
        erased_before = life.erased_at is not None and life.erased_at < invocation.began
        # What is wrong anywhere in a resend is of no notification that could be looked up.
        if erased_before and not own and not life.resend and life.address in str(new):
            life.broken_erasures.add("the text of an invalid event comes back")

    def _observe(self, life: Life, old: Record, new: Record, who: str) -> None:
        before, after = old.get("status"), new.get("status")
        life.claimed_late |= after == "CLAIMED" and who == LATE
        if before != after:
            if after in SENTLIKE and before not in SENTLIKE:
                life.turns["EmailSent"] += 1
            if after == "REJECTED":
                own = new["notificationId"] == life.notification_id
                if not own or new.get("reason") != INVALID_EVENT:  # Its event is counted instead.
                    life.turns["EmailRejected"] += 1
                elif before in ("CLAIMED", "SENDING") and life.refused:
                    life.refused_later += 1
        resent = int(new.get("resends", 0)) - int(old.get("resends", 0))
        if resent and before != "UNDELIVERED":  # Of that one SES itself says that nobody has it.
            handed_over = float(old.get("sendingAt", 0))
            waited = self.world.time.now - handed_over
            life.hasty |= waited < GRACE - 1 or life.reported_since(handed_over)
            life.turns["EmailInDoubt"] += resent
        if self.world.trace:
            shown = ", ".join(
                f"{name}={sorted(value) if isinstance(value, set) else value}"
                for name, value in new.items()
                if old.get(name) != value and name not in ("notificationId", "ttl", "eventType")
            )
            gone = "".join(f", no {name}" for name in sorted(old.keys() - new.keys()))
            key = "" if new["notificationId"] == life.notification_id else " (its own record)"
            self.world.log(life, f"{who} writes{key} {shown}{gone}")

    def _call(self, effect: Callable[..., Any], *, writes: bool) -> Any:
        world, life = self.world, running().life
        fault = world.strike("ledger")
        world.travel(0.005 + 0.03 * life.dice.share())
        if world.during("outage"):
            life.world_faults.add("outage")
            world.travel(1)
            raise LedgerUnavailable("outage")
        if fault is None:
            return effect()
        return self._faulty(fault, effect, life.dice, writes=writes)

    def _faulty(self, fault: str, effect: Callable[..., Any], dice: Dice, *, writes: bool) -> Any:
        world = self.world
        if fault == "bug" and running().invocation.function != "dispatcher":
            raise InjectedBug
        if fault == "killed-before":
            raise world.killed()
        if writes and fault in ("lands-again-late", "lands-late"):
            world.time.at(world.time.now + dice.long(0.5, 240), lambda: effect(LATE))
        if fault in ("unavailable", "lands-late", "bug"):
            world.travel(dice.share() * limits.LEDGER_CALL)
            raise LedgerUnavailable(fault)
        if fault == "lands-again-late":
            world.travel(limits.LEDGER_READ_TIMEOUT)
            return effect()
        answer = effect()
        if fault == "killed-after":
            raise world.killed()
        world.travel(dice.share() * limits.LEDGER_CALL)
        if fault == "answer-lost":
            raise LedgerUnavailable(fault)
        return effect() if fault == "repeated-after-lost-answer" else answer


def _utf8(life: Life, value: object) -> None:
    """Refuse what no JSON in UTF-8 can hold, as every service does; looked at where there may be any."""
    if life.poisoned:
        json.dumps(value, default=str, ensure_ascii=False).encode()


@dataclass
class FaultyPace(PaceInMemory):
    """The sending slots without a table, whose calls take time and fail."""

    world: World = field(kw_only=True)

    def update(
        self, changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
    ) -> Answer:
        world, dice = self.world, running().life.dice
        fault = world.strike("pace")
        world.travel(0.005 + 0.02 * dice.share())
        if fault == "killed":
            raise world.killed()
        if fault:
            raise LedgerUnavailable(fault)
        return super().update(changes, when, moved)

    def reserve(self, mails: int, rate: float) -> list[float] | None:
        """Reserve slots, or note that the line has no room for a batch."""
        slots = super().reserve(mails, rate)
        if slots is None:
            running().invocation.put_off = True
        return slots


# --- SES and SQS, behind the real doors -----------------------------------------------------------


def _answer(code: str, status: int, operation: str, message: str = "") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


def _no_answer() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="https://aws.example")


@dataclass
class Sdk:
    """The SDK's clients of SES and SQS, as far as they are called."""

    world: World

    def get_account(self) -> dict[str, Any]:
        """Tell what the account may send."""
        world = self.world
        fault = world.strike("account")
        world.travel(0.05)
        if fault == "killed":
            raise world.killed()
        if fault == "throttled":
            raise _answer("TooManyRequestsException", 429, "GetAccount")
        if fault:
            raise _answer("InternalFailure", 500, "GetAccount")
        used_up, paused = bool(world.during("quota")), bool(world.during("paused"))
        shut_down = paused and bool(world.seed % 2)
        return {
            "SendQuota": {
                "MaxSendRate": world.send_rate,
                "Max24HourSend": 100_000,
                "SentLast24Hours": 100_000 if used_up else 0,
            },
            "SendingEnabled": shut_down or not paused,
            "EnforcementStatus": "SHUTDOWN" if shut_down else "HEALTHY",
        }

    def send_email(self, **call: Any) -> dict[str, str]:
        """Accept a mail, or refuse it, or be silent."""
        world, life = self.world, running().life
        fault = world.strike("ses")
        share = life.dice.share()
        if fault == "connection-refused":
            world.travel(limits.SES_CONNECT_TIMEOUT * share)
            raise ConnectTimeoutError(endpoint_url="https://aws.example")
        world.travel((limits.SES_READ_TIMEOUT - 1 if fault == "slow" else 0.2) * share + 0.03)
        if fault == "killed-before":
            raise world.killed()
        self._refuse(life, fault)
        attached = "Attachments" in call["Content"]["Simple"]
        tag = {t["Name"]: t["Value"] for t in call["EmailTags"]}["notificationId"]
        if fault == "accepted-late":
            self._judge_handover(life)
            moment = world.time.now + life.dice.long(1, 200)
            world.time.at(moment, lambda: world.accept(life, tag, attached=attached))
            world.travel(limits.SES_READ_TIMEOUT)
            raise _no_answer()
        self._judge_handover(life)
        message_id = world.accept(life, tag, attached=attached)
        if fault == "killed-after":
            raise world.killed()
        if fault == "5xx-accepted":
            raise _answer("InternalFailure", 503, "SendEmail")
        if fault == "answer-lost":
            world.travel(limits.SES_READ_TIMEOUT)
            raise _no_answer()
        if share > 0.9:  # Now and then the way back takes its time, too.
            world.travel(share)
        return {"MessageId": message_id}

    def _judge_handover(self, life: Life) -> None:
        erased_at, said_so_at = life.erased_at, running().invocation.said_so_at
        if erased_at is None or life.forgotten:
            return
        if said_so_at is None or said_so_at > erased_at:
            life.broken_erasures.add("a mail goes to SES")

    def _refuse(self, life: Life, fault: str | None) -> None:
        if self.world.during("paused"):
            code, text = PAUSED[self.world.number() % len(PAUSED)]
            raise _answer(code, 400, "SendEmail", text)
        if self.world.during("quota"):
            raise _answer("LimitExceededException", 400, "SendEmail")
        if fault == "throttled":
            raise _answer("TooManyRequestsException", 429, "SendEmail")
        if fault == "refused-in-unknown-words":
            raise _answer("MessageRejected", 400, "SendEmail", "Nobody has seen these words yet.")
        if fault == "5xx-not-accepted":
            raise _answer("InternalFailure", 500, "SendEmail")
        if life.refused and not life.mended:
            self.world.log(life, "SES answers MessageRejected")
            raise _answer("MessageRejected", 400, "SendEmail", "Illegal address")

    def change_message_visibility(self, **call: Any) -> None:
        """Let a message come back later."""
        self._sqs(
            lambda: self.world.queue.postpone(call["ReceiptHandle"], call["VisibilityTimeout"])
        )

    def send_message(self, **call: Any) -> None:
        """Put a message into the dead letters."""
        life = running().life
        body: str = call["MessageBody"]
        _utf8(life, body)
        reason = call["MessageAttributes"].get("reason", {}).get("StringValue", "")
        self._sqs(lambda: self.world.queue.dead_letter(life, body, reason))
        life.dead_letters[-1].told = True
        running().invocation.dead_letters.append(life)

    def _sqs(self, effect: Callable[[], None]) -> None:
        world = self.world
        fault = world.strike("sqs")
        world.travel(0.01)
        if fault == "killed":
            raise world.killed()
        if fault == "unavailable":
            raise _answer("ServiceUnavailable", 503, "SQS")
        effect()
        if fault == "answer-lost":
            world.travel(limits.QUEUE_CALL)
            raise _no_answer()


# --- the order workflow ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Workflow(WorkflowInProcess):
    """Step Functions: runs executions in processes of their own."""

    world: World

    def run(self, *, name: str, request: str) -> OrderExecution:
        """Start an execution and wait for its end, or for its answer in vain."""
        world, life = self.world, running().life
        fault = world.strike("start")
        world.travel(0.02)
        if fault == "throttled":
            raise WorkflowUnavailable(fault)
        _utf8(life, request)
        ended: Future[OrderExecution] = Future(world.time)
        timeout = float(limits.MACHINE_TIMEOUT)
        if fault == "times-out":
            timeout = life.dice.long(0.01, timeout)
        late = OrderExecution(arn=name, status="TIMED_OUT", error="States.Timeout")
        world.time.at(world.time.now + timeout, lambda: ended.set(late))
        world.start(lambda: self._execute(name, request, ended), life, "execution", 10 * timeout)
        if fault == "dispatcher-killed":
            world.travel(life.dice.long(0.01, limits.MACHINE_TIMEOUT))
            raise world.killed()
        if fault == "answer-lost":
            world.travel(life.dice.long(0.01, limits.WORKFLOW_CALL))
            raise WorkflowUnavailable(fault)
        execution = ended.wait(limits.WORKFLOW_CALL)
        world.travel(0)
        if execution is None:
            raise WorkflowUnavailable("no answer")
        world.log(
            life, f"execution {name} ends {execution.end or execution.status} {execution.error}"
        )
        return execution

    def _execute(self, name: str, request: str, ended: Future[OrderExecution]) -> None:
        state, state_input = asl.START_AT, json.loads(request)
        while not (execution := asl.ended(name, state, state_input)):
            try:
                result = self._try(state, state_input, name, ended)
            except TaskFailed as failed:
                state, state_input = asl.after_failure(state, state_input, str(failed))
            else:
                state, state_input = asl.after(state, state_input, result)
            if ended.answer:
                return  # The machine's time-out: the task that ran has run on, and nobody listened.
        ended.set(execution)

    def _try(
        self, state: str, state_input: asl.StateInput, owner: str, ended: Future[OrderExecution]
    ) -> object:
        dice = running().life.dice
        for tries in itertools.count(1):
            try:
                return self._invoke(state, state_input, owner)
            except TaskFailed as failed:
                if ended.answer or not asl.is_retried(state, str(failed), tries):
                    raise
                wait = asl.retry_wait(state, str(failed), tries) * dice.share()
                self.world.time.sleep(wait)
        raise AssertionError

    def _invoke(self, state: str, state_input: asl.StateInput, owner: str) -> object:
        """Invoke a task's function; raise TaskFailed with what Step Functions calls its failure."""
        world, dice = self.world, running().life.dice
        fault = world.strike("invoke")
        world.time.sleep(0.01 + 0.02 * dice.share())
        if (span := world.during("import-error")) and span.where == state:
            running().life.world_faults.add(span.name)
            raise TaskFailed("Runtime.ImportModuleError")
        if (span := world.during("bug")) and span.where == state:
            running().life.world_faults.add(span.name)
            raise TaskFailed("UnexpectedError")
        errors = {
            "lambda-throttled": "Lambda.TooManyRequestsException",
            "lambda-unavailable": "Lambda.ServiceException",
            "killed-at-start": "Runtime.ExitError",
            "bug": "UnexpectedError",
        }
        if fault in errors:
            raise TaskFailed(errors[fault])
        if fault == "starts-late":
            return self._late(state, state_input, owner)
        result = self._run_step(state, state_input, owner)
        if fault == "answer-lost":
            raise TaskFailed("Lambda.Unknown")
        return result

    def _late(self, state: str, state_input: asl.StateInput, owner: str) -> object:
        """Run a step so late that its task has timed out, maybe."""
        world, life = self.world, running().life
        timeout = TIMEOUTS[FUNCTIONS[state]] + limits.TASK_MARGIN
        answer: Future[tuple[object, str]] = Future(world.time)

        def run() -> None:
            try:
                answer.set((self._run_step(state, state_input, owner), ""))
            except TaskFailed as failed:
                answer.set((None, str(failed)))

        world.start(run, life, "execution", timeout * 10, delay=life.dice.long(1, 400))
        result, error = answer.wait(timeout) or (None, "States.Timeout")
        if error:
            raise TaskFailed(error)
        return result

    def _run_step(self, state: str, state_input: asl.StateInput, owner: str) -> object:
        world, process = self.world, running()
        life, outer = process.life, process.invocation
        step = FUNCTIONS[state]
        now = world.time.now
        invocation = Invocation(state, now + TIMEOUTS[step], began=now)
        process.invocation = invocation
        try:
            result = self._run_once(state, state_input, owner)
            _utf8(life, result)
        except Died as died:
            raise TaskFailed(str(died)) from None
        except OrderMailError as error:
            world.flush(invocation, life)
            raise TaskFailed(type(error).__name__) from None
        except Exception as error:
            world.flush(invocation, life)
            if not isinstance(error, InjectedBug):
                life.crashes.append(f"{state} raises {type(error).__name__}")
            raise TaskFailed("UnexpectedError") from None
        finally:
            process.invocation = outer
        world.flush(invocation, life)
        return result

    def _run_once(self, state: str, state_input: Any, owner: str) -> object:
        if state == "Render" and running().life is not self.world.rendered:
            kept = {key: value for key, value in state_input.items() if key != "order"}
            email = EMAIL | {"to": state_input["order"]["customerEmail"]}
            if not state_input["claim"].get("linked"):
                email["attachments"] = [INVOICE]
            return kept | {"email": email}
        return super()._run_once(state, state_input, owner)

    def _fetch(self, references: Sequence[Reference]) -> list[Attachment]:
        """Fetch a mail's attachments, or not."""
        world = self.world
        if not references:
            return []
        fault = world.strike("s3")
        world.travel(0.05)
        if fault == "killed":
            raise world.killed()
        if fault == "unavailable":
            world.travel(limits.ATTACHMENTS_BUDGET * running().life.dice.share())
        if fault:
            raise AttachmentUnavailable(UNATTACHED[fault])
        return [
            Attachment(file_name=r["fileName"], media_type="application/pdf", content=b"%PDF-")
            for r in references
        ]

    def _handover_id(self) -> str:
        return f"handover-{self.world.number()}"
