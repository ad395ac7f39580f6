"""What a month of mails uses: every line with its amount, how that was found, and in words by which formula.

Four ways, the best first: `counted` in the local run, `metered` there by DynamoDB's billing rules, `modelled`
by a formula over what was counted, `priced`, where AWS's price list alone decides. Where AWS's documents leave
a choice, the dearer reading is taken. The month has 30 days, and mails come evenly: at busy hours batches are
larger than here.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.local import capacity
from statemachines.order_workflow import Steps
from steps.contract import limits
from steps.reports import list_prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COUNTED, METERED, MODELLED, PRICED = "counted", "metered", "modelled", "priced"

DAYS = 30
SECONDS = DAYS * 24 * 60 * 60
GB = 1_000_000_000
"""Bytes. Where AWS means 2 to the 30th, this is the dearer reading."""

FULL_CPU_MB = 1769
"""The memory at which a function has one vCPU, of which it has less in proportion below (Lambda Developer
Guide, "Configure Lambda function memory")."""
LEAST_POLLERS = 5
"""Pollers that Lambda has at least on an SQS queue whose function is limited (same guide, "Configuring scaling
behavior")."""
UNLIMITED_POLLERS = 2
"""Likewise on an idle one, where nothing limits the function."""
SHARDS = 4
"""Of the table's stream: one for each of the partitions that a new on-demand table begins with, 4,000 writes a
second at 1,000 each (DynamoDB Developer Guide, "On-demand capacity mode", "Partitions")."""
POLLS = SECONDS // 20
"""Requests of a poll that is open all month: each waits for 20 seconds."""
PEAK, LEAST_RATE = 4, 14
"""How many times the month's even rate an account is taken to be permitted, and at least, in mails a second:
what many new accounts have."""
ASKED = 60
"""Seconds between two questions for the send rate, where orders are not alone."""
EXPRESS_MS, EXPRESS_GB = 100, 64 / 1024
COMPRESSED = 0.15
"""What is left of a log in store (CloudWatch's price list, "archival")."""
LOG_MONTHS = 90 / DAYS
RECORD_MONTHS = (limits.RECORD_TTL / limits.DAY + 2) / DAYS
"""DynamoDB deletes what has expired "within a few days"."""
UTILISED = 0.7
"""Of provisioned capacity, autoscaling's target."""
TOLD = 2
"""Outcomes of an ordinary mail: SENT and DELIVERED."""
RENEWALS = 24 * DAYS
"""Times a month that an environment begins anew: once an hour, where Lambda says "every few hours"."""

ORDER_PATH = ("processor", *Steps.names(), "feedback")
SMALL = 60_000
VOLUMES = {"60,000 a month": SMALL, "1,000,000 a day": 30_000_000, "10,000,000 a day": 300_000_000}

OTHERS = "others"
"""Stands for all functions that are not named."""
OUTCOMES, RECONCILIATION, CANARY = "outcomes for the shop", "nightly reconciliation", "canary"
IDLE = "schedules"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What of the settings a month's cost depends on.

    memory: MB by function, of all others `OTHERS`. tracing_rate: the share of mails that have a trace.
    concurrency: dispatchers at most. idle_polls: of both queues, which Lambda keeps open while nothing comes.
    slower_ms: by how much each function waits longer for AWS than on the laptop. provisioned: on paper, no
    setting of the app.
    """

    memory: Mapping[str, int] = field(default_factory=lambda: {OTHERS: 256})
    workflow_log_level: str = "ALL"
    tracing_rate: float = 1.0
    dispatcher_window: int = 0
    dispatcher_batch: int = 10
    feedback_window: int = 2
    feedback_batch: int = 10
    concurrency: int = 5
    idle_polls: int = 10
    outcome_events: bool = True
    canary_minutes: int = 60
    slower_ms: int = 0
    provisioned: bool = False

    @classmethod
    def deployed(cls, usage: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings of the stack that was counted."""
        known = (usage or list_prices.usage())["deployed"]
        return cls(**known)

    def mb(self, function: str) -> int:
        """Return a function's memory."""
        return self.memory.get(function, self.memory[OTHERS])


def idle_polls(*concurrency: int | None) -> int:
    """Return how many polls Lambda keeps open on idle queues whose functions are so many at once at most.

    Where nothing limits them there are "as few as 2" (same guide, "Configuring scaling behavior").
    """
    return sum(LEAST_POLLERS if most else UNLIMITED_POLLERS for most in concurrency)


class Line(NamedTuple):
    """One use of one unit in a month.

    row: where the table has it. unit: as in `prices.json`, or `mails`, which SES takes. how: one of the four
    ways. words: what was counted, or the formula.
    """

    row: str
    unit: str
    amount: float
    how: str
    words: str


class Month:
    """A month of `mails` at a settings' rate, from what was counted."""

    def __init__(
        self, mails: int, settings: Settings | None = None, usage: Mapping[str, Any] | None = None
    ) -> None:
        self.usage = usage or list_prices.usage()
        self.settings = settings or Settings.deployed(self.usage)
        self.mails = mails
        self.alone = self.usage["alone"]
        self.events = float(self.alone["sesEvents"])
        rate, chosen = mails / SECONDS, self.settings
        self.dispatcher_batch = self._polled(
            rate, chosen.dispatcher_window, chosen.dispatcher_batch, busy="processor"
        )
        self.feedback_batch = self._polled(
            rate * self.events, chosen.feedback_window, chosen.feedback_batch, busy="feedback"
        )
        self.outcome_batch = min(
            limits.OUTCOME_BATCH, 1 + TOLD * rate * limits.OUTCOME_WINDOW / SHARDS
        )

    def lines(self) -> list[Line]:
        """Return all that the month uses."""
        beside = [*self._starts(), *self._canaries(), *self._idle()]
        found = [*self.of_mails(), *beside]
        return self._on_provisioned_capacity(found) if self.settings.provisioned else found

    def of_mails(self) -> list[Line]:
        """Return what the mails use, without what an idle system does."""
        return [
            Line("SES a la carte (the floor)", "mails", self.mails, PRICED, "each mail"),
            *self._functions(),
            *self._workflow(),
            *self._table(),
            *self._queues(),
            *self._logs(),
            *self._traces(),
            *self._outcomes(),
            *self._reconciliation(),
        ]

    # --- batches ----------------------------------------------------------------------------------

    def _polled(self, rate: float, window: int, most: int, *, busy: str) -> float:
        """Return how many messages an invocation gets, of `rate` a second.

        One begins a batch; in the window come those that this poller gets of all. Only where all are at work
        does more wait than that.
        """
        pollers = max(LEAST_POLLERS, self.settings.concurrency)
        waiting = rate * self._alone_ms(busy) / 1000 / self.settings.concurrency
        return min(most, max(1 + rate * window / pollers, waiting))

    def invocations(self, function: str) -> float:
        """Return a function's invocations for one mail."""
        batches = {
            "processor": 1 / self.dispatcher_batch,
            "feedback": self.events / self.feedback_batch,
            "outcomes": TOLD / self.outcome_batch,
        }
        return batches.get(function, 1.0)

    # --- time -------------------------------------------------------------------------------------

    def stretch(self, function: str) -> float:
        """Return how much longer a function's CPU time takes with its share of a vCPU."""
        return max(1.0, FULL_CPU_MB / self.settings.mb(function))

    def _gb_seconds(self, function: str, ms: float) -> float:
        return ms / 1000 * self.settings.mb(function) / 1024

    def cpu_ms(self, function: str) -> float:
        """Return a function's CPU time for one mail, as on the machine that counted.

        A larger batch is taken to save none; where there are more invocations than were counted, there is more.
        """
        ran = self.alone["functions"][function]
        more = self.invocations(function) / float(ran["invocations"])
        return float(ran["cpuMs"]) * max(1.0, more)

    def waiting_ms(self, function: str) -> float:
        """Return the time for one mail in which a function waits.

        The dispatcher waits for its batch's executions side by side, with what they take longer on Lambda;
        feedback for one event after the other; outcomes' function for each request to SNS.
        """
        ran = {name: float(amount) for name, amount in self.alone["functions"][function].items()}
        each = max(ran["ms"] - ran["cpuMs"], 0.0) / ran["invocations"]
        if function == "processor":
            return (each + self._longer_ms()) * self.invocations(function)
        calls = {"feedback": self.events, "outcomes": self.outcome_requests()}.get(function, 1.0)
        return (each + self.settings.slower_ms) * calls

    def outcome_requests(self) -> float:
        """Return the requests for a mail's outcomes: ten in one, and an invocation's last with one alone."""
        most = limits.OUTCOMES_PER_PUBLISH
        return min(TOLD, TOLD / most + self.invocations("outcomes") * (1 - 1 / most))

    def billed_ms(self, function: str) -> float:
        """Return what Lambda bills of a function for one mail."""
        return self.waiting_ms(function) + self.cpu_ms(function) * self.stretch(function)

    def gb_seconds(self, function: str) -> float:
        """Return the same in GB-seconds."""
        return self._gb_seconds(function, self.billed_ms(function))

    def _longer_ms(self) -> float:
        """Return by how much an execution takes longer on Lambda than on the machine that counted."""
        return sum(
            float(self.alone["functions"][step]["cpuMs"]) * (self.stretch(step) - 1)
            + self.settings.slower_ms
            for step in Steps.names()
        )

    def _alone_ms(self, function: str) -> float:
        ran = self.alone["functions"][function]
        longer = self._longer_ms() if function == "processor" else 0.0
        stretched = float(ran["ms"]) + float(ran["cpuMs"]) * (self.stretch(function) - 1)
        return stretched / float(ran["invocations"]) + longer

    def _starts(self) -> list[Line]:
        """Return what environments take that begin anew: as many as are at work at once, at least one."""
        path = [*ORDER_PATH, *(["outcomes"] if self.settings.outcome_events else [])]
        seconds = 0.0
        for function in path:
            at_once = self.mails / SECONDS * self.billed_ms(function) / 1000
            ms = RENEWALS * max(1.0, at_once) * self._start_ms(function)
            seconds += self._gb_seconds(function, ms)
        words = "each environment begins anew once an hour"
        return [Line("Lambda: time", "lambdaGbSeconds", seconds, MODELLED, words)]

    def _start_ms(self, function: str) -> float:
        """Return what the first invocation takes, its start included; it waits as long as any other."""
        known = self.alone["functions"].get(function) or self.usage[function]
        waits = max(float(known["ms"]) - float(known["cpuMs"]), 0.0) / float(known["invocations"])
        return waits + float(self.usage["start"][function]["cpuMs"]) * self.stretch(function)

    # --- the order path ---------------------------------------------------------------------------

    def _functions(self) -> list[Line]:
        return [
            Line(
                "Lambda: requests",
                "lambdaRequests",
                self.mails * sum(map(self.invocations, ORDER_PATH)),
                MODELLED,
                "the five steps of each mail; a dispatcher and a feedback for each batch: one message, and"
                " what a poller gets in the window of rate / pollers",
            ),
            Line(
                "Lambda: time",
                "lambdaGbSeconds",
                self.mails * sum(map(self.gb_seconds, ORDER_PATH)),
                MODELLED,
                "counted one by one: what a function waits, and its CPU time as long as it takes with"
                " memory / 1,769 MB of a vCPU; the dispatcher waits for the execution",
            ),
        ]

    def _workflow(self) -> list[Line]:
        ran = {name: float(amount) for name, amount in self.alone["workflow"].items()}
        longer = self._longer_ms() + EXPRESS_MS / 2
        hours = (ran["ms"] + longer) / 1000 / 3600 * EXPRESS_GB
        return [
            Line(
                "Step Functions",
                "expressRequests",
                self.mails * ran["executions"],
                COUNTED,
                "executions",
            ),
            Line(
                "Step Functions",
                "expressGbHours",
                self.mails * hours,
                MODELLED,
                "an execution's time as counted, what its steps take longer on Lambda, half a step of 100 ms"
                " for rounding up, in 64 MB",
            ),
        ]

    def units(self, kind: str) -> dict[str, float]:
        """Return a mail's `writeUnits` or `readUnits` of the table and each index."""
        taken: dict[str, float] = defaultdict(float)
        for function, units in self.alone[kind].items():
            share = self.invocations(function) if function == "processor" else 1.0
            for where, amount in units.items():
                taken[where] += float(amount) * share
        return dict(taken)

    def reserving(self) -> float:
        """Return the share of batches that reserve their slots with a write.

        One of C dispatchers does where it began another within 2 C / R seconds, at R mails a second; mails come
        by chance.
        """
        rate = self.mails / SECONDS
        return 1 - math.exp(-2 * rate / max(PEAK * rate, LEAST_RATE))

    def _table(self) -> list[Line]:
        stored = {where: float(size) for where, size in self.alone["stored"].items()}
        months = self.mails * RECORD_MONTHS
        every = sum(size + capacity.ENTRY_OVERHEAD for size in stored.values())
        return [
            *(
                Line(
                    "DynamoDB: requests",
                    kind,
                    self.mails * sum(self.units(kind).values()),
                    METERED,
                    "one by one, by table and index; the dispatcher's once a batch",
                )
                for kind in ("writeUnits", "readUnits")
            ),
            Line(
                "DynamoDB: requests",
                "writeUnits",
                self.mails * self.reserving() / self.dispatcher_batch,
                MODELLED,
                "a write for the slots of a batch whose dispatcher began another a moment ago, see"
                " steps/ledger/README.md; the account may send four times the month's even rate",
            ),
            Line(
                "DynamoDB: storage, recovery",
                "storedGbMonths",
                months * every / GB,
                MODELLED,
                "a delivered record and its index entries, 100 bytes more for each, for 92 days",
            ),
            Line(
                "DynamoDB: storage, recovery",
                "recoveryGbMonths",
                months * (stored["table"] + capacity.ENTRY_OVERHEAD) / GB,
                MODELLED,
                "the record alone, for as long",
            ),
        ]

    def _queues(self) -> list[Line]:
        polled = self.invocations("processor") + self.invocations("feedback")
        return [
            Line(
                "SNS",
                "snsPublishes",
                self.mails * (1 + self.events),
                COUNTED,
                "the order, and what SES publishes",
            ),
            Line(
                "SQS",
                "sqsRequests",
                self.mails * (1 + self.events + 2 * polled),
                MODELLED,
                "each delivery of SNS's, as if SQS billed it like a request of ours, which no page of AWS's"
                " denies; a receive and a delete for each batch",
            ),
        ]

    def _fewer(self, function: str) -> float:
        """Return which share of the invocations that were counted one by one remains in batches."""
        ran = float(self.alone["functions"][function]["invocations"])
        return min(1.0, self.invocations(function) / ran)

    def log_gb(self) -> float:
        """Return what a mail's functions and its workflow log, in GB."""
        functions = sum(
            float(ran["logBytes"]) * (self._fewer("feedback") if name == "feedback" else 1.0)
            for name, ran in self.alone["functions"].items()
            if name != "outcomes"
        )
        return (functions + self._workflow_log()) / GB

    def _workflow_log(self) -> float:
        level = self.settings.workflow_log_level
        known = "ERROR" if level == "FATAL" else level
        return float(self.alone["workflow"].get(f"logBytes{known}", 0))

    def _logs(self) -> list[Line]:
        functions = self.log_gb() * GB - self._workflow_log()
        kept = "15% of the bytes for 90 days"
        return [
            Line(
                "CloudWatch: logs",
                "logGb",
                self.mails * functions / GB,
                COUNTED,
                "the functions' lines, 26 bytes more for each; feedback has one for all metrics of a batch",
            ),
            Line(
                "CloudWatch: logs",
                "logGb",
                self.mails * self._workflow_log() / GB,
                MODELLED,
                "the counted events of an execution, written as AWS writes them, 26 bytes more for each",
            ),
            Line(
                "CloudWatch: logs",
                "logGbMonths",
                self.mails * self.log_gb() * COMPRESSED * LOG_MONTHS,
                MODELLED,
                kept,
            ),
        ]

    def _traces(self) -> list[Line]:
        """The dispatcher decides for each execution; nothing else begins a trace."""
        recorded = self.mails * self.settings.tracing_rate
        words = f"one for {self.settings.tracing_rate:.0%} of the executions"
        return [Line("X-Ray", "xrayTraces", recorded, MODELLED, words)]

    # --- what comes beside ------------------------------------------------------------------------

    def _outcomes(self) -> list[Line]:
        if not self.settings.outcome_events:
            return []
        return [
            Line(
                OUTCOMES,
                "lambdaRequests",
                self.mails * self.invocations("outcomes"),
                MODELLED,
                "two outcomes; an invocation has one, and those of a second in one of four shards",
            ),
            Line(
                OUTCOMES,
                "lambdaGbSeconds",
                self.mails * self.gb_seconds("outcomes"),
                MODELLED,
                "as the order path's",
            ),
            Line(
                OUTCOMES,
                "snsPublishes",
                self.mails * self.outcome_requests(),
                MODELLED,
                "ten to a request, and the last request of an invocation with one alone",
            ),
        ]

    def _reconciliation(self) -> list[Line]:
        """90 nights, each of which reads the mail's entry in OrderIdIndex."""
        scan = self.usage["modelled"]["reconciliation"]
        read = (
            self.mails
            * limits.RECORD_TTL
            / limits.DAY
            * float(self.alone["stored"]["OrderIdIndex"])
        )
        pages = read / float(scan["pageBytes"])
        seconds = (
            pages * (float(scan["waitMs"]) + float(scan["cpuMs"]) * self.stretch(OTHERS)) / 1000
        )
        calls = seconds / limits.SCAN_BUDGET
        used = {
            "readUnits": (
                read / capacity.READ_UNIT / 2,
                "90 nights of the index entry, half a unit for 4 KB",
            ),
            "lambdaGbSeconds": (
                self._gb_seconds(OTHERS, seconds * 1000),
                f"{scan['waitMs']} ms a page of 1 MB, and {scan['cpuMs']} ms of CPU time",
            ),
            "lambdaRequests": (calls, "a call for four minutes' reading"),
            "standardTransitions": (1.25 * calls, "ten for each further round of eight calls"),
        }
        return [Line(RECONCILIATION, u, n, MODELLED, words) for u, (n, words) in used.items()]

    def _canaries(self) -> list[Line]:
        """Each is a mail that comes alone, a run of its function, and two of outcomes' that tell nothing."""
        minutes = self.settings.canary_minutes
        if not minutes or not self.mails:
            return []
        runs = DAYS * 24 * 60 / minutes
        path = Month(SMALL, self.settings, self.usage).of_mails()
        its_own = self.usage["canary"]
        used = {unit: runs * amount / SMALL for unit, amount in totals(path).items()}
        telling = TOLD * self.settings.outcome_events
        for unit, amount in {
            "lambdaRequests": 1 + telling,
            "lambdaGbSeconds": self._gb_seconds(CANARY, self._start_ms(CANARY)),
            "readUnits": float(its_own["readUnits"]),
            "writeUnits": float(its_own["writeUnits"]),
            "logGb": float(its_own["logBytes"]) / GB,
            "schedulerInvocations": 1,
        }.items():
            used[unit] = used.get(unit, 0.0) + runs * amount
        words = f"{runs:,.0f} mails that come alone; as many runs of a function that begins anew each time"
        return [Line(CANARY, unit, amount, MODELLED, words) for unit, amount in used.items()]

    def _idle(self) -> list[Line]:
        idle: dict[str, dict[str, str]] = self.usage["modelled"]["monthly"]
        ours = max(self._start_ms(function) for function in self.usage["start"])
        runs = float(idle["lambdaRequests"]["amount"])
        nights = self.usage["modelled"]["reconciliation"]["monthly"]
        asked = SECONDS / ASKED * 2 if self.mails > SECONDS else 0.0
        return [
            Line(
                "SQS: idle polling",
                "sqsRequests",
                float(POLLS * self.settings.idle_polls),
                MODELLED,
                f"{self.settings.idle_polls} open polls of two queues, a request of 20 seconds after the other",
            ),
            Line(
                "DynamoDB: requests",
                "writeUnits",
                asked,
                MODELLED,
                "the send rate, asked for once a minute with two writes, where more than a mail a second comes",
            ),
            *(
                Line(each.get("row", IDLE), unit, float(each["amount"]), each["how"], each["words"])
                for unit, each in idle.items()
            ),
            *(
                Line(RECONCILIATION, unit, float(amount), MODELLED, f"{DAYS} nights")
                for unit, amount in nights.items()
            ),
            Line(
                IDLE,
                "lambdaGbSeconds",
                self._gb_seconds(OTHERS, runs * ours),
                MODELLED,
                "each scheduled run begins anew, and takes as long as the slowest first invocation",
            ),
        ]

    # --- on paper ---------------------------------------------------------------------------------

    def _on_provisioned_capacity(self, lines: Iterable[Line]) -> list[Line]:
        """Replace units on demand by hours of capacity, at least one of each for the table and each index."""
        hours = {"writeUnits": "writeCapacityHours", "readUnits": "readCapacityHours"}
        made = [line for line in lines if line.unit not in hours]
        least = len(self.alone["stored"]) * DAYS * 24
        for unit, hour in hours.items():
            taken = sum(line.amount for line in lines if line.unit == unit)
            amount = max(taken / 3600 / UTILISED, least)
            words = "all units of the month, evenly, at autoscaling's target of 70%"
            made.append(Line("DynamoDB: requests", hour, amount, MODELLED, words))
        return made


def totals(lines: Iterable[Line]) -> dict[str, float]:
    """Return the amount of each unit."""
    sums: dict[str, float] = defaultdict(float)
    for line in lines:
        sums[line.unit] += line.amount
    return dict(sums)


def per_mail(usage: Mapping[str, Any]) -> dict[str, str]:
    """Return what a mail uses that comes alone, for `list_prices.overhead`: `perMail` of `usage.json`."""
    used = totals(Month(SMALL, Settings.deployed(usage), usage).of_mails())
    return {unit: f"{used[unit] / SMALL:.3g}" for unit in sorted({*used} - {"mails"})}


# --- money ----------------------------------------------------------------------------------------


def cost(
    lines: Iterable[Line], plan: str = "NONE", *, free_tiers: bool = False
) -> dict[str, Decimal]:
    """Price a month's lines, by row. `free_tiers` takes off what is always free, of the first rows first."""
    left = {
        unit: Decimal(price["alwaysFree"])
        for unit, price in list_prices.prices()["units"].items()
        if free_tiers and "alwaysFree" in price
    }
    costs: dict[str, Decimal] = defaultdict(Decimal)
    used: dict[str, Decimal] = defaultdict(Decimal)
    mails = Decimal(0)
    for line in lines:
        amount = Decimal(repr(line.amount))
        if line.unit == "mails":
            mails += amount
            ses = list_prices.ses_price(int(mails), plan) - list_prices.ses_price(
                int(mails - amount), plan
            )
            costs[line.row] += ses + (list_prices.ses_price(0, plan) if mails == amount else 0)
            continue
        free = min(left.get(line.unit, Decimal(0)), amount)
        left[line.unit] = left.get(line.unit, Decimal(0)) - free
        before = used[line.unit]
        used[line.unit] += amount - free
        price = list_prices.unit_price
        costs[line.row] += price(line.unit, used[line.unit]) - price(line.unit, before)
    return dict(costs)


def total(costs: Mapping[str, Decimal]) -> Decimal:
    """Return the sum of a month's costs."""
    return sum(costs.values(), Decimal(0))


def month_cost(
    mails: int, settings: Settings | None = None, plan: str = "NONE", *, free_tiers: bool = False
) -> Decimal:
    """Return what a month of `mails` costs in all."""
    return total(cost(Month(mails, settings).lines(), plan, free_tiers=free_tiers))


def save(counted: Mapping[str, Any]) -> None:
    """Write `usage.json`: what was counted, what is modelled beside, and what a mail uses of it all."""
    kept = list_prices.usage()
    data = {**kept, **counted, "modelled": kept["modelled"]}
    data["perMail"] = per_mail(data)
    path = Path(list_prices.__file__).with_name("usage.json")
    path.write_text(json.dumps(data, indent=2) + "\n")
    list_prices.usage.cache_clear()
