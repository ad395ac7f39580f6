"""The world around the steps: shop, queue, dispatchers, executions, SES, its events, and operators.

The steps, the dispatcher and the workflow's definition are the real ones; AWS is played here, with the
faults that `tests.simulation.faults` strikes. Every call of AWS takes virtual time and lets others run.
"""

from __future__ import annotations

import gc
import itertools
import json
import random
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from steps import overdue, validate
from steps.aws import queue as queue_door
from steps.aws import ses as ses_door
from steps.contract import handler as step_handler
from steps.contract import limits
from steps.contract.errors import OrderMailError
from steps.kinds.parsing import identify, parse
from steps.ledger import erasure, rules
from tests.simulation.doors import FUNCTIONS, Sdk, StreamedTable, Table
from tests.simulation.events import Events
from tests.simulation.faults import Dice, Plan, roll
from tests.simulation.life import Event, Life, Mail
from tests.simulation.processes import Died, InjectedBug, Invocation, Process, running
from tests.simulation.queue import Queue
from tests.simulation.scheduler import Scheduler
from tests.simulation.shop import Shop
from tests.support.clock import NOW
from tests.support.pace_in_memory import PaceItem
from tests.support.ses_events import ses_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from steps.contract.order_event import OrderEvent

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SEND_RATES = (14.0, 50.0, 200.0)


@dataclass(frozen=True)
class Span:
    """A time during which something is wrong with the world."""

    name: str
    begin: float
    end: float
    where: str = ""


class World:
    """The world of a plan; `trace`: keep the history of everything, for a reader."""

    def __init__(self, plan: Plan, *, trace: bool = False) -> None:
        self.plan, self.seed, self.trace = plan, plan.seed, trace
        self.history: list[str] = []
        self.time = Scheduler(NOW)
        self.dice = Dice(plan, 0)
        self.table = Table("tracking", world=self)
        self.queue = Queue(self)
        self.events = Events(self)
        self.spans = self._spans(plan.orders)
        self.metrics: Counter[str] = Counter()
        self.crashes: list[str] = []
        self._numbers = itertools.count(1)
        self.pace_item = PaceItem()
        self.send_rate = SEND_RATES[roll(plan.seed, 0, 4_000) % len(SEND_RATES)]
        numbers = range(1, plan.orders + 1) if plan.only is None else sorted(plan.only)
        self.lives = [self._life(number) for number in numbers]
        self.rendered = next(iter(self.lives), None)
        self._bursts(plan.orders)

    def _life(self, number: int) -> Life:
        order_id, address = f"S{self.seed}-{number}", f"c{number}@example.com"
        life = Life(number, Dice(self.plan, number), order_id, address)
        if life.dice.strike("resend"):
            life.order_id, life.address = f"S{self.seed}-{number - 1}", f"c{number - 1}@example.com"
            life.resend = {"of": f"{number - 1:040x}", "reason": "Lost", "by": "jo"}
        identity = identify(json.loads(Shop(self, life).body(None)))
        assert identity
        life.notification_id = rules.notification_id(*identity)
        return life

    def _bursts(self, orders: int) -> None:
        """Let the shop publish: orders come in bursts of about twenty, so that batches are full."""
        for life in self.lives:
            burst = roll(self.seed, life.number // 20, 3_000) % 10_000 / 10_000
            moment = NOW + 1 + burst * orders * 6 + life.dice.share() * 3
            self.time.at(moment, lambda life=life: Shop(self, life).publish())  # type: ignore[misc]

    def _spans(self, orders: int) -> list[Span]:
        dice, length = self.dice, orders * 6
        spans: list[Span] = []

        def span(name: str, most: float, where: str = "") -> None:
            begin = NOW + dice.share() * length
            spans.append(Span(name, begin, begin + dice.long(MINUTE, most), where))

        most = 3 * DAY if self.seed % 40 == 0 else HOUR
        if dice.strike("pause"):
            span("paused", most)
        if dice.strike("quota"):
            span("quota", most)
        if dice.strike("outage"):
            span("outage", 10 * MINUTE)
        if kind := dice.strike("deployment"):
            states = sorted(FUNCTIONS)
            span(kind, HOUR, states[int(dice.share() * len(states))])
        self.skew = {"clock-ahead": 120.0, "clock-behind": -120.0}.get(dice.strike("skew") or "", 0)
        return spans

    def during(self, name: str) -> Span | None:
        """Return the span of this name that it is now, if any."""
        for span in self.spans:
            if span.name == name and span.begin <= self.time.now < span.end:
                return span
        return None

    def troubled(self) -> bool:
        """Whether a span is on, or was just now, so that a dispatcher may still believe in it."""
        now = self.time.now
        return any(span.begin <= now < span.end + 2 * limits.ACCOUNT_CACHE for span in self.spans)

    def share(self) -> float:
        """Return a number from 0 to 1 by the dice of the order that runs."""
        return running().life.dice.share()

    def number(self) -> int:
        """Return a number that nothing else in this world has."""
        return next(self._numbers)

    def clock(self) -> float:
        return self.time.now

    def run(self) -> None:
        """Let everything happen until the world is quiet."""
        gc.disable()  # Everything lives as long as the world; looking for what does not is a fifth of the time.
        try:
            with _patched(self):
                self.quiet = self.time.run(NOW + 120 * DAY)
                self._write_off()
        finally:
            gc.enable()

    def _write_off(self) -> None:
        """Let the hourly function look for delayed mails, once all is quiet."""
        table = StreamedTable("tracking", items=self.table.items, stream=self.table.stream)
        overdue.settle_overdue(table=table, clock=lambda: self.time.now + DAY)

    def log(self, life: Life, what: str) -> None:
        """Write a line of the history."""
        if self.trace:
            moment = self.time.now - NOW
            self.history.append(f"{moment:12.3f}  order {life.number}: {what}")

    # --- processes --------------------------------------------------------------------------------

    def start(
        self, run: Callable[[], object], life: Life, function: str, timeout: float, delay: float = 0
    ) -> Process:
        """Start a process now, or in `delay` seconds."""
        began = self.time.now + delay
        invocation = Invocation(function, began + timeout, began=began)
        process = Process(run, life, invocation)
        self.time.start(process, delay)
        return process

    def travel(self, seconds: float) -> None:
        """Let a call take its time; whoever reaches its time-out meanwhile is killed."""
        invocation = running().invocation
        left = invocation.deadline - self.time.now
        self.time.sleep(max(0.0, min(seconds, left)))
        if seconds >= left:
            raise self.killed("Sandbox.Timedout")
        if invocation.killed:
            raise Died("Runtime.ExitError")

    def killed(self, error: str = "Runtime.ExitError") -> Died:
        """Kill the process that runs; to be raised."""
        process = running()
        process.invocation.killed = True
        self.log(process.life, f"{process.invocation.function} is killed ({error})")
        return Died(error)

    def strike(self, site: str) -> str | None:
        """Say which fault strikes the running process here, if any."""
        life = running().life
        fault = life.dice.strike(site)
        if fault:
            if site in ("account", "pace"):
                running().invocation.put_off = True
            for copy in life.copies:
                copy.disturbed = True
            if self.trace:
                function = running().invocation.function
                self.log(life, f"*** {site}: {fault} ({function})  [{life.dice.strikes[-1]}]")
        return fault

    def flush(self, invocation: Invocation, life: Life | None) -> None:
        """Publish what an invocation counted that came to its end."""
        dead = iter(invocation.dead_letters)
        for name, value in invocation.counts:
            counted = next(dead) if name == "EmailFailed" else life
            (counted.metrics if counted else self.metrics)[name] += int(value)
        invocation.counts.clear()

    # --- SES's events -----------------------------------------------------------------------------

    def accept(self, life: Life, tag: str, *, attached: bool) -> str:
        """Let SES accept a mail, and let its fate take its course."""
        mail = Mail(f"message-{next(self._numbers)}", self.time.now, attached)
        life.mails.append(mail)
        self.log(life, f"SES accepts {mail.message_id}")
        event = partial(self._event, mail, tag)
        for delay, happened in fate(life.dice.strike("fate"), life.dice, event):
            mail.events.append(happened)
            self._publish(life, mail, happened, delay)
        if when := life.dice.strike("deletion"):
            delay = 0 if when == "at-once" else life.dice.long(0.1, HOUR)
            self.time.at(self.time.now + delay, lambda: self.delete(life))
        return mail.message_id

    def delete(self, life: Life, *, expired: bool = False) -> None:
        """Let somebody delete an order's record, or DynamoDB, where it has expired."""
        record = self.table.items.get(life.notification_id)
        if record and (not expired or record["ttl"] <= self.time.now):
            self.log(life, "its record is deleted")
            life.forgotten = True
            self.table.delete(life.notification_id)

    def erase(self, life: Life, delay: float = 0) -> None:
        """Let an operator erase what the table has of an order, and try again until it is done."""

        def run() -> None:
            keys = {life.notification_id, *(rules.rejected_id(copy.body) for copy in life.copies)}
            try:
                for key in sorted(keys):
                    self._erase(life, key)
            except (Died, OrderMailError, InjectedBug):
                self.erase(life, MINUTE)
                return
            if "erasedAt" in self.table.items.get(life.notification_id, {}):
                life.erased_at = self.time.now
                self.log(life, "the operator is told that it is erased")

        self.start(run, life, "operator", HOUR, delay)

    def _erase(self, life: Life, key: str) -> None:
        record: rules.Record | None = self.table.whole(key)
        while record:
            if "erasedAt" not in record and not erasure.names(record, address=life.address):
                life.broken_erasures.add("its record is not found by its address")
            record = self.table.write(rules.erased(record, self.time.now))

    def _event(
        self, mail: Mail, tag: str, delay: float, kind: str, status: str | None, **details: Any
    ) -> tuple[float, Event]:
        """Make an event of SES's that happens `delay` seconds after the mail was accepted."""
        detail = details.pop("detail", "")
        metric = details.pop("metric", None)
        moment = rules.iso(mail.accepted_at + delay)
        text = ses_event(
            kind,
            message_id=mail.message_id,
            notification_id=tag,
            sent_at=rules.iso(mail.accepted_at),
            moment=moment,
            **details,
        )
        return delay, Event(kind, text, status, detail, metric)

    def _publish(self, life: Life, mail: Mail, event: Event, delay: float) -> None:
        dice = life.dice
        fault = dice.strike("event")
        if event.kind == "Send" and dice.strike("send-event"):
            fault = "lost"
        delay += 0.1 + dice.share()
        if fault == "lost":
            self.log(life, f"SES's {event.kind} of {mail.message_id} is lost")
            return
        if fault == "beside-somebody-else-s":
            complaint = {"kind": "Complaint", "complaintFeedbackType": "abuse"}
            _, other = self._event(
                mail, life.notification_id, 0, status=None, configuration_set="else", **complaint
            )
            self.events.publish(life, other, delay * dice.share())
        if fault == "late":
            delay += dice.long(HOUR, 2 * DAY)
        if fault == "minutes-late":
            delay += dice.long(1, HOUR)
        delays = [delay]
        if fault == "repeated":
            delays.append(delay + dice.long(1, DAY))
        if fault == "twice-at-once":
            delays.append(delay)
        for later in delays:
            self.events.publish(life, event, later)


def fate(
    kind: str | None, dice: Dice, event: Callable[..., tuple[float, Event]]
) -> Iterator[tuple[float, Event]]:
    """Tell what SES reports of a mail and when, in seconds; without a `kind` it is delivered."""
    if kind == "rejected":
        yield event(
            0.5, "Reject", "REJECTED", detail="Reject", metric="EmailRejected", reason="Bad"
        )
        return
    yield event(0.1, "Send", "SENT")
    if kind == "suppressed":
        yield _bounce(event, 1.0, "Permanent", "OnAccountSuppressionList", "BOUNCED")
        return
    wait = dice.long(1, 60)
    if (kind or "").startswith("delayed"):
        for number in range(1 + int(3 * dice.share())):
            type_ = ("MailboxFull", "Undetermined")[number % 2]
            yield event(
                300.0 * (1 + number), "DeliveryDelay", "DELAYED", detail=type_, delayType=type_
            )
        wait = 14 * HOUR
    if kind == "delayed-for-ever":
        return
    if kind == "hard-bounce":
        yield _bounce(event, wait, "Permanent", "General", "BOUNCED")
        return
    if (kind or "").endswith("transient-bounce"):
        yield _bounce(event, wait, "Transient", "MailboxFull", "UNDELIVERED")
        return
    if kind == "automatic-reply":
        yield _bounce(event, wait + 1, "Transient", "General", "DELIVERED")
    yield event(wait, "Delivery", "DELIVERED", metric="EmailDelivered")
    if kind == "bounce-after-delivery":
        yield _bounce(event, wait + dice.long(0.1, 60), "Permanent", "General", "BOUNCED")
    if kind == "complaint":
        yield event(
            wait + DAY,
            "Complaint",
            "COMPLAINED",
            detail="abuse",
            metric="EmailComplaint",
            complaintFeedbackType="abuse",
        )


def _bounce(
    event: Callable[..., tuple[float, Event]], delay: float, type_: str, subtype: str, status: str
) -> tuple[float, Event]:
    """Make a bounce; an automatic reply is one whose recipients have neither action nor status."""
    recipient = {"emailAddress": "customer@example.com"}
    if status != "DELIVERED":
        recipient |= {"action": "failed", "status": "5.1.1" if type_ == "Permanent" else "4.2.2"}
    return event(
        delay,
        "Bounce",
        status,
        detail=f"{type_}/{subtype}",
        metric="EmailBounced" if (type_, subtype) == ("Permanent", "General") else None,
        bounceType=type_,
        bounceSubType=subtype,
        bouncedRecipients=[recipient],
    )


def _parse_once(
    parse: Callable[[str, datetime], OrderEvent],
) -> Callable[[str, datetime], OrderEvent]:
    """Read each message once, unless its age counts: reading is pure, and a quarter of the time."""
    parsed: dict[str, OrderEvent] = {}

    def read(message: str, now: datetime) -> OrderEvent:
        if "eventTimestamp" in message or "resend" in message:
            return parse(message, now)
        if message not in parsed:
            parsed[message] = parse(message, now)
        return parsed[message]

    return read


@contextmanager
def _patched(world: World) -> Iterator[None]:
    """Have the steps count, log and call AWS here."""
    client = Sdk(world)

    def add_metric(name: str, _unit: object, value: float) -> None:
        running().invocation.counts.append((str(name), value))

    def silent(*_arguments: object, **_fields: object) -> None:
        pass

    with ExitStack() as stack:
        for owner, name, value in (
            (step_handler.metrics, "add_metric", add_metric),
            (ses_door, "sesv2", lambda: client),
            (validate, "parse", _parse_once(parse)),
            (queue_door, "sqs", lambda: client),
            (
                random,
                "uniform",
                lambda least, most: least + world.share() * (most - least),
            ),
            *(
                (step_handler.logger, name, silent)
                for name in ("info", "warning", "error", "append_keys", "remove_keys")
            ),
        ):
            stack.enter_context(patch.object(owner, name, value))
        yield
