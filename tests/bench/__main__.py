"""What is measured against a baseline, all in one run: `make bench`, or `python -m tests.bench [--part PART]`.

imports: what a function takes to start, against one that makes the same bare boto3 clients.
rendering: mails rendered in a second of CPU time, against bare jinja2 with the same templates.
path: a mail on the warm local stack, from its event until SES has accepted it, against one function that
does all five steps; then as many as go.

Rounds go over both sides in turn, so that a busy machine slows both; a ratio is of the same round. Each figure
is the median, with the quartiles behind it. The local stack is one of its own, and nothing of it is left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import chain as chained
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from infra import mail
from infra.local.running_stack import RunningStack
from infra.local.settings import LocalSettings
from infra.local.stack import running
from statemachines.order_workflow import Steps
from steps import render
from tests.bench import chain, imports, rendering
from tests.bench.spread import Spread
from tests.support.sample_mails import BRAND, NOTIFICATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str], None]
    """Is told what is being measured."""

FUNCTIONS = ("dispatch", *Steps.names(), "feedback", "outcomes")
LOCALES = ("en-US", "de-AT", "ar")
PERMITTED = 500
"""Mails a second that SES permits: more than a laptop can do, so that nothing is paced."""


def measure_imports(
    functions: tuple[str, ...] = FUNCTIONS, *, rounds: int = 5, progress: Progress
) -> Table:
    """Tell what each function takes to start, in milliseconds of CPU time."""
    table = _table("start of a function, ms of CPU", "function", "bare boto3", "ratio")
    programs = dict.fromkeys(chained(*((imports.ours(f), imports.bare(f)) for f in functions)))
    taken: dict[str, list[float]] = {program: [] for program in programs}
    with tempfile.TemporaryDirectory() as scratch:
        progress("imports, the bundle")
        bundle = imports.bundles(Path(scratch))["deployed"]
        for number in range(rounds):
            progress(f"imports, round {number + 1} of {rounds}")
            for program, each in taken.items():
                each.append(imports.milliseconds(program, bundle))
    for function in functions:
        ours, bare = taken[imports.ours(function)], taken[imports.bare(function)]
        _row(table, function, Spread.of(ours), Spread.of(bare), Spread.of_ratios(ours, bare))
    return table


def measure_rendering(
    locales: tuple[str, ...] = LOCALES, *, rounds: int = 7, progress: Progress
) -> Table:
    """Tell how many mails are rendered in a second of CPU time."""
    table = _table("mails rendered in a second of CPU", "render", rendering.YARDSTICK, "ratio")

    def render_mail(order: rendering.Order) -> object:
        return render.render(order, BRAND, NOTIFICATION_ID)

    bare, english = rendering.bare(), rendering.orders("en-US")
    samples = {locale: rendering.orders(locale) for locale in locales}
    rates: dict[str, list[float]] = {locale: [] for locale in locales}
    yardstick = []
    for number in range(rounds):
        progress(f"rendering, round {number + 1} of {rounds}")
        yardstick.append(rendering.rate(bare, english))
        for locale, sample in samples.items():
            rates[locale].append(rendering.rate(render_mail, sample))
    for locale, ours in rates.items():
        ratio = Spread.of_ratios(ours, yardstick)
        _row(table, locale, Spread.of(ours), Spread.of(yardstick), ratio)
    return table


def measure_path(
    stack: RunningStack,
    *,
    rounds: int = 5,
    mails: int = 6,
    bursts: int = 3,
    orders: int = 60,
    progress: Progress,
) -> list[Table]:
    """Tell what the way through the system takes, and what it does in a second."""
    ours, bare = chain.warm_path(stack, rounds=rounds, mails=mails, progress=progress)
    latency = _table("one mail on the warm local stack", "the system", "one function", "ratio")
    _row(
        latency,
        "ms until SES accepted it",
        *(Spread.of(way.accepted) for way in (ours, bare)),
        Spread.of_ratios(ours.accepted, bare.accepted),
    )
    for whose in chain.Whose:
        spent = [[of_round[whose] for of_round in way.cpu] for way in (ours, bare)]
        _row(latency, f"ms of CPU: {whose}", *(Spread.of(each) for each in spent))
    measured = chain.bursts(stack, rounds=bursts, orders=orders, progress=progress)
    throughput = _table(f"{orders} orders at once", "the system")
    _row(throughput, "mails a second", Spread.of([burst.rate for burst in measured]), digits=1)
    for whose in chain.Whose:
        spent_on = Spread.of([burst.cpu[whose] for burst in measured])
        _row(throughput, f"ms of CPU: {whose}", spent_on)
    return [latency, throughput]


def _on_a_stack_of_its_own(progress: Progress) -> list[Table]:
    with tempfile.TemporaryDirectory() as folder:
        settings = LocalSettings.on_free_ports(Path(folder) / "stack", environment_suffix="bench")
        with running(settings, say=lambda line: progress(line.removeprefix("· "))) as plan:
            stack = RunningStack(plan)
            stack.ses("settings", {"rate": PERMITTED})
            return measure_path(stack, progress=progress)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _row(table: Table, name: str, *spreads: Spread, digits: int = 0) -> None:
    """Add a row; a third figure is a ratio."""
    texts = [spread.text(digits) for spread in spreads[:2]]
    table.add_row(name, *texts, *(f"{ratio.text(2)}" for ratio in spreads[2:]))


PARTS: dict[str, Callable[[Progress], list[Table]]] = {
    "imports": lambda progress: [measure_imports(progress=progress)],
    "rendering": lambda progress: [measure_rendering(progress=progress)],
    "path": _on_a_stack_of_its_own,
}


def main() -> None:
    """Measure, and print each table as soon as it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--part", action="append", choices=PARTS, help="this alone; may be repeated"
    )
    asked = parser.parse_args().part or PARTS
    mail.build()
    console = Console(width=100)
    for part in asked:
        for table in PARTS[part](_tell):
            console.print("", table)


def _tell(what: str) -> None:
    print(f"· {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
