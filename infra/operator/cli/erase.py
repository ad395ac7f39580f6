"""`order-mail erase`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infra.operator.cli.base import cli, command, confirm, yes
from infra.operator.erase import Erased, Subject, Traces, count, erase
from infra.operator.errors import Exit
from infra.operator.output import notes, show

if TYPE_CHECKING:
    from infra.operator.cli.base import Asked


@command(cli, "erase")
@click.option("--order", metavar="ORDER", help="All that names this order.")
@click.option("--address", metavar="ADDRESS", help="All that names this address.")
@click.option(
    "--suppression", is_flag=True, help="The address's entry of SES's suppression list, too."
)
@click.option("--dry-run", is_flag=True, help="Count what there is, and change nothing.")
@click.option("--reason", metavar="TEXT", help="Why: it is kept, and written into the audit log.")
@yes
def erase_(
    asked: Asked,
    *,
    order: str | None,
    address: str | None,
    suppression: bool,
    dry_run: bool,
    reason: str | None,
    yes: bool,
) -> Exit:
    """Erase what is kept about a customer or of an order. Their orders send no mail again.

    Exits with 1 where something is left; with --dry-run, where there is something.
    """
    if bool(order) == bool(address):
        raise click.UsageError("say one: --order or --address")
    if suppression and not address:
        raise click.UsageError("--suppression needs --address: the list knows no orders")
    subject = Subject(order=order, address=address, suppression=suppression)
    if dry_run:
        traces = count(asked.deployment, subject)
        show(traces, _of_traces, as_json=asked.as_json)
        return Exit.NO if traces else Exit.OK
    if not (reason and reason.strip()):
        raise click.UsageError("say why: --reason")
    if not yes:
        notes.print(_of_traces(count(asked.deployment, subject)))
        confirm(f"Erase this in {asked.deployment.env}? There is no way back.", yes=yes)
    answer = erase(asked.deployment, subject, why=reason)
    show(answer, _of_erased, as_json=asked.as_json)
    return Exit.NO if answer.left else Exit.OK


def _of_traces(traces: Traces) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {number}" for name, number in vars(traces).items())


def _of_erased(answer: Erased) -> str:
    lines = [f"found: {_of_traces(answer.found)}", f"left: {_of_traces(answer.left)}", "Mind:"]
    return escape("\n".join(lines + [f"- {what}" for what in answer.out_of_reach]))
