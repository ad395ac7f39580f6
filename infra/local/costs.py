"""`make costs`: what the system costs at list price, from usage counted in a local run.

    python -m infra.local.costs            prints the table from `steps/reports/usage.json`
    python -m infra.local.costs count 200  sends 200 orders through the running stack, counts what they
                                           used, and writes it into `steps/reports/usage.json`

Counted are requests, billed milliseconds, executions and log bytes. What the laptop's AWS does not
meter is derived and named so in `DERIVED`.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.local.programs import Plan
from infra.local.running_stack import Json, RunningStack
from infra.local.settings import LocalSettings
from statemachines.order_workflow import Steps
from steps.contract.metrics import Metric
from steps.reports import list_prices

VOLUMES = {"60,000 a month": 60_000, "1,000,000 a day": 30_000_000, "10,000,000 a day": 300_000_000}

ORDER_PATH = ("processor", *Steps.names(), "feedback")

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
    "snsPublishes": "the order's event, and what SES publishes: each invocation of email-feedback",
    "sqsRequests": "SNS's delivery, and one receive and one delete for each batch",
    "xrayTraces": "X-Ray's default sampling of 5%",
    "logGb": "Lambda's lines as logged; the workflow's from its history, which the laptop does not log",
}
WRITE_UNITS = 10

SETTLED = 15.0
"""Seconds without a delivery after which no more is expected."""


def measure(stack: RunningStack, mails: int) -> dict[str, str]:
    """Send `mails` orders through the running stack and return what each used."""
    since = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    time.sleep((since - datetime.now(UTC)).total_seconds())  # Metrics are summed by the minute.
    event = json.loads((Path(__file__).with_name("samples") / "1-first-order.json").read_text())
    for n in range(mails):
        stack.publish(json.dumps(event | {"orderId": f"COST-{since:%H%M}-{n}"}))
    delivered, before = 0.0, -1.0
    while delivered < mails and delivered != before:
        time.sleep(SETTLED)
        before = delivered
        delivered = stack.counted(Metric.DELIVERED, since, datetime.now(UTC))
    # What was counted is divided by the mails that it was for.
    used = {k: Decimal(repr(v / delivered)) for k, v in count(stack, since).items()}
    used["snsPublishes"] += 1
    used["sqsRequests"] += 1
    used["writeUnits"] = Decimal(WRITE_UNITS)
    used["xrayTraces"] = Decimal("0.05")
    return {k: f"{float(v):.3g}" for k, v in used.items()}


def count(stack: RunningStack, since: datetime) -> dict[str, float]:
    """Return what the order path used since a moment, by the names of `steps/reports/prices.json`."""
    calls: dict[str, int] = {}
    gb_seconds, log_bytes = 0.0, 0
    functions = stack.client("lambda")
    for step in ORDER_PATH:
        name = stack.name(f"email-{step}")
        memory = functions.get_function_configuration(FunctionName=name)["MemorySize"]
        lines = stack.log_lines(f"email-{step}", startTime=int(since.timestamp() * 1000))
        billed = [int(report[1]) for line in lines if (report := BILLED.search(line))]
        calls[step] = len(billed)
        gb_seconds += sum(billed) / 1000 * memory / 1024
        # AWS does not write the platform's own lines at the log level that the app sets.
        log_bytes += sum(
            len(line.encode()) + LOG_EVENT_OVERHEAD
            for line in lines
            if not line.startswith(("START ", "END ", "REPORT "))
        )
    executions = [e for e in stack.executions() if e["startDate"] >= since]
    return {
        "lambdaRequests": sum(calls.values()),
        "lambdaGbSeconds": gb_seconds,
        "expressRequests": len(executions),
        "expressGbHours": _gb_hours(executions),
        "logGb": (log_bytes + _history_bytes(stack, executions)) / 1e9,
        "readUnits": calls["feedback"],
        "snsPublishes": calls["feedback"],
        "sqsRequests": 2 * calls["processor"],
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
    columns = {title: list_prices.month(mails) for title, mails in VOLUMES.items()}
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
            "perMail": measure(RunningStack(plan), mails),
        }  # fmt: skip
        path = Path(list_prices.__file__).with_name("usage.json")
        path.write_text(json.dumps(data, indent=2) + "\n")
        list_prices.usage.cache_clear()
    console = Console(width=100)
    console.print(table())
    console.print(f"per mail: {list_prices.usage()['perMail']}")
    console.print(f"from: {list_prices.usage()['source']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
