"""One run: break everything, publish, wait until nothing will change any more, compare, print the table."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rich.table import Table

from infra.local.loopback import fetch
from infra.local.running_stack import RunningStack
from infra.local.subscriber import Subscriber, subscribed
from steps.contract import limits
from tests.local.chaos import facts, faults
from tests.local.chaos.orders import Kind, Order, orders, publications
from tests.local.chaos.outcomes import MISSING
from tests.local.chaos.verdict import Facts, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from infra.local.programs import Plan

GRACE = limits.IN_DOUBT_GRACE_LOCAL_MIN
"""Seconds that a mail in doubt waits for SES's event."""

VISIBILITY = {"email-order-queue": 45, "email-ses-events-queue": 20}
"""Seconds after which what a killed function had comes back. An event is to be back before the grace
period is over."""

SETTINGS = {"IN_DOUBT_GRACE_SECONDS": str(GRACE), "DISPATCHER_CONCURRENCY": "2"}

TELL_EVERY = 10.0
"""Seconds between two lines about what is still to come."""

QUIET = 4.0
"""Seconds in which no function made a call and no worker computed, after which none is taken to run."""

STALLED = 700.0
"""Seconds without a mail, and without the queue being shorter than ever: a message that was received eight
times waits for 640 s."""

REDRIVES = 3
"""How often the operator redrives what is among the dead letters at the end."""

BAD_DEPLOYMENTS = {0.25: "render", 0.4: "outcomes", 0.6: "record"}
"""Which function is broken for a while, once so large a share of the mails was taken."""

REDRIVE_AT = 0.5
"""Likewise for the operator's first look at the dead letters."""

SHOWN = 20
"""So many orders of each kind of failure are named."""


class Run:
    """One run against a running stack that has the fault proxy; `shop` is told of its outcomes."""

    def __init__(
        self, stack: RunningStack, shop: Subscriber, *, count: int, seed: int, say: Console
    ) -> None:
        self.stack, self.shop = stack, shop
        self.plan = plan = stack.plan
        self.seed = seed
        self.say = say
        self.dice = random.Random(seed)  # noqa: S311 - must be repeatable
        self.orders = orders(count, self.dice)
        self.published = publications(self.orders, self.dice)
        self.valid = {o.message for o in self.orders if o.kind is Kind.VALID}
        self.killer = faults.Killer(plan, self.dice)
        self.deployments: list[faults.BadDeployment] = []
        self.operator = faults.Operator(self.stack)
        self.start = time.monotonic()
        self.most_memory = (0, 0)
        self.calm = False
        self.lost_answers = 0
        self.unseen: set[str] = set()

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self.start

    def break_everything(self) -> None:
        """Set all faults and start killing."""
        # In a long run some events come after the grace period: those mails are sent again, and flagged.
        late = min(2 * GRACE, len(self.orders) / 20)
        ses_faults = faults.SES_FAULTS | {"seed": self.seed, "events_late_max": late}
        self.stack.ses("settings", ses_faults)
        rules = faults.proxy_faults(self.dice)
        fetch(f"{self.plan.faults_url}/_microburst/rules", rules, "POST")
        for queue, seconds in VISIBILITY.items():
            self.stack.sqs.set_queue_attributes(
                QueueUrl=self.stack.queue_url(queue),
                Attributes={"VisibilityTimeout": str(seconds)},
            )
        faults.skew_clocks(self.stack)
        self.killer.start()

    def mend_everything(self) -> None:
        """End the faults once every mail is out: what is left settles, and waits no longer than it has to."""
        self.calm = True
        self.unseen = self._unseen()
        self.killer.stop()
        self.lost_answers = faults.lost_answers(self.plan)
        fetch(f"{self.plan.faults_url}/_microburst/rules", [], "POST")

    def _unseen(self) -> set[str]:
        """Return the faults that were never seen: the proxy's, kills and bad deployments."""
        kills = {f"kill {name}" for name in faults.KILLED if not self.killer.killed[name]}
        deployed = len(self.deployments)
        deployments = {f"bad {step}" for step in [*BAD_DEPLOYMENTS.values()][deployed:]}
        return faults.unseen(self.plan) | kills | deployments

    def publish(self) -> None:
        """Publish all events, several at once."""
        queue = self.stack.queue_url("email-order-queue")

        def publish(order: Order) -> None:
            if order.by_sqs:
                self.stack.sqs.send_message(QueueUrl=queue, MessageBody=order.message)
            else:
                self.stack.publish(order.message)

        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(publish, self.published):
                pass

    def wait(self) -> str:
        """Wait until nothing will change any more; return why not, where patience ended before."""
        for _ in range(1 + REDRIVES):
            if unfinished := self._until_quiet():
                return unfinished
            retold = self.operator.tell_again()
            if not self.operator.redrive(self.valid) + retold:
                return ""
            self.say.print(f"  {self.seconds:4.0f} s: redrove dead letters, {retold} of outcomes")
        return ""

    def _until_quiet(self) -> str:
        patience = time.monotonic() + 2 * STALLED + 2 * len(self.orders)
        changed = moved = told = time.monotonic()
        calls, least = (-1, -1.0, -1), len(self.published) + 1
        taken = 0
        while True:
            now, clock = facts.look(self.stack), time.monotonic()
            self._measure_memory()
            self._interfere(now.taken / len(self.valid))
            if now.taken >= len(self.valid) and not self.calm:
                self.mend_everything()
            seen = now.calls, now.worked, len(self.shop.read())
            deploying = any(deployment.is_alive() for deployment in self.deployments)
            if seen != calls or deploying or not now.idle:
                calls, moved = seen, clock
            if now.taken > taken or now.waiting < least:
                taken, least, changed = now.taken, min(least, now.waiting), clock
            if clock - moved > QUIET:
                return ""
            if clock > patience or clock - changed > STALLED:
                return f"the run, after {self.seconds:.0f} s: {self._told(now)}"
            if clock - told > TELL_EVERY:
                told = clock
                self.say.print(f"  {self.seconds:4.0f} s: {self._told(now)}", soft_wrap=True)
            time.sleep(1)

    def _told(self, now: facts.Now) -> str:
        return (
            f"{now.taken} mails of {len(self.valid)} orders, {now.waiting} messages on the queue, "
            f"{now.to_come} events and {now.held} calls to come, {self.deaths} workers killed"
        )

    def _measure_memory(self) -> None:
        now = facts.memory(self.plan)
        self.most_memory = (max(self.most_memory[0], now[0]), max(self.most_memory[1], now[1]))

    def _interfere(self, share: float) -> None:
        """Do what is to be done in the middle, once `share` of the mails was taken."""
        due = [step for at, step in BAD_DEPLOYMENTS.items() if share >= at]
        for step in due[len(self.deployments) :]:
            self.say.print(f"  {self.seconds:4.0f} s: a bad deployment of {step}")
            self.deployments.append(faults.BadDeployment(self.stack, step))
            self.deployments[-1].start()
        if share >= REDRIVE_AT and not self.operator.looked:
            found = self.operator.redrive(self.valid)
            self.say.print(f"  {self.seconds:4.0f} s: the operator redrove {found} dead letters")

    @property
    def deaths(self) -> int:
        """How many workers were killed."""
        return self.killer.killed.total()

    def stop(self) -> None:
        """End what breaks things."""
        self.killer.stop()
        for deployment in self.deployments:
            deployment.join()

    def facts(self, unfinished: str) -> Facts:
        """Ask the stack for everything, once; where the run did not come to an end, its letters stay."""
        self.operator.redrive(set())
        self.operator.tell_again()
        letters = [facts.dead_letter(letter) for letter in self.operator.letters]
        return Facts(
            orders=self.orders,
            unfinished=unfinished,
            mails=facts.mails(self.stack),
            inbox=frozenset(facts.inbox(self.plan.settings.state_dir / "mails")),
            records={r["notificationId"]: r for r in self.stack.all_records()},
            left=[facts.dead_letter(letter) for letter in self.operator.left],
            letters=letters,
            unread=frozenset(facts.unread_events(self.operator.internal)),
            told=self.shop.read(),
            changes=facts.changes(self.stack),
            counted=facts.metrics(self.stack),
            deaths=self.deaths - self.killer.killed["outcomes"],
            record_deaths=self.killer.killed["record"],
            dispatcher_deaths=self.killer.killed["processor"],
            lost_answers=self.lost_answers or faults.lost_answers(self.plan),
            broken_batches=facts.broken_batches(self.stack),
        )

    def table(self, found: Facts, verdict: Verdict) -> Table:
        """Lay the figures out."""
        table = Table(title=f"{len(self.orders)} orders, seed {self.seed}", show_header=False)
        table.add_column(style="bold")
        table.add_column()
        for name, value in self._rows(found, verdict):
            table.add_row(name, value)
        return table

    def _rows(self, found: Facts, verdict: Verdict) -> Iterator[tuple[str, str]]:
        yield "order events published", str(len(self.published))
        yield "distinct orders", _counts(Counter(order.kind for order in self.orders))
        yield (
            "mails",
            f"{sum(map(len, found.mails.values()))} taken, {len(found.inbox)} in the inbox",
        )
        for name, orders_ in verdict.wrong.items():
            yield name, str(len(orders_))
        yield "duplicates, flagged", str(verdict.extra)
        yield "in doubt, settled", f"{verdict.by_event} by event, {verdict.by_resend} by re-send"
        yield "statuses", _counts(verdict.statuses)
        yield "outcome never told", _counts(verdict.untold)
        yield (
            "metrics",
            ", ".join(f"{m.removeprefix('Email')} {c}" for m, c in verdict.metrics.items()),
        )
        tellings = verdict.tellings
        yield (
            "outcomes",
            (
                f"{len(tellings.once)} told, {tellings.repeated} repeated, {tellings.late} out of order, "
                f"{len(verdict.wrong[MISSING])} missing"
            ),
        )
        reasons = Counter(letter.reason or "moved by SQS" for letter in found.letters)
        yield "dead letters, orders", f"{_counts(reasons)}; {self.operator.redriven} redriven"
        yield "dead letters, events", str(len(found.unread))
        yield "dead letters, outcomes", f"{self.operator.retold}, told again"
        yield from self._faults()
        here, emulator = (size / 2**20 for size in self.most_memory)
        yield "memory", f"{here:.0f} MiB here, {emulator:.0f} MiB in the emulator"
        yield "seconds", f"{self.seconds:.0f}"

    def _faults(self) -> Iterator[tuple[str, str]]:
        ses = self.stack.ses("stats")
        calls = max(1, ses["calls"])
        errors = (ses["errors_before"] + ses["errors_after"]) / calls
        yield (
            "SES calls",
            (
                f"{ses['calls']}: {ses['throttled'] / calls:.0%} throttled, "
                f"{ses['answers_dropped'] / calls:.1%} answers lost, {errors:.1%} 5xx"
            ),
        )
        yield "GetAccount throttled", str(ses["account_throttled"])
        yield (
            "SES events",
            (
                f"{ses['events_published']} published, {ses['events_repeated']} repeated, "
                f"{ses['events_lost']} lost"
            ),
        )
        proxy = fetch(f"{self.plan.faults_url}/_microburst/stats")
        yield (
            "other faults",
            _counts({one["service"]: one["faulted"] for one in proxy["by_service"]}),
        )
        yield "late calls", f"{proxy['late']}, of which {proxy['late_done']} were done"
        yield "killed", _counts(self.killer.killed)
        yield "faults never seen", ", ".join(sorted(self.unseen)) or "none"


def _counts(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {number}" for name, number in ordered if number) or "none"


def run(plan: Plan, *, count: int, seed: int, say: Console) -> Verdict:
    """Break everything, publish, wait, and print the table and every order of which a promise is broken."""
    stack = RunningStack(plan)
    with subscribed(stack) as shop:
        one = Run(stack, shop, count=count, seed=seed, say=say)
        one.break_everything()
        try:
            say.print(f"· publishing {len(one.published)} events of {count} orders")
            one.publish()
            unfinished = one.wait()
        finally:
            one.stop()
        found = one.facts(unfinished)
    verdict = judge(found)
    say.print(one.table(found, verdict))
    for what, orders_ in verdict.wrong.items():
        for order in orders_[:SHOWN]:
            say.print(f"[red]{what}[/]: {order}", soft_wrap=True)
    return verdict
