"""`make demo`: sends sample orders through the whole system and shows what became of each.

Starts the local stack unless it runs, and leaves it running, so that inbox and console can be looked
at. Exits 1 where an order did not end as it should, and says which.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from infra.local import reports
from infra.local.settings import Settings, SettingsError
from infra.local.stack import StackError, up
from infra.local.world import World

if TYPE_CHECKING:
    from datetime import datetime

SAMPLES = Path(__file__).with_name("samples")
PATIENCE = 60.0
"""Seconds to wait for all orders; the product promises 30 from the event to the send."""

FINAL = {"DELIVERED", "REJECTED"}


@dataclass
class Order:
    """One sample order, what it is to end as, and what was found of it."""

    title: str
    order_id: str
    event: dict[str, Any]
    publications: int
    mails_expected: int
    published: float = 0.0
    record: dict[str, Any] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)

    @property
    def accepted_after(self) -> float | None:
        """Seconds from the publishing to SES's acceptance."""
        ends = [e.accepted for e in self.executions if e.accepted]
        return min(ends) - self.published if ends else None

    def complaint(self) -> str:
        """Say what is not as it should be; empty when all is well."""
        ends = [e.path[-1][0] for e in self.executions]
        expected = "Sent" if self.mails_expected else "Rejected"
        if len(self.mails) != self.mails_expected:
            return f"{len(self.mails)} mails instead of {self.mails_expected}"
        if ends.count(expected) != 1 or len(ends) < self.publications:
            return f"its executions ended {', '.join(ends) or 'nowhere'}"
        if self.publications > 1 and "Duplicate" not in ends:
            return "its second publication is not visible as a duplicate"
        return (
            ""
            if self.record.get("status") in FINAL
            else f"its record says {self.record.get('status')}"
        )


@dataclass(frozen=True)
class Execution:
    """One execution: the states it entered with the milliseconds spent in each."""

    name: str
    path: list[tuple[str, float]]
    accepted: float | None
    """When the Send state ended well, in epoch seconds."""


def look(world: World, order: Order) -> None:
    """Find the order's record, executions and mails."""
    order.record = world.record(order.order_id)
    order.executions = [
        timed(e["name"], world.history(e["executionArn"])) for e in world.executions(order.order_id)
    ]
    order.mails = world.inbox(order.order_id)


def timed(name: str, history: list[dict[str, Any]]) -> Execution:
    """Tell an execution's path with times from the events of its history."""
    entered: dict[str, datetime] = {}
    path, accepted = [], None
    for event in history:
        if details := event.get("stateEnteredEventDetails"):
            entered[details["name"]] = event["timestamp"]
        if ended := event.get("stateExitedEventDetails"):
            spent = event["timestamp"] - entered[ended["name"]]
            path.append((ended["name"], spent.total_seconds() * 1000))
            if ended["name"] == "Send":
                accepted = event["timestamp"].timestamp()
    return Execution(name, path, accepted)


def samples(run: str) -> list[Order]:
    """Return the sample orders, with ids of this run's own, so that none is a duplicate of the last."""
    orders = []
    for file in sorted(SAMPLES.glob("*.json")):
        event = json.loads(file.read_text())
        event["orderId"] = f"{event['orderId']}-{run}"
        twice, malformed = "TWICE" in event["orderId"], "MALFORMED" in event["orderId"]
        orders.append(
            Order(
                title=file.stem[2:].replace("-", " "),
                order_id=event["orderId"],
                event=event,
                publications=2 if twice else 1,
                mails_expected=0 if malformed else 1,
            )
        )
    return orders


def send(world: World, orders: list[Order], say: Console) -> None:
    """Publish all orders and wait until each ended, or patience does."""
    for order in orders:
        order.published = time.time()
        for _ in range(order.publications):
            world.publish(json.dumps(order.event, ensure_ascii=False))
    deadline = time.monotonic() + PATIENCE
    with say.status("waiting for the orders to come through"):
        while time.monotonic() < deadline:
            for order in orders:
                if order.complaint():
                    look(world, order)
            if not any(o.complaint() for o in orders) and not world.waiting("email-order-queue"):
                return
            time.sleep(0.3)


def show(order: Order, settings: Settings, say: Console) -> None:
    """Print one order's account."""
    complaint = order.complaint()
    status = order.record.get("status", "no record")
    mark = "[bold red]✗[/]" if complaint else "[bold green]✓[/]"
    after = f", accepted by SES after {order.accepted_after:.1f} s" if order.accepted_after else ""
    say.print(f"\n{mark} [bold]{order.order_id}[/]  {order.title}: [bold]{status}[/]{after}")
    if complaint:
        say.print(f"  [red]but {complaint}[/]")
    for execution in order.executions:
        steps = " → ".join(
            f"{name} [dim]{ms:.0f} ms[/]" if ms >= 1 else name for name, ms in execution.path
        )
        say.print(f"  path    {steps}", soft_wrap=True)
        say.print(f"          [dim]execution {execution.name}[/]", soft_wrap=True)
    for reason in order.record.get("reasons", []):
        say.print(f"  reason  {escape(reason)}", soft_wrap=True)
    for mail in order.mails:
        say.print(
            f"  mail    “{escape(mail['subject'])}” {settings.inbox_url}/#/email/{mail['id']}",
            soft_wrap=True,
        )
    record = {
        k: order.record[k] for k in ("timestamp", "customerEmail", "messageId") if k in order.record
    }
    say.print(
        f"  record  {escape(', '.join(f'{k} {v}' for k, v in record.items()))}", soft_wrap=True
    )


def main() -> int:
    """Return the exit status: 0 when every order ended as it should."""
    say = Console(highlight=False)
    try:
        plan = up(Settings.read(), say=lambda line: print(line, flush=True))
    except (SettingsError, StackError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    world = World(plan)
    orders = samples(secrets.token_hex(2).upper())
    events = sum(o.publications for o in orders)
    say.print(f"\nPublishing {events} order events: one order twice, one malformed")
    send(world, orders, say)
    for order in orders:
        show(order, plan.settings, say)

    latencies = sorted(o.accepted_after for o in orders if o.accepted_after)
    wrong = [o.order_id for o in orders if o.complaint()]
    left = {q: n for q in ("email-order-queue", "email-order-dlq") if (n := world.waiting(q))}
    say.print(f"\n{len(orders) - len(wrong)} of {len(orders)} orders ended as they should")
    say.print(f"left on the queues: {left or 'nothing'}")
    if latencies:
        middle, longest = latencies[len(latencies) // 2], latencies[-1]
        say.print(f"event to accepted by SES: median {middle:.1f} s, longest {longest:.1f} s")
    reports.show(plan.settings, say)
    say.print(f"\n  inbox    {plan.settings.inbox_url}")
    say.print(f"  console  {plan.settings.console_url}")
    say.print("  make down stops it all")
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
