"""`make demo`: sends sample orders through the whole system and shows what became of each.

Starts the local stack unless it runs, and leaves it running, so that inbox and console can be looked
at. Exits 1 where an order did not end as it should, and says which.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.local.running_stack import Json, RunningStack, until
from infra.local.settings import LocalSettings
from infra.local.stack import StackError, up
from infra.setting import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

SAMPLES = Path(__file__).with_name("samples")
PATIENCE = 60.0
"""Seconds to wait for all orders; the product promises 30 from the event to the send."""

FINAL = {"DELIVERED", "REJECTED"}
ORDER_QUEUES = ("email-order-queue", "email-order-dlq")


@dataclass(frozen=True)
class ExecutionTrace:
    """One execution: the states it entered with the milliseconds spent in each."""

    name: str
    path: list[tuple[str, float]]
    accepted: float | None
    """When the Send state ended well, in epoch seconds."""


@dataclass
class SampleOrder:
    """One sample order, what it is to end as, and what was seen of it."""

    title: str
    order_id: str
    event: Json
    publications: int
    mails_expected: int
    published: float = 0.0
    record: Json = field(default_factory=dict)
    executions: list[ExecutionTrace] = field(default_factory=list)
    mails: list[Json] = field(default_factory=list)

    @property
    def accepted_after(self) -> float | None:
        """Seconds from the publishing to SES's acceptance."""
        moments = [e.accepted for e in self.executions if e.accepted]
        return min(moments) - self.published if moments else None

    def complaint(self) -> str:
        """Say what is not as it should be; empty when all is well."""
        ends = [e.path[-1][0] for e in self.executions]
        expected = "Sent" if self.mails_expected else "Rejected"
        status = self.record.get("status")
        if len(self.mails) != self.mails_expected:
            return f"{len(self.mails)} mails instead of {self.mails_expected}"
        if ends.count(expected) != 1 or len(ends) < self.publications:
            return f"its executions ended {', '.join(ends) or 'nowhere'}"
        if self.publications > 1 and "Duplicate" not in ends:
            return "its second publication is not visible as a duplicate"
        return "" if status in FINAL else f"its record says {status}"


def trace(name: str, history: list[Json]) -> ExecutionTrace:
    """Tell an execution's path with times from the events of its history."""
    entered: dict[str, datetime] = {}
    path, accepted = [], None
    for event in history:
        if details := event.get("stateEnteredEventDetails"):
            entered[details["name"]] = event["timestamp"]
        if left := event.get("stateExitedEventDetails"):
            spent = event["timestamp"] - entered[left["name"]]
            path.append((left["name"], spent.total_seconds() * 1000))
            if left["name"] == "Send":
                accepted = event["timestamp"].timestamp()
    return ExecutionTrace(name, path, accepted)


def samples(run: str) -> list[SampleOrder]:
    """Return the sample orders, with ids of this run's own, so that none is a duplicate of the last."""
    orders = []
    for file in sorted(SAMPLES.glob("*.json")):
        event = json.loads(file.read_text())
        event["orderId"] = f"{event['orderId']}-{run}"
        twice, malformed = "TWICE" in event["orderId"], "MALFORMED" in event["orderId"]
        orders.append(
            SampleOrder(
                title=file.stem[2:].replace("-", " "),
                order_id=event["orderId"],
                event=event,
                publications=2 if twice else 1,
                mails_expected=0 if malformed else 1,
            )
        )
    return orders


def send(stack: RunningStack, orders: list[SampleOrder]) -> None:
    """Publish all orders and wait until each ended, or patience does."""
    for order in orders:
        order.published = time.time()
        for _ in range(order.publications):
            stack.publish(json.dumps(order.event, ensure_ascii=False))

    def all_ended() -> bool:
        for order in orders:
            if order.complaint():
                look_up(stack, order)
        return not any(o.complaint() for o in orders) and not stack.waiting()

    with suppress(TimeoutError):
        until(all_ended, seconds=PATIENCE)


def look_up(stack: RunningStack, order: SampleOrder) -> None:
    """Look up the order's record, executions and mails."""
    order.record = stack.record(order.order_id)
    order.executions = [
        trace(e["name"], stack.history(e["executionArn"])) for e in stack.executions(order.order_id)
    ]
    order.mails = stack.inbox(order.order_id)


def show(order: SampleOrder, inbox_url: str, say: Console) -> None:
    """Print what became of one order."""
    complaint = order.complaint()
    status = order.record.get("status", "no record")
    mark = "[bold red]✗[/]" if complaint else "[bold green]✓[/]"
    after = f", accepted by SES after {order.accepted_after:.1f} s" if order.accepted_after else ""
    lines = [f"\n{mark} [bold]{order.order_id}[/]  {order.title}: [bold]{status}[/]{after}"]
    if complaint:
        lines.append(f"  [red]but {complaint}[/]")
    for execution in order.executions:
        steps = " → ".join(
            f"{name} [dim]{ms:.0f} ms[/]" if ms >= 1 else name for name, ms in execution.path
        )
        lines += [f"  path    {steps}", f"          [dim]execution {execution.name}[/]"]
    lines += [f"  reason  {escape(reason)}" for reason in order.record.get("reasons", [])]
    lines += [
        f"  mail    “{escape(mail['subject'])}” {inbox_url}/#/email/{mail['id']}"
        for mail in order.mails
    ]
    shown = {k: order.record.get(k) for k in ("timestamp", "customerEmail", "messageId")}
    lines.append(f"  record  {escape(', '.join(f'{k} {v}' for k, v in shown.items() if v))}")
    say.print("\n".join(lines), soft_wrap=True)


def show_reports(stack: RunningStack, say: Console) -> None:
    """Run both scheduled workflows; print the cost report as a table and the reputation's verdict."""
    cost = stack.report("cost-analysis")
    table = Table(title="Cost analysis (sample costs), USD, month to date", title_justify="left")
    table.add_column("what")
    table.add_column("USD", justify="right")
    for service, amount in cost["services"].items():
        table.add_row(service, amount)
    table.add_row("today, estimated", cost["estimateOfToday"], end_section=True)
    table.add_row("total", cost["total"] or "unknown", style="bold")
    table.add_row("forecast to month end", cost["forecast"] or "unknown")
    table.add_row("budget", cost["budget"])
    table.add_row(f"per mail ({cost['mails']} mails)", cost["costPerEmail"] or "unknown")
    say.print()
    say.print(table)
    for gap in cost["gaps"]:
        say.print(f"  [dim]not known: {gap}[/]", soft_wrap=True)
    check = stack.report("bounce-rate-check")
    say.print(
        f"\nSending reputation: [bold]{check['verdict']}[/] {'; '.join(check['reasons'])}",
        soft_wrap=True,
    )


def run(stack: RunningStack, say: Console) -> bool:
    """Send the sample orders and show all; tell whether all ended as they should."""
    orders = samples(secrets.token_hex(2).upper())
    events = sum(o.publications for o in orders)
    say.print(f"\nPublishing {events} order events: one order twice, one malformed")
    with say.status("waiting for the orders to come through"):
        send(stack, orders)
    for order in orders:
        show(order, stack.settings.inbox_url, say)
    latencies = sorted(o.accepted_after for o in orders if o.accepted_after)
    well = sum(not o.complaint() for o in orders)
    left = {queue: count for queue in ORDER_QUEUES if (count := stack.waiting(queue))}
    say.print(f"\n{well} of {len(orders)} orders ended as they should")
    say.print(f"left on the queues: {left or 'nothing'}")
    if latencies:
        middle, longest = latencies[len(latencies) // 2], latencies[-1]
        say.print(f"event to accepted by SES: median {middle:.1f} s, longest {longest:.1f} s")
    show_reports(stack, say)
    say.print(f"\n  inbox    {stack.settings.inbox_url}")
    say.print(f"  console  {stack.settings.console_url}")
    say.print("  make down stops it all")
    return well == len(orders) and not left


def main() -> int:
    """Return the exit status: 0 when every order ended as it should."""
    try:
        plan = up(LocalSettings.read(), say=lambda line: print(line, flush=True))
    except (ConfigError, StackError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    return 0 if run(RunningStack(plan), Console(highlight=False)) else 1


if __name__ == "__main__":
    sys.exit(main())
