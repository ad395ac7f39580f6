"""`order-mail reconcile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from infra.operator.cli.base import cli, command
from infra.operator.errors import Exit
from infra.operator.output import notes, show
from infra.operator.reconcile import Reconciliation, hidden, order_ids, reconcile

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import RenderableType

    from infra.operator.cli.base import Asked


def _of_reconciliation(found: Reconciliation) -> RenderableType:
    colour = "red" if found.missing else "green"
    head = (
        f"[bold {colour}]{len(found.missing)} of {found.orders} orders have no outcome.[/] {found.mailed} got "
        f"a mail, {found.rejected} were rejected, {found.failed} given up."
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
@click.argument("file", type=click.File(encoding="utf-8-sig"))
def reconcile_(asked: Asked, *, file: TextIO) -> Exit:
    """Say which orders of a shop's list have no outcome, and where each was last seen.

    FILE has one order id a line, or is CSV whose header names their column (orderId, order_id, else the first);
    - is stdin.
    """
    orders = order_ids(file.read())
    with Progress(console=notes, transient=True) as progress:
        task = progress.add_task("asking", total=len(orders))
        found = reconcile(asked.deployment, orders, asked=lambda: progress.advance(task))
    if not asked.show_address:
        found = hidden(found)
    show(found, _of_reconciliation, as_json=asked.as_json)
    return Exit.NO if found.missing else Exit.OK
