"""`make chaos`: many orders through the deployed stack while everything around them fails.

    python -m tests.local.chaos [--orders 1000] [--seed 1]

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

from infra.local.loopback import fetch
from infra.local.processes import mark, marked
from infra.local.programs import Plan
from infra.local.running_stack import Json, RunningStack, until
from infra.local.settings import LocalSettings
from infra.local.stack import StackError, running
from steps.ledger.rules import resends
from steps.ledger.ses_events import NOTIFICATION_TAG
from steps.ledger.status import UNSENT

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

TELL_EVERY = 10.0
"""Seconds between two lines about what is still to come."""

BOUNCES = "bounce"
RECIPIENTS = {BOUNCES: 0.03, "complaint": 0.02, "ooto": 0.02}
"""Mailboxes of the simulator, and the share of orders that go to each."""

OUTCOMES = {"Delivery", "Bounce", "Complaint"}
"""Events after which a record is not SENT or DELAYED any more."""

ALWAYS = {"DELIVERED", "BOUNCED", "COMPLAINED", "REJECTED", "FAILED"}


def proxy_faults(dice: random.Random) -> list[Json]:
    """Return the fault proxy's rules: each fails one call in so many, without dice of its own."""

    def rule(service: str, every: int, **fault: Any) -> Json:
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


def order_events(count: int, dice: random.Random) -> list[Json]:
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


def publications(events: list[Json], dice: random.Random) -> list[Json]:
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
        """Kill until `stop`."""
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
        """End the killing."""
        self._ended.set()
        self.join()

    def _workers(self) -> Iterator[tuple[str, psutil.Process]]:
        for process in marked(self._mark):
            with suppress(psutil.Error, OSError):
                if name := process.environ().get("AWS_LAMBDA_FUNCTION_NAME"):
                    yield name, process


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of all orders; the figures of the table."""

    published: int
    distinct: int
    inbox: int
    unflagged: list[str]
    """Orders of which more mails were sent than the ledger knows to have been in doubt."""
    flagged: int
    lost: list[str]
    """Orders without a mail."""
    unsettled: list[str]
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
        self.stack = RunningStack(plan)
        self.dice = random.Random(seed)  # noqa: S311 - must be repeatable
        self.seed = seed
        self.events = order_events(orders, self.dice)
        self.published = publications(self.events, self.dice)
        self.killer = Killer(plan, self.dice)

    def break_everything(self) -> None:
        """Set all faults and start killing."""
        # In a long run some events come after the grace period: those mails are sent again, and flagged.
        late = min(2 * GRACE, len(self.events) / 20)
        self.stack.ses("settings", SES_FAULTS | {"seed": self.seed, "events_late_max": late})
        fetch(f"{self.plan.faults_url}/_microburst/rules", proxy_faults(self.dice), "POST")
        self.stack.sqs.set_queue_attributes(
            QueueUrl=self.stack.queue_url("email-order-queue"),
            Attributes={"VisibilityTimeout": str(VISIBILITY)},
        )
        self.killer.start()

    def publish(self) -> None:
        """Publish all events, several at once."""
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(self.stack.publish, map(json.dumps, self.published)):
                pass

    def outstanding(self) -> str:
        """Say what is still to come; empty when nothing is."""
        records = self.stack.all_records()
        waiting = self.stack.waiting()
        pending = self.stack.ses("stats")["events_pending"]
        final = sum(r["status"] not in UNSENT for r in records)
        unsettled = self._unsettled(records)
        if final == len(self.events) and not waiting and not pending and not unsettled:
            return ""
        return (
            f"{final} of {len(self.events)} orders sent, {waiting} messages on the queue, "
            f"{pending} events to come, {self.killer.killed.total()} processes killed"
        )

    def _mails(self) -> defaultdict[str, list[Json]]:
        """Return what SES took, by notification id."""
        mails = defaultdict(list)
        for mail in self.stack.ses("messages"):
            mails[mail["tags"][NOTIFICATION_TAG][0]].append(mail)
        return mails

    def _unsettled(self, records: list[Json]) -> list[str]:
        mails = self._mails()

        def is_settled(record: Json) -> bool:
            if record["status"] in ALWAYS:
                return True
            reported = {e for mail in mails[record["notificationId"]] for e in mail["published"]}
            return record["status"] not in UNSENT and not reported & OUTCOMES

        return [f"{r['orderId']} {r['status']}" for r in records if not is_settled(r)]

    def verdict(self) -> Verdict:
        """Compare what SES took, what the inbox has and what the ledger says."""
        mails, inbox = self._mails(), self.stack.inbox()
        arrived = {m["headers"]["message-id"].strip("<>").partition("@")[0] for m in inbox}
        records = {r["orderId"]: r for r in self.stack.all_records()}
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
            by_resend += bool(resent)
            by_event += not resent and any(not mail["answered"] for mail in sent)
        return Verdict(
            published=len(self.published),
            distinct=len(self.events),
            inbox=len(inbox),
            unflagged=unflagged,
            flagged=flagged,
            lost=lost,
            unsettled=self._unsettled([*records.values()]),
            by_event=by_event,
            by_resend=by_resend,
            statuses=Counter(r["status"] for r in records.values()),
        )

    def table(self, verdict: Verdict, seconds: float) -> Table:
        """Lay the figures out."""
        table = Table(title=f"{verdict.distinct} orders, seed {self.seed}", show_header=False)
        table.add_column(style="bold")
        table.add_column()
        ses = self.stack.ses("stats")
        faults = fetch(f"{self.plan.faults_url}/_microburst/stats")["by_service"]
        answers_lost = ses["answers_dropped"] / ses["calls"]
        errors = (ses["errors_before"] + ses["errors_after"]) / ses["calls"]
        rows = {
            "order events published": str(verdict.published),
            "distinct orders": str(verdict.distinct),
            "mails in the inbox": str(verdict.inbox),
            "duplicates": f"{len(verdict.unflagged)} unflagged, {verdict.flagged} flagged in doubt",
            "lost": str(len(verdict.lost)),
            "in doubt, settled": f"{verdict.by_event} by event, {verdict.by_resend} by re-send",
            "dead letters, orders": _counts(self._dead_letters("email-order-dlq")),
            "dead letters, events": _counts(self._dead_letters("email-feedback-dlq")),
            "left on the queue": str(self.stack.waiting()),
            "statuses": _counts(verdict.statuses),
            "not final": str(len(verdict.unsettled)),
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
        while letters := self.stack.dead_letters(base):
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


def run(plan: Plan, *, orders: int, seed: int, say: Console) -> Verdict:
    """Break everything, publish, wait until all is settled or patience ends, and print the table."""
    one = Run(plan, orders=orders, seed=seed)
    start = time.monotonic()
    told = start

    def settled() -> bool:
        nonlocal told
        missing = one.outstanding()
        if missing and time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            say.print(f"  {told - start:4.0f} s: {missing}", soft_wrap=True)
        return not missing

    one.break_everything()
    try:
        say.print(f"· publishing {len(one.published)} events of {orders} orders")
        one.publish()
        with suppress(TimeoutError):
            until(settled, seconds=300 + 2 * orders, every=1)
    finally:
        one.killer.stop()
    verdict = one.verdict()
    say.print(one.table(verdict, time.monotonic() - start))
    for what, whose in (
        ("lost", verdict.lost),
        ("sent twice", verdict.unflagged),
        ("not final", verdict.unsettled),
    ):
        for order in whose[:20]:
            say.print(f"[red]{what}[/]: {order}")
    return verdict


def main() -> int:
    """Return the exit status: 0 when nothing was lost, sent twice unnoticed, or left open."""
    parser = argparse.ArgumentParser(prog="python -m tests.local.chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000, help="distinct orders")
    parser.add_argument("--seed", type=int, default=1, help="of all dice")
    asked = parser.parse_args()
    say = Console(highlight=False, width=100)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        settings = LocalSettings.on_free_ports(
            Path(folder) / "stack", environment_suffix="chaos", faults=True
        )
        try:
            with running(settings, say=say.print) as plan:
                return 0 if run(plan, orders=asked.orders, seed=asked.seed, say=say).good else 1
        except StackError as error:
            print(f"make chaos: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
