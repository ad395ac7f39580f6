"""`make costs`: what the system costs at list price, from usage counted in a local run.

    python -m infra.local.costs            prints the table from `steps/reports/usage.json`
    python -m infra.local.costs count 200  sends 200 orders through the running stack, counts what they
                                           used, and writes it into `steps/reports/usage.json`

Counted are requests, billed milliseconds, executions and log bytes. What the laptop's AWS does not
meter is derived and named so in `DERIVED`. A machine that is busy bills more milliseconds than AWS would;
its counts are right all the same.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from infra.local.programs import Plan
from infra.local.running_stack import Json, RunningStack
from infra.local.settings import LocalSettings
from statemachines.order_workflow import Steps
from steps.contract import limits
from steps.reports import list_prices

VOLUMES = {"60,000 a month": 60_000, "1,000,000 a day": 30_000_000, "10,000,000 a day": 300_000_000}

ORDER_PATH = ("processor", *Steps.names(), "feedback")
OUTCOMES = "outcomes for the shop"
RECONCILIATION = "nightly reconciliation"
CANARY = "canary"

BILLED = re.compile(r"^REPORT .*Billed Duration: (\d+) ms")

LOG_EVENT_OVERHEAD = 26
"""Bytes that CloudWatch Logs counts for each event beside its text (PutLogEvents, API Reference)."""

EXPRESS_MEMORY_GB = 64 / 1024
EXPRESS_MS = 100
"""Express executions are billed in steps of 64 MB and 100 ms."""

DERIVED = {
    "writeUnits": "nine of the ledger, see steps/ledger/README.md, and at most one for the sending slot"
    "; a delayed mail's four more, two of them OverdueIndex's, are rounded off",
    "readUnits": "one strongly consistent read for each SES event",
    "snsPublishes": "the order's event, and what SES publishes"
    "; of outcomes, ten to a request, and the last request of an invocation with one alone",
    "sqsRequests": "SNS's deliveries, and one receive and one delete for each batch",
    "xrayTraces": "X-Ray's default sampling of 5%",
    "perCanary": "besides a mail's: one run of email-canary, as twenty warm ones took, and two of"
    " email-outcomes that tell nothing; each traced",
    "logGb": "Lambda's lines as logged; the workflow's from its history, which the laptop does not log",
    "reconciliation": "90 nights of an index entry of 0.25 KB: readUnits, half a unit for 4 KB"
    "; lambdaGbSeconds, ten pages of 1 MB a second in 256 MB"
    "; standardTransitions, 34 a night and two for each further call of four minutes",
}
WRITE_UNITS = 10

SETTLED = 15.0
"""Seconds without a delivery after which no more is expected."""
ALONE = 10
"""Orders whose outcomes are told alone."""
PAUSE = limits.OUTCOME_WINDOW + 1.0
"""Seconds after a delivery until its outcome has been told."""


class Used(NamedTuple):
    """What some function used."""

    calls: int
    gb_seconds: float
    log_bytes: int


def measure(stack: RunningStack, mails: int) -> Json:
    """Send `mails` orders through the running stack; return what each used, as `usage.json` has it."""
    since = datetime.now(UTC)
    run = f"COST-{since:%H%M%S}-"
    events_before = stack.ses("stats")["events_published"]
    for n in range(mails):
        publish(stack, f"{run}{n}")
    delivered, before = 0, -1
    while delivered < mails and delivered != before:
        time.sleep(SETTLED)
        before = delivered
        ours = [r for r in stack.all_records() if r["orderId"].startswith(run)]
        delivered = sum(r["status"] == "DELIVERED" for r in ours)
    # What was counted is divided by the mails that it was for.
    events = stack.ses("stats")["events_published"] - events_before
    used = {k: v / delivered for k, v in count(stack, since, events).items()}
    used["snsPublishes"] += 1
    used["sqsRequests"] += 1
    used["writeUnits"] = WRITE_UNITS
    used["xrayTraces"] = 0.05
    together = used_by(stack, "outcomes", since)
    told = outcomes(measure_alone(stack), together, delivered)
    return {
        "perMail": _rounded(used),
        "outcomesPerMail": {how: _rounded(each) for how, each in told.items()},
    }


def measure_alone(stack: RunningStack) -> Used:
    """Send a few orders with a pause after each; return what telling their outcomes used."""
    since = datetime.now(UTC)
    for n in range(ALONE):
        publish(stack, order_id := f"COST-{since:%H%M%S}-ALONE-{n}")
        stack.wait_for_status(order_id, "DELIVERED")
        time.sleep(PAUSE)
    return used_by(stack, "outcomes", since)


def publish(stack: RunningStack, order_id: str) -> None:
    """Publish an ordinary order."""
    event = json.loads((Path(__file__).with_name("samples") / "1-first-order.json").read_text())
    stack.publish(json.dumps(event | {"orderId": order_id}))


def _rounded(used: dict[str, float]) -> dict[str, str]:
    return {name: f"{amount:.3g}" for name, amount in used.items()}


def count(stack: RunningStack, since: datetime, events: int) -> dict[str, float]:
    """Return what the order path used since a moment, by the names of `steps/reports/prices.json`.

    `events`: how many SES published meanwhile.
    """
    used = {step: used_by(stack, step, since) for step in ORDER_PATH}
    executions = [e for e in stack.executions() if e["startDate"] >= since]
    log_bytes = sum(u.log_bytes for u in used.values()) + _history_bytes(stack, executions)
    return {
        "lambdaRequests": sum(u.calls for u in used.values()),
        "lambdaGbSeconds": sum(u.gb_seconds for u in used.values()),
        "expressRequests": len(executions),
        "expressGbHours": _gb_hours(executions),
        "logGb": log_bytes / 1e9,
        "readUnits": events,
        "snsPublishes": events,
        "sqsRequests": 2 * (used["processor"].calls + used["feedback"].calls) + events,
    }


def used_by(stack: RunningStack, function: str, since: datetime) -> Used:
    """Return what a function (`send`, `outcomes`, ...) used since a moment."""
    name = stack.name(f"email-{function}")
    configuration = stack.client("lambda").get_function_configuration(FunctionName=name)
    lines = stack.log_lines(f"email-{function}", startTime=int(since.timestamp() * 1000))
    billed = [int(report[1]) for line in lines if (report := BILLED.search(line))]
    return Used(
        calls=len(billed),
        gb_seconds=sum(billed) / 1000 * configuration["MemorySize"] / 1024,
        # AWS does not write the platform's own lines at the log level that the app sets.
        log_bytes=sum(
            len(line.encode()) + LOG_EVENT_OVERHEAD
            for line in lines
            if not line.startswith(("START ", "END ", "REPORT "))
        ),
    )


def outcomes(alone: Used, together: Used, mails: float) -> dict[str, dict[str, float]]:
    """Return what telling a mail's outcomes takes: `alone`, and `together` with those of many others.

    Alone, each has an invocation and a request to SNS, whatever was counted. An invocation for many makes at
    most one request for each ten of them, and another one for the rest.
    """
    told, most = list_prices.OUTCOMES_PER_MAIL, limits.OUTCOMES_PER_PUBLISH
    return {
        "alone": {
            "lambdaRequests": told,
            "lambdaGbSeconds": told * alone.gb_seconds / alone.calls,
            "snsPublishes": told,
            "logGb": told * alone.log_bytes / alone.calls / 1e9,
        },
        "together": {
            "lambdaRequests": together.calls / mails,
            "lambdaGbSeconds": together.gb_seconds / mails,
            "snsPublishes": told / most + together.calls / mails * (1 - 1 / most),
            "logGb": together.log_bytes / mails / 1e9,
        },
    }


def _gb_hours(executions: list[Json]) -> float:
    billed: int = sum(
        math.ceil((e["stopDate"] - e["startDate"]).total_seconds() * 1000 / EXPRESS_MS)
        for e in executions
    )
    return billed * EXPRESS_MS / 1000 / 3600 * EXPRESS_MEMORY_GB


def _history_bytes(stack: RunningStack, executions: list[Json]) -> float:
    """Estimate from twenty executions what all would log; each logged event names its execution."""
    sample = executions[-20:]
    size = sum(
        len(json.dumps(_without_data(event), default=str))
        + LOG_EVENT_OVERHEAD
        + len(f'"execution_arn":"{execution["executionArn"]}",')
        for execution in sample
        for event in stack.history(execution["executionArn"])
    )
    return size / max(len(sample), 1) * len(executions)


def _without_data(event: Json) -> Json:
    return {
        k: _without_data(v) if isinstance(v, dict) else v
        for k, v in event.items()
        if k not in ("input", "output", "parameters")
    }


def table() -> Table:
    """Lay the costs out: one column a volume, one row a service."""
    shown = Table(title=f"USD a month at list prices of {list_prices.prices()['date']}")
    shown.add_column("service")
    columns = {
        title: list_prices.month(mails, outcome_events=False, canary_runs=0, reconciled=False)
        | {
            OUTCOMES: sum(list_prices.outcomes(mails).values(), Decimal(0)),
            CANARY: sum(list_prices.canaries().values(), Decimal(0)),
            RECONCILIATION: sum(list_prices.reconciliation(mails).values(), Decimal(0)),
        }
        for title, mails in VOLUMES.items()
    }
    for title in columns:
        shown.add_column(title, justify="right")
    services = sorted({s for column in columns.values() for s in column})
    services.sort(key=lambda s: -columns["10,000,000 a day"].get(s, Decimal(0)))
    for service in services:
        title = "SES a la carte (the floor)" if service == "SES" else service
        shown.add_row(title, *(f"{c.get(service, Decimal(0)):,.2f}" for c in columns.values()))
    totals = {title: sum(c.values(), Decimal(0)) for title, c in columns.items()}
    shown.add_row("all", *(f"{total:,.2f}" for total in totals.values()), style="bold")
    free = [
        sum(list_prices.month(m, free_tiers=True).values(), Decimal(0)) for m in VOLUMES.values()
    ]
    shown.add_row("all, less the always-free tiers", *(f"{total:,.2f}" for total in free))
    shown.add_row(
        "per 1,000 mails",
        *(f"{total / VOLUMES[title] * 1000:.4f}" for title, total in totals.items()),
    )
    return shown


def markdown() -> str:
    """Return the same table as the README has it."""
    shown = table()
    rows = [[str(cell) for cell in column.cells] for column in shown.columns]
    head = "| " + " | ".join(str(column.header) for column in shown.columns) + " |"
    lines = [head, "|---|" + "---:|" * (len(rows) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in zip(*rows, strict=True))])


def main() -> int:
    """Print the table; with `count N`, count first."""
    if sys.argv[1:2] == ["count"]:
        plan = Plan.find(LocalSettings.read().state_dir)
        if plan is None:
            print("make costs: no local stack runs; `make up` starts one", file=sys.stderr)
            return 1
        mails = int(sys.argv[2])
        data = list_prices.usage() | {
            "date": datetime.now(UTC).date().isoformat(),
            "source": f"counted in a local run of {mails} orders; derived: " + "; ".join(
                f"{name} ({why})" for name, why in DERIVED.items()
            ),
            **measure(RunningStack(plan), mails),
        }  # fmt: skip
        path = Path(list_prices.__file__).with_name("usage.json")
        path.write_text(json.dumps(data, indent=2) + "\n")
        list_prices.usage.cache_clear()
    console = Console(width=100)
    console.print(table())
    console.print(f"per mail: {list_prices.usage()['perMail']}")
    console.print(f"a mail's outcomes: {list_prices.usage()['outcomesPerMail']}")
    console.print(f"from: {list_prices.usage()['source']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
