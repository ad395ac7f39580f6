"""`make demo`: sends sample orders through the whole system and shows what became of each.

Starts the local stack unless it runs, and leaves it running, so that inbox and console can be looked
at. Beside each mail stands what the shop was told of it, as a queue saw it that was subscribed meanwhile.
Exits 1 where an order did not end as it should, and says which.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.config import Config
from infra.local.running_stack import Json, RunningStack, until
from infra.local.settings import LocalSettings
from infra.local.stack import StackError, up
from infra.local.subscriber import Subscriber, subscribed
from infra.setting import ConfigError
from steps.ledger import rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

SAMPLES = Path(__file__).with_name("samples")
PATIENCE = 60.0
"""Seconds to wait for all orders; the product promises 30 from the event to the send."""

ENDS = {"malformed": "REJECTED", "bounced": "BOUNCED"}
"""What a sample's record is to say in the end, by the sample's title, where it is not DELIVERED."""
TWICE = "published twice"
"""The title of the sample whose event is published a second time."""
ORDER_QUEUES = ("email-order-queue", "email-order-dlq")


@dataclass(frozen=True)
class ExecutionTrace:
    """One execution: the states it entered with the milliseconds spent in each."""

    name: str
    path: list[tuple[str, float]]
    accepted: float | None
    """When the Send state ended well, in epoch seconds."""


class Notification(NamedTuple):
    """What became of one notification: its record, its mail, and what the shop was told of it.

    told: the outcomes' data, in their order; None where outcome events are left out.
    """

    record: Json
    mails: list[Json]
    told: list[Json] | None

    @property
    def part(self) -> str:
        """Which part of the order it is about; empty where it is about all of it."""
        return ", ".join(self.record.get("part", {}).values())

    def complaint(self, end: str) -> str:
        """Say what is not as it should be where it is to end as `end`; empty when all is well."""
        if (status := self.record["status"]) != end:
            return f"its record says {status} instead of {end}"
        arrived = int(end == "DELIVERED")
        if len(self.mails) != arrived:
            return f"{len(self.mails)} mails in the inbox instead of {arrived}"
        if self.told is not None and [data["status"] for data in self.told[-1:]] != [status]:
            return f"the shop was told {story(self.told)}, and its record says {status}"
        return ""


@dataclass
class SampleOrder:
    """One sample order, what it is to end as, and what was seen of it.

    events: what is published of it, in this order; the same again is a duplicate. end: what all its records
    are to say.
    """

    title: str
    events: list[Json]
    end: str = "DELIVERED"
    published: float = 0.0
    executions: list[ExecutionTrace] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)

    @property
    def order_id(self) -> str:
        """The order's id, the same in all its events."""
        order_id: str = self.events[0]["orderId"]
        return order_id

    @property
    def expected(self) -> int:
        """How many notifications it is to have."""
        return len({json.dumps(event) for event in self.events})

    @property
    def accepted_after(self) -> float | None:
        """Seconds from the publishing until SES had accepted all its mails."""
        moments = [e.accepted for e in self.executions if e.accepted]
        return max(moments) - self.published if moments else None

    def complaint(self) -> str:
        """Say what is not as it should be; empty when all is well."""
        ends = [e.path[-1][0] for e in self.executions]
        end = "Rejected" if self.end == "REJECTED" else "Sent"
        if len(self.notifications) != self.expected:
            return f"{len(self.notifications)} records instead of {self.expected}"
        if ends.count(end) != self.expected or len(ends) < len(self.events):
            return f"its executions ended {', '.join(ends) or 'nowhere'}"
        if len(self.events) > self.expected and "Duplicate" not in ends:
            return "its second publication is not visible as a duplicate"
        return next(filter(None, (n.complaint(self.end) for n in self.notifications)), "")


def story(told: Sequence[Json]) -> str:
    """Tell what a shop was told of one notification: `SENT → BOUNCED (Permanent/General)`."""
    return " → ".join(map(_word, told)) or "nothing"


def _word(data: Json) -> str:
    fields = ", ".join(data.get("fields", ()))
    why = ": ".join(filter(None, (data.get("reason"), fields)))
    return f"{data['status']} ({why})" if why else data["status"]


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


def samples(run: str, now: float) -> list[SampleOrder]:
    """Return the sample orders, with ids of this run's own, so that none is a duplicate of the last.

    A sample is an event or a list of them. What they tell of has happened `now`, in epoch seconds.
    """
    orders = []
    for file in sorted(SAMPLES.glob("*.json")):
        sample = json.loads(file.read_text())
        events = sample if isinstance(sample, list) else [sample]
        for event in events:
            event["orderId"] = f"{event['orderId']}-{run}"
            if "eventTimestamp" in event:
                event["eventTimestamp"] = rules.iso(now)
        title = file.stem[2:].replace("-", " ")
        if title == TWICE:
            events *= 2
        orders.append(SampleOrder(title, events, ENDS.get(title, "DELIVERED")))
    return orders


def send(stack: RunningStack, shop: Subscriber | None, orders: list[SampleOrder]) -> None:
    """Publish all orders and wait until each ended, or patience does."""
    for order in orders:
        order.published = time.time()
        for event in order.events:
            stack.publish(json.dumps(event, ensure_ascii=False))

    def all_ended() -> bool:
        for order in orders:
            if order.complaint():
                look_up(stack, shop, order)
        return not any(o.complaint() for o in orders) and not stack.waiting()

    with suppress(TimeoutError):
        until(all_ended, seconds=PATIENCE)


def look_up(stack: RunningStack, shop: Subscriber | None, order: SampleOrder) -> None:
    """Look up the order's executions and records, each with its mail and what the shop was told of it."""
    order.executions = [
        trace(e["name"], stack.history(e["executionArn"])) for e in stack.executions(order.order_id)
    ]
    mails = stack.inbox(order.order_id)
    told = shop.of_order(order.order_id) if shop else []

    def notification(record: Json) -> Notification:
        message_id = record.get("messageId", "none")
        ours = [data for data in told if data["notificationId"] == record["notificationId"]]
        return Notification(
            record=record,
            mails=[mail for mail in mails if message_id in mail["headers"]["message-id"]],
            told=ours if shop else None,
        )

    records = [stack.whole(record) for record in stack.records(order.order_id)]
    order.notifications = sorted(map(notification, records), key=lambda n: n.part)


def show(order: SampleOrder, inbox_url: str, say: Console) -> None:
    """Print what became of one order."""
    complaint = order.complaint()
    statuses = dict.fromkeys(n.record["status"] for n in order.notifications)
    mark = "[bold red]✗[/]" if complaint else "[bold green]✓[/]"
    ended = ", ".join(statuses) or "no record"
    after = f", accepted by SES after {order.accepted_after:.1f} s" if order.accepted_after else ""
    lines = [f"\n{mark} [bold]{order.order_id}[/]  {order.title}: [bold]{ended}[/]{after}"]
    if complaint:
        lines.append(f"  [red]but {escape(complaint)}[/]")
    for execution in order.executions:
        steps = " → ".join(
            f"{name} [dim]{ms:.0f} ms[/]" if ms >= 1 else name for name, ms in execution.path
        )
        lines += [f"  path    {steps}", f"          [dim]execution {execution.name}[/]"]
    for notification in order.notifications:
        lines += described(notification, inbox_url)
    say.print("\n".join(lines), soft_wrap=True)


def described(notification: Notification, inbox_url: str) -> list[str]:
    """Return the lines about one notification of an order."""
    record, part = notification.record, notification.part
    lines = [f"  [bold]parcel  {escape(part)}[/]"] if part else []
    lines += [f"  reason  {escape(reason)}" for reason in record.get("reasons", [])]
    lines += [
        f"  mail    “{escape(mail['subject'])}” {inbox_url}/#/email/{mail['id']}"
        for mail in notification.mails
    ]
    shown = {k: record.get(k) for k in ("timestamp", "customerEmail", "messageId")}
    lines.append(f"  record  {escape(', '.join(f'{k} {v}' for k, v in shown.items() if v))}")
    if notification.told is not None:
        lines.append(f"  told    {escape(story(notification.told))}")
    return lines


def show_reports(stack: RunningStack, say: Console) -> None:
    """Run the two reports on figures; print the cost report as a table and the reputation's verdict."""
    cost = stack.report("cost-analysis")
    table = Table(title="Cost analysis (sample costs), USD, month to date", title_justify="left")
    table.add_column("what")
    table.add_column("USD", justify="right")
    for service, amount in cost["services"].items():
        table.add_row(service, amount)
    estimated = f"from {cost['estimatedFrom']} on, at list price"
    table.add_row(estimated, cost["estimate"], end_section=True)
    table.add_row("total", cost["total"] or "unknown", style="bold")
    table.add_row("forecast to month end", cost["forecast"] or "unknown")
    table.add_row("budget", cost["budget"])
    table.add_row(f"per mail ({cost['mails']} mails)", cost["costPerEmail"] or "unknown")
    say.print()
    say.print(table)
    for gap in cost["gaps"]:
        say.print(f"  [dim]not known: {gap}[/]", soft_wrap=True)
    # Both ask SES, which answers that once a second; a step that it refuses tries again after five.
    time.sleep(1)
    check = stack.report("bounce-rate-check")
    say.print(
        f"\nSending reputation: [bold]{check['verdict']}[/] {'; '.join(check['reasons'])}",
        soft_wrap=True,
    )


def run(stack: RunningStack, say: Console, *, outcome_events: bool) -> bool:
    """Send the sample orders and show all; tell whether all ended as they should."""
    orders = samples(secrets.token_hex(2).upper(), time.time())
    events = sum(len(o.events) for o in orders)
    say.print(
        f"\nPublishing {events} events of {len(orders)} orders: one event twice, one of each of two"
        " parcels, one for a mail that bounces, one malformed",
        soft_wrap=True,
    )
    if outcome_events:
        say.print(
            f"“told” is what the topic {stack.name('email-outcomes')} tells the shop of a mail"
        )
    with (
        say.status("waiting for the orders to come through"),
        subscribed(stack) if outcome_events else nullcontext() as shop,
    ):
        send(stack, shop, orders)
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
        outcome_events = Config.from_environment(os.environ, local=True).outcome_events
    except (ConfigError, StackError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    well = run(RunningStack(plan), Console(highlight=False), outcome_events=outcome_events)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
