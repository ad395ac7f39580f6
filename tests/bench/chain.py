"""The warm path of a mail on the local stack: how long it takes, at whose expense, and how many go a second.

The baseline does the same five steps in one function, see `one_function`. Mails go both ways in turn, one at a
time, so that a busy machine slows both; then orders are published all at once.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from infra.local.processes import MARK, mark, marked
from infra.local.running_stack import until
from tests.bench import one_function
from tests.conftest import load_event

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

    from infra.local.running_stack import RunningStack

WARM_UP = 4
"""Mails through each way before anything is measured."""
PAUSE = 0.3
"""Seconds after each mail, in which its record is written and its events are taken."""
AT_ONCE = 40
"""Orders that start all environments that a burst needs."""


class Whose(StrEnum):
    """Whose the CPU time is. SES's events cause the same whichever way a mail went."""

    PATH = "functions, to the record"
    EVENTS = "functions, SES's events"
    EMULATOR = "emulator"
    OTHERS = "SES, inbox, metrics"


@dataclass
class Way:
    """A way from an event to its mail, and what was measured of it.

    accepted: milliseconds from publishing each event until SES had accepted its mail.
    cpu: milliseconds of CPU a mail, in each round.
    """

    topic: str
    accepted: list[float] = field(default_factory=list)
    cpu: list[dict[Whose, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Burst:
    """What a burst of orders gave: mails accepted a second, and milliseconds of CPU a mail."""

    rate: float
    cpu: dict[Whose, float]


def warm_path(
    stack: RunningStack, *, rounds: int, mails: int, progress: Callable[[str], None]
) -> tuple[Way, Way]:
    """Send `mails` each way in each round; return the system's and the baseline's."""
    with one_function.deployed(stack) as topic:
        ways = Way(stack.arn("sns", "email-order-events")), Way(topic)
        progress("warm path, the first mails")
        for way in ways * WARM_UP:
            _one(stack, way.topic)
        for number in range(rounds):
            progress(f"warm path, round {number + 1} of {rounds}")
            for way in ways:
                way.cpu.append(dict.fromkeys(Whose, 0.0))
            for way in ways * mails:
                before = cpu_seconds(stack)
                way.accepted.append(_one(stack, way.topic))
                for whose, spent in _per_mail(stack, before, mails).items():
                    way.cpu[-1][whose] += spent
    return ways


def bursts(
    stack: RunningStack, *, rounds: int, orders: int, progress: Callable[[str], None]
) -> list[Burst]:
    """Publish `orders` at once, `rounds` times; SES must permit more than the machine can do."""
    topic = stack.arn("sns", "email-order-events")
    _at_once(stack, topic, min(orders, AT_ONCE))
    measured = []
    for number in range(rounds):
        progress(f"orders at once, round {number + 1} of {rounds}")
        before, begun = cpu_seconds(stack), time.time()
        last = _at_once(stack, topic, orders)
        measured.append(Burst(orders / (last - begun), _per_mail(stack, before, orders)))
    return measured


def cpu_seconds(stack: RunningStack) -> dict[Whose, float]:
    """Return the CPU time that the stack's processes have taken so far."""
    seconds = dict.fromkeys(Whose, 0.0)
    for process in marked(mark(stack.settings.state_dir)):
        spent = process.cpu_times()
        seconds[_whose(process)] += spent.user + spent.system
    return seconds


def _whose(process: psutil.Process) -> Whose:
    command = process.cmdline()
    if "awslambdaric" in command:
        follows = command[-1] in ("steps.feedback.handler", "steps.outcomes.handler")
        return Whose.EVENTS if follows else Whose.PATH
    emulator = process.environ()[MARK].endswith(":aws")
    return Whose.EMULATOR if emulator else Whose.OTHERS


def _per_mail(stack: RunningStack, before: dict[Whose, float], mails: int) -> dict[Whose, float]:
    after = cpu_seconds(stack)
    return {whose: (after[whose] - before[whose]) * 1000 / mails for whose in Whose}


def _publish(stack: RunningStack, topic: str) -> str:
    """Publish an order; return its customer's address, by which its mail is found."""
    name = f"bench-{secrets.token_hex(6)}"
    address = f"{name}@example.com"
    event = load_event("order") | {"orderId": name, "customerEmail": address}
    stack.sns.publish(TopicArn=topic, Message=json.dumps(event))
    return address


def _one(stack: RunningStack, topic: str) -> float:
    """Send a mail; return how many milliseconds it took until SES had accepted it."""
    accepted, begun = stack.ses("stats")["accepted"], time.time()
    address = _publish(stack, topic)
    _await_mails(stack, accepted + 1)
    time.sleep(PAUSE)
    return (_accepted_at(stack)[address] - begun) * 1000


def _at_once(stack: RunningStack, topic: str, orders: int) -> float:
    """Send mails; return when the last was accepted, in epoch seconds."""
    accepted = stack.ses("stats")["accepted"]
    addresses = [_publish(stack, topic) for _ in range(orders)]
    _await_mails(stack, accepted + orders)
    moments = _accepted_at(stack)
    return max(moments[address] for address in addresses)


def _await_mails(stack: RunningStack, accepted: int) -> None:
    """Wait until SES has accepted so many, and told what became of them."""

    def told() -> bool:
        stats = stack.ses("stats")
        return bool(stats["accepted"] >= accepted and not stats["events_pending"])

    until(told, what=f"{accepted} accepted mails", every=0.05)


def _accepted_at(stack: RunningStack) -> dict[str, float]:
    """Return when SES accepted each mail, in epoch seconds, by its customer's address."""
    return {
        mail["destination"][0]: datetime.fromisoformat(mail["time"]).timestamp()
        for mail in stack.ses("messages")
    }
