"""What `make costs` prints: the month's table, its lines, what each setting changes, the other plans of SES."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.table import Table

from infra.config import Config
from infra.function import memory
from infra.local.costs.model import (
    COUNTED,
    DAYS,
    METERED,
    MODELLED,
    ORDER_PATH,
    OTHERS,
    PRICED,
    SMALL,
    VOLUMES,
    Line,
    Month,
    Settings,
    cost,
    idle_polls,
    month_cost,
    total,
)
from steps.reports import list_prices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

LARGE = VOLUMES["1,000,000 a day"]
HOWS = (COUNTED, METERED, MODELLED, PRICED)

EFFECTS: dict[str, dict[str, object]] = {
    "WORKFLOW_LOG_LEVEL=ALL": {"workflow_log_level": "ALL"},
    "WORKFLOW_LOG_LEVEL=ERROR": {"workflow_log_level": "ERROR"},
    "TRACING_RATE=1": {"tracing_rate": 1},
    "TRACING_RATE=0.01": {"tracing_rate": 0.01},
    "TRACING_RATE=0": {"tracing_rate": 0},
    "DISPATCHER_WINDOW_SECONDS=1": {"dispatcher_window": 1},
    "DISPATCHER_WINDOW_SECONDS=5": {"dispatcher_window": 5},
    "feedback's window 10 s": {"feedback_window": 10},
    **{f"all functions of {mb:,} MB": {"memory": {OTHERS: mb}} for mb in (128, 256, 512, 1769)},
    "OUTCOME_EVENTS=false": {"outcome_events": False},
    "CANARY_MINUTES=0": {"canary_minutes": 0},
    "CANARY_MINUTES=5": {"canary_minutes": 5},
    "on paper: provisioned DynamoDB": {"provisioned": True},
    "if each function waits 20 ms longer": {"slower_ms": 20},
}
"""What is changed, one at a time, and the fields of `Settings` that it changes."""


def told(mails: int, settings: Settings | None = None) -> Settings:
    """Return the settings of a shop that says by MAILS_A_DAY how many `mails` of a month it expects."""
    said = Config.from_environment({"MAILS_A_DAY": str(mails // DAYS)}, local=True)
    counted = settings or Settings.deployed()
    return replace(
        counted,
        memory={
            **counted.memory,
            **{
                name: memory("dispatch" if name == "processor" else name, large=said.is_large)
                for name in ORDER_PATH
            },
        },
        workflow_log_level=said.workflow_log_level,
        tracing_rate=float(said.tracing_rate),
        idle_polls=idle_polls(said.dispatcher_concurrency, said.feedback_concurrency),
    )


def large_shop(settings: Settings | None = None) -> Settings:
    """Return the settings that are documented for a large shop, without what is on paper."""
    return replace(told(LARGE, settings), outcome_events=False, tracing_rate=0, dispatcher_window=5)


# --- the month ------------------------------------------------------------------------------------


def month(settings: Settings | None = None) -> Table:
    """Lay the costs out: one column a volume, one row a matter, and how each was found.

    Each volume is that of a shop that says so by MAILS_A_DAY.
    """
    shown = _by_volume(f"USD a month at list prices of {list_prices.prices()['date']}", "service")
    chosen = {title: told(mails, settings) for title, mails in VOLUMES.items()}
    months = {title: Month(mails, chosen[title]).lines() for title, mails in VOLUMES.items()}
    columns = {title: cost(lines) for title, lines in months.items()}
    shown.add_column("how")
    last = list(VOLUMES)[-1]
    rows = sorted({row for column in columns.values() for row in column})
    rows.sort(key=lambda row: -columns[last].get(row, Decimal(0)))
    for row in rows:
        lines = [line for line in months[last] if line.row == row]
        shown.add_row(row, *(_usd(c.get(row, Decimal(0))) for c in columns.values()), hows(lines))
    totals = {title: total(column) for title, column in columns.items()}
    ses = {title: list_prices.ses_price(mails, "NONE") for title, mails in VOLUMES.items()}
    shown.add_row("all", *map(_usd, totals.values()), "", style="bold")
    free = (month_cost(m, chosen[title], free_tiers=True) for title, m in VOLUMES.items())
    shown.add_row("all, less the always-free tiers", *map(_usd, free), "")
    shown.add_row(
        "beside SES, as a multiple of what SES takes",
        *(f"{(totals[title] - ses[title]) / ses[title]:.3f}" for title in totals),
        "",
    )
    shown.add_row("per 1,000 mails", *(f"{totals[t] / VOLUMES[t] * 1000:.4f}" for t in totals), "")
    return shown


def hows(lines: Iterable[Line]) -> str:
    """Name the ways in which lines were found."""
    found = {line.how for line in lines}
    return ", ".join(how for how in HOWS if how in found)


def markdown() -> str:
    """Return the same table as the README has it."""
    shown = month()
    rows = [[str(cell) for cell in column.cells] for column in shown.columns]
    head = "| " + " | ".join(str(column.header) for column in shown.columns) + " |"
    lines = [head, "|---|" + "---:|" * (len(rows) - 2) + "---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in zip(*rows, strict=True))])


def formulas(mails: int = LARGE) -> Table:
    """Lay out every line of a month: its amount, its price, how it was found and in words."""
    shown = Table(title=f"every line, at {mails:,} mails a month", show_lines=False)
    for name in ("row", "unit"):
        shown.add_column(name)
    shown.add_column("a mail", justify="right")
    shown.add_column("USD", justify="right")
    for name in ("how", "in words"):
        shown.add_column(name)
    alike: dict[tuple[str, str, str], list[Line]] = {}
    for line in Month(mails, told(mails)).lines():
        alike.setdefault((line.row, line.how, line.words), []).append(line)
    for (row, how, words), lines in alike.items():
        each = "\n".join(f"{line.amount / mails:.3g}" for line in lines)
        units = "\n".join(line.unit for line in lines)
        shown.add_row(row, units, each, _usd(total(cost(lines))), how, words)
    return shown


def lambda_time() -> Table:
    """Lay out what Lambda bills of each function for one mail."""
    month = Month(SMALL)
    machine = month.usage["machine"]
    shown = Table(
        title=(
            f"Lambda for one mail that comes alone; counted on {machine['cores']}"
            f" cores of {machine['cpu']}, {machine['python']}, {month.usage['date']}"
        )
    )
    shown.add_column("function")
    for name in ("MB", "invocations", "CPU ms", "waits ms", "billed ms", "of it waits", "GB-s"):
        shown.add_column(name, justify="right")
    for function in month.alone["functions"]:
        billed, waits = month.billed_ms(function), month.waiting_ms(function)
        shown.add_row(
            function,
            str(month.settings.mb(function)),
            f"{month.invocations(function):.2f}",
            f"{month.cpu_ms(function):.1f}",
            f"{waits:.1f}",
            f"{billed:.1f}",
            f"{waits / billed:.0%}",
            f"{month.gb_seconds(function):.4f}",
        )
    return shown


def units() -> Table:
    """Lay out the write and read units of one mail, at rest and under overload."""
    usage = list_prices.usage()
    shown = Table(
        title="DynamoDB's units for one mail, by who asks and where: one by one / all at once"
    )
    for name in ("function", "where", "write", "read"):
        shown.add_column(name, justify="right" if name in ("write", "read") else "left")
    kinds = ("writeUnits", "readUnits")
    places = {
        (function, where): None
        for how in ("alone", "together")
        for kind in kinds
        for function, taken in usage[how][kind].items()
        for where in taken
    }

    def amount(how: str, kind: str, function: str, where: str) -> str:
        return str(usage[how][kind].get(function, {}).get(where, "-"))

    for function, where in places:
        cells = (
            f"{amount('alone', kind, function, where)} / {amount('together', kind, function, where)}"
            for kind in kinds
        )
        shown.add_row(function, where, *cells)
    return shown


# --- settings and plans ---------------------------------------------------------------------------


def effects() -> Table:
    """Lay out what each setting changes in a month, alone."""
    shown = _by_volume("what changes, in USD a month: more (+), less (-)", "setting")
    plain = {mails: month_cost(mails, told(mails)) for mails in VOLUMES.values()}
    for name, change in EFFECTS.items():
        changed = {m: replace(told(m), **change) for m in plain}  # type: ignore[arg-type]
        shown.add_row(name, *(f"{month_cost(m, changed[m]) - plain[m]:+,.2f}" for m in plain))
    return shown


def multiples() -> Table:
    """Lay out what is paid beside SES at a million mails a day, as a multiple of what SES takes."""
    shown = Table(title="1,000,000 a day: beside SES, as a multiple of what SES takes a la carte")
    shown.add_column("settings")
    shown.add_column("USD beside SES", justify="right")
    shown.add_column("multiple", justify="right")
    ses = list_prices.ses_price(LARGE, "NONE")
    settings = told(LARGE)
    apart = replace(settings, outcome_events=False)
    unsaid = replace(Settings.deployed(), outcome_events=False)
    for title, usd in {
        "at defaults, MAILS_A_DAY=1000000, outcome events apart": month_cost(LARGE, apart),
        "the same, with outcome events": month_cost(LARGE, settings),
        "without MAILS_A_DAY: all logged, all traced": month_cost(LARGE, unsaid),
        "a large shop's settings": month_cost(LARGE, large_shop()),
        "the same, DynamoDB provisioned on paper": month_cost(
            LARGE, replace(large_shop(), provisioned=True)
        ),
    }.items():
        shown.add_row(title, _usd(usd - ses), f"{(usd - ses) / ses:.4f}")
    return shown


def plans() -> Table:
    """Lay out the months' totals on each plan of SES."""
    shown = _by_volume("all, in USD a month, on SES's plans", "plan")
    for plan, price in list_prices.prices()["sesPlans"].items():
        every = (month_cost(mails, told(mails), plan=plan) for mails in VOLUMES.values())
        shown.add_row(price["name"], *map(_usd, every))
    return shown


def show(console: Console) -> None:
    """Print everything."""
    usage = list_prices.usage()
    for table in (month(), multiples(), effects(), plans(), lambda_time(), units(), formulas()):
        console.print(table)
        console.print()
    batches = {title: Month(mails, told(mails)) for title, mails in VOLUMES.items()}
    for title, each in batches.items():
        console.print(
            f"{title}: {each.dispatcher_batch:.2f} orders to a dispatcher, {each.feedback_batch:.2f} events to"
            f" a feedback, {each.outcome_batch:.2f} outcomes to an invocation"
        )
    console.print(f"deployed: {usage['deployed']}; run: {usage['run']}, {usage['date']}")


def _by_volume(title: str, of: str) -> Table:
    """Begin a table with a column of what it is about, and one for each volume."""
    shown = Table(title=title)
    shown.add_column(of)
    for volume in VOLUMES:
        shown.add_column(volume, justify="right")
    return shown


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"
