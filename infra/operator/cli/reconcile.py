"""`order-mail reconcile`."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from infra.operator.cli.base import cli, command
from infra.operator.errors import Exit
from infra.operator.output import notes, show
from infra.operator.reconcile import (
    FIND,
    Reconciliation,
    Stuck,
    hidden,
    order_ids,
    reconcile,
    stuck,
)
from steps.contract import limits
from steps.contract.report_tasks import Unfinished

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import RenderableType

    from infra.operator.cli.base import Asked


def _of_reconciliation(found: Reconciliation) -> RenderableType:
    colour = "red" if found.missing else "green"
    head = (
        f"[bold {colour}]{len(found.missing)} of {found.orders} orders have no outcome.[/] With a mail: "
        f"{found.mailed}, rejected: {found.rejected}, given up: {found.failed}."
    )
    if not found.missing:
        return head
    table = Table(
        "order", "status", "last seen", "when", "what to do", box=None, header_style="dim"
    )
    for one in found.missing:
        table.add_row(
            *map(escape, (one.order_id, one.status or "no record", one.seen, one.at, one.next_step))
        )
    return Group(head, "", table, *(f"[dim]Note: {escape(note)}[/]" for note in found.notes))


@command(cli, "reconcile")
@click.argument("file", type=click.File(encoding="utf-8-sig"), required=False)
def reconcile_(asked: Asked, *, file: TextIO | None) -> Exit:
    """Say which orders of a shop's list have no outcome. It says where each was last seen.

    FILE has one order id a line, or is CSV whose header names their column (orderId, order_id, else the first);
    - is stdin. Without FILE: all mails that are stuck, as the nightly reconciliation counts them.
    """
    return _of_all(asked) if file is None else _of_file(asked, file)


def _of_all(asked: Asked) -> Exit:
    with Progress(console=notes, transient=True) as progress:
        task = progress.add_task("reading all records", total=limits.SCAN_SEGMENTS)
        found = stuck(asked.deployment, read=lambda done: progress.update(task, completed=done))
    if not asked.show_address:
        found = hidden(found)
    show(found, _of_stuck, as_json=asked.as_json)
    return Exit.NO if found else Exit.OK


_MEANING = {
    Unfinished.UNSETTLED: "nobody knows whether SES has the mail",
    Unfinished.SILENT: "SES took the mail and has told nothing since",
}


def _of_stuck(found: list[Stuck]) -> RenderableType:
    if not found:
        return "[bold green]No mail is stuck.[/]"
    table = Table("order", "status", "since", "what that means", box=None, header_style="dim")
    for one in found:
        meaning = _MEANING[Unfinished(one.kind)]
        table.add_row(*map(escape, (one.order_id, one.status, one.since, meaning)))
    return Group(f"[bold red]{len(found)} mails are stuck.[/] {FIND}", "", table)


def _of_file(asked: Asked, file: TextIO) -> Exit:
    try:
        orders = order_ids(file.read())
    except (UnicodeDecodeError, csv.Error) as error:
        raise click.BadParameter(f"it is no list in UTF-8: {error}", param_hint="FILE") from error
    if not orders:
        raise click.BadParameter("there is no order id in it", param_hint="FILE")
    with Progress(console=notes, transient=True) as progress:
        task = progress.add_task("asking", total=len(orders))
        found = reconcile(asked.deployment, orders, asked=lambda: progress.advance(task))
    if not asked.show_address:
        found = replace(found, missing=hidden(found.missing))
    show(found, _of_reconciliation, as_json=asked.as_json)
    return Exit.NO if found.missing else Exit.OK
