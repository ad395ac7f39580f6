"""`make chaos`: many orders through the deployed stack while everything around them fails.

    python -m infra.local.chaos [--orders 1000] [--seed 1]

A stack of its own, gone afterwards. SES throttles a fifth of its calls, loses answers after it took
the mail, answers 5xx; its events come late, repeated, shuffled, or not at all. DynamoDB, Step Functions
and SQS throttle, fail, lose answers and dawdle. Dispatchers and steps are killed. One order in five is
published twice or more.

Two waits are scaled down, so that a run takes minutes: the grace period of a mail in doubt (a setting of
the app), and the order queue's visibility time-out, which here may end before a dispatcher does.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from infra.local.children import Plan
from infra.local.processes import mark, marked
from infra.local.settings import Settings, free_ports
from infra.local.stack import StackError, running
from infra.local.world import World, fetch
from steps.ledger.rules import UNSENT, resends
from steps.ledger.ses_events import NOTIFICATION_TAG

GRACE = 25
"""Seconds that a mail in doubt waits for SES's event."""

VISIBILITY = 45
"""Seconds after which the messages of a killed dispatcher come back."""

SETTINGS = {"IN_DOUBT_GRACE_SECONDS": str(GRACE), "DISPATCHER_CONCURRENCY": "2"}

SES_FAULTS = {
    "rate": 1000,
    "daily_quota": 1_000_000,
    "throttle": 0.22,
    # Of the calls that were not throttled: 3% and 2% of all.
    "drop_answer": 0.05,
    "error_before": 0.015,
    "error_after": 0.015,
    "slow": 0.01,
    "delay_delivery": 0.05,
    "events_repeated": 0.2,
    "events_shuffled": 0.3,
    "events_lost": 0.02,
}

PUBLISHED_AGAIN = 0.2
KILL_EVERY = 2.0
"""Seconds between two kills, on average."""
AT_WORK = 5
"""So many functions must have workers: a lone dispatcher would be killed before its first batch ends."""

BOUNCES = "bounce"
RECIPIENTS = {BOUNCES: 0.03, "complaint": 0.02, "ooto": 0.02}
"""Mailboxes of the simulator, and the share of orders that go to each."""

OUTCOMES = {"Delivery", "Bounce", "Complaint"}
"""Events after which a record is not SENT or DELAYED any more."""

ALWAYS = {"DELIVERED", "BOUNCED", "COMPLAINED", "REJECTED", "FAILED"}


def proxy_faults(dice: random.Random) -> list[dict[str, Any]]:
    """Return the fault proxy's rules: each fails one call in so many, without dice of its own."""

    def rule(service: str, every: int, **fault: Any) -> dict[str, Any]:
        one_in = every + dice.randrange(every // 5)
        return {"service": service, "sequence": {"fail": 1, "pass": one_in - 1}, **fault}

    lost_answer = {"response": {"abort_bytes": 0}}
    return [
        rule("dynamodb", 30, error={"code": "ProvisionedThroughputExceededException"}),
        rule("dynamodb", 50, error={"code": "InternalServerError", "status": 500}),
        rule("dynamodb", 50, **lost_answer),
        rule("dynamodb", 100, reset=True),
        # Longer than the client waits: the write is made after its repetition.
        rule("dynamodb", 200, latency=2500),
        rule("stepfunctions", 30, error={"code": "ThrottlingException"}),
        rule("stepfunctions", 40, **lost_answer),
        rule("stepfunctions", 60, error={"code": "InternalFailure", "status": 500}),
        rule("sqs", 10, error={"code": "InternalFailure", "status": 500}),
        rule("sqs", 20, **lost_answer),
    ]


def order_events(count: int, dice: random.Random) -> list[dict[str, Any]]:
    """Return `count` distinct order events; a few go to the simulator's mailboxes."""
    names, weights = zip(*RECIPIENTS.items(), strict=True)
    events = []
    for number in range(count):
        recipient = f"customer{number}@example.com"
        (box,) = dice.choices([*names, ""], [*weights, 1 - sum(weights)])
        if box:
            recipient = f"{box}+{number}@simulator.amazonses.com"
        cents = dice.randrange(100, 100_000)
        events.append(
            {
                "orderId": f"CHAOS-{number:05}",
                "customerEmail": recipient,
                "customerName": "A Customer",
                "orderItems": [{"name": "A thing", "quantity": 1, "price": f"{cents / 100:.2f}"}],
                "orderTotal": f"{cents / 100:.2f}",
                "orderTimestamp": "2026-11-24T08:00:00Z",
            }
        )
    return events


def publications(events: list[dict[str, Any]], dice: random.Random) -> list[dict[str, Any]]:
    """Return the events as they are published: all, a fifth of them two to four times, mixed."""
    again = dice.sample(events, round(len(events) * PUBLISHED_AGAIN))
    published = [*events, *(e for e in again for _ in range(dice.randint(1, 3)))]
    dice.shuffle(published)
    return published


class Killer(threading.Thread):
    """Kills Lambda workers of one stack, one after another, without a warning."""

    def __init__(self, plan: Plan, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._mark = mark(plan.settings.state_dir, "aws")
        self._dice = dice
        self._ended = threading.Event()
        self.killed: Counter[str] = Counter()

    def run(self) -> None:
        """Kills until `stop`."""
        while not self._ended.wait(self._dice.expovariate(1 / KILL_EVERY)):
            workers = defaultdict(list)
            for name, process in self._workers():
                workers[name].append(process)
            if len(workers) >= AT_WORK:
                name = self._dice.choice(sorted(workers))
                with suppress(psutil.NoSuchProcess):
                    self._dice.choice(workers[name]).kill()
                    self.killed[name.split("-")[1]] += 1

    def stop(self) -> None:
        """Ends the killing."""
        self._ended.set()
        self.join()

    def _workers(self) -> Iterator[tuple[str, psutil.Process]]:
        for process in marked(self._mark):
            with suppress(psutil.Error, OSError):
                if name := process.environ().get("AWS_LAMBDA_FUNCTION_NAME"):
                    yield name, process


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of all orders; the figures of the table."""

    published: int
    distinct: int
    inbox: int
    unflagged: tuple[str, ...]
    """Orders of which more mails were sent than the ledger knows to have been in doubt."""
    flagged: int
    lost: tuple[str, ...]
    """Orders without a mail."""
    unsettled: tuple[str, ...]
    """Orders whose record is not in a final status."""
    by_event: int
    by_resend: int
    statuses: Counter[str]

    @property
    def good(self) -> bool:
        """Whether the product's promise was kept."""
        return not (self.lost or self.unflagged or self.unsettled)


class Run:
    """One run against a running stack that has the fault proxy."""

    def __init__(self, plan: Plan, *, orders: int, seed: int) -> None:
        self.plan = plan
        self.world = World(plan)
        self.dice = random.Random(seed)  # noqa: S311 - must be repeatable
        self.seed = seed
        self.events = order_events(orders, self.dice)
        self.published = publications(self.events, self.dice)
        self.killer = Killer(plan, self.dice)

    def break_everything(self) -> None:
        """Set all faults and start killing."""
        # In a long run some events come after the grace period: those mails are sent again, and flagged.
        late = min(2 * GRACE, len(self.events) / 20)
        self.world.ses("settings", SES_FAULTS | {"seed": self.seed, "events_late_max": late})
        fetch(f"{self.plan.faults_url}/_microburst/rules", proxy_faults(self.dice), "POST")
        self.world.sqs.set_queue_attributes(
            QueueUrl=self.world.queue_url("email-order-queue"),
            Attributes={"VisibilityTimeout": str(VISIBILITY)},
        )
        self.killer.start()

    def publish(self) -> None:
        """Publish all events, several at once."""
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(self.world.publish, map(json.dumps, self.published)):
                pass

    def records(self) -> list[dict[str, Any]]:
        """Return all records of the tracking table."""
        pages = self.world.table.meta.client.get_paginator("scan").paginate(
            TableName=self.world.table.name, ConsistentRead=True
        )
        found: list[dict[str, Any]] = [record for page in pages for record in page["Items"]]
        return [r for r in found if "orderId" in r]

    def settled(self) -> str:
        """Say what is still to come; empty when nothing is."""
        statuses = Counter(r["status"] for r in self.records())
        waiting = self.world.waiting("email-order-queue")
        pending = self.world.ses("stats")["events_pending"]
        final = sum(n for status, n in statuses.items() if status not in UNSENT)
        if final == len(self.events) and not waiting and not pending and not self._unsettled():
            return ""
        return (
            f"{final} of {len(self.events)} orders sent, {waiting} messages on the queue, "
            f"{pending} events to come, {self.killer.killed.total()} processes killed"
        )

    def _unsettled(self) -> tuple[str, ...]:
        reported: defaultdict[str, set[str]] = defaultdict(set)
        for mail in self.world.ses("messages"):
            reported[mail["tags"][NOTIFICATION_TAG][0]] |= set(mail["published"])
        return tuple(
            f"{r['orderId']} {r['status']}"
            for r in self.records()
            if r["status"] not in ALWAYS
            and (r["status"] in UNSENT or reported[r["notificationId"]] & OUTCOMES)
        )

    def account(self) -> Account:
        """Compare what SES took, what the inbox has and what the ledger says."""
        mails = defaultdict(list)
        for mail in self.world.ses("messages"):
            mails[mail["tags"][NOTIFICATION_TAG][0]].append(mail)
        inbox = self.world.inbox()
        arrived = {m["headers"]["message-id"].strip("<>").partition("@")[0] for m in inbox}
        records = {r["orderId"]: r for r in self.records()}
        unflagged, lost, flagged, by_event, by_resend = [], [], 0, 0, 0
        for event in self.events:
            order_id = event["orderId"]
            record = records.get(order_id, {})
            sent = mails[record.get("notificationId", "")]
            bounces = event["customerEmail"].startswith(f"{BOUNCES}+")
            if not any(bounces or mail["messageId"] in arrived for mail in sent):
                lost.append(f"{order_id} {record.get('status', 'no record')}")
            resent = resends(record)
            extra = max(0, len(sent) - 1)
            flagged += min(extra, resent)
            if extra > resent:
                unflagged.append(f"{order_id} {len(sent)} mails, {resent} in doubt")
            if resent:
                by_resend += 1
            elif any(not mail["answered"] for mail in sent):
                by_event += 1
        return Account(
            published=len(self.published),
            distinct=len(self.events),
            inbox=len(inbox),
            unflagged=tuple(unflagged),
            flagged=flagged,
            lost=tuple(lost),
            unsettled=self._unsettled(),
            by_event=by_event,
            by_resend=by_resend,
            statuses=Counter(r["status"] for r in records.values()),
        )

    def table(self, account: Account, seconds: float) -> Table:
        """Lay the figures out."""
        table = Table(title=f"{account.distinct} orders, seed {self.seed}", show_header=False)
        table.add_column(style="bold")
        table.add_column()
        ses = self.world.ses("stats")
        faults = fetch(f"{self.plan.faults_url}/_microburst/stats")["by_service"]
        answers_lost = ses["answers_dropped"] / ses["calls"]
        errors = (ses["errors_before"] + ses["errors_after"]) / ses["calls"]
        rows = {
            "order events published": str(account.published),
            "distinct orders": str(account.distinct),
            "mails in the inbox": str(account.inbox),
            "duplicates": f"{len(account.unflagged)} unflagged, {account.flagged} flagged in doubt",
            "lost": str(len(account.lost)),
            "in doubt, settled": f"{account.by_event} by event, {account.by_resend} by re-send",
            "dead letters, orders": _counts(self._dead_letters("email-order-dlq")),
            "dead letters, events": _counts(self._dead_letters("email-feedback-dlq")),
            "left on the queue": str(self.world.waiting("email-order-queue")),
            "statuses": _counts(account.statuses),
            "not final": str(len(account.unsettled)),
            "SES calls": f"{ses['calls']}: {ses['throttled'] / ses['calls']:.0%} throttled, "
            f"{answers_lost:.1%} answers lost, {errors:.1%} 5xx",
            "SES events": f"{ses['events_published']} published, {ses['events_repeated']} repeated, "
            f"{ses['events_lost']} lost",
            "other faults": _counts({one["service"]: one["faulted"] for one in faults}),
            "killed": _counts(self.killer.killed),
            "seconds": f"{seconds:.0f}",
        }
        for row in rows.items():
            table.add_row(*row)
        return table

    def _dead_letters(self, base: str) -> Counter[str]:
        """Take the dead letters out of a queue; return why they are there."""
        reasons: Counter[str] = Counter()
        while letters := self.world.dead_letters(base):
            for letter in letters:
                attached = letter.get("MessageAttributes", {})
                if "reason" in attached:
                    reasons[attached["reason"]["StringValue"]] += 1
                else:  # as Lambda wraps an event that a function failed on
                    reasons[json.loads(letter["Body"])["responsePayload"]["errorType"]] += 1
        return reasons


def _counts(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {number}" for name, number in ordered if number) or "none"


def run(plan: Plan, *, orders: int, seed: int, say: Console) -> Account:
    """Break everything, publish, wait until all is settled or patience ends, and print the table."""
    one = Run(plan, orders=orders, seed=seed)
    start = time.monotonic()
    patience = 300 + 2 * orders
    one.break_everything()
    try:
        say.print(f"· publishing {len(one.published)} events of {orders} orders")
        one.publish()
        told = 0.0
        while (missing := one.settled()) and time.monotonic() - start < patience:
            if time.monotonic() - told > 10:  # noqa: PLR2004 - seconds, for a person
                told = time.monotonic()
                say.print(f"  {told - start:4.0f} s: {missing}", soft_wrap=True)
            time.sleep(1)
    finally:
        one.killer.stop()
    account = one.account()
    say.print(one.table(account, time.monotonic() - start))
    for what, whose in (
        ("lost", account.lost),
        ("sent twice", account.unflagged),
        ("not final", account.unsettled),
    ):
        for order in whose[:20]:
            say.print(f"[red]{what}[/]: {order}")
    return account


def main() -> int:
    """Return the exit status: 0 when nothing was lost, sent twice unnoticed, or left open."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000, help="distinct orders")
    parser.add_argument("--seed", type=int, default=1, help="of all dice")
    asked = parser.parse_args()
    say = Console(highlight=False, width=100)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.update(SETTINGS)
    aws_port, inbox_port, console_port = free_ports(3)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        settings = Settings(
            environment_suffix="chaos",
            aws_port=aws_port,
            inbox_port=inbox_port,
            console_port=console_port,
            state_dir=Path(folder) / "stack",
            faults=True,
        )
        try:
            with running(settings, say=say.print) as plan:
                return 0 if run(plan, orders=asked.orders, seed=asked.seed, say=say).good else 1
        except StackError as error:
            print(f"make chaos: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
