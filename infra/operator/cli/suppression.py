"""`order-mail suppression`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infra.operator import suppression
from infra.operator.cli.base import cli, command, confirm, event_file, of, reason, yes
from infra.operator.cli.resend import send_again
from infra.operator.errors import Exit
from infra.operator.output import notes, show
from infra.operator.resend import prepare_retry, read_event

if TYPE_CHECKING:
    from pathlib import Path

    from infra.operator.cli.base import Asked
    from infra.operator.suppression import Suppression


@cli.group("suppression")
def group() -> None:
    """Ask why SES keeps mails to an address back, and end that."""


def _of_suppression(found: Suppression) -> str:
    lines = ["[green]The address is not on the account's suppression list.[/]"]
    if found.entries:
        lines = [
            "[red]SES keeps mails to it back.[/]"
            if found.heeded
            else "[yellow]It is on the list.[/]"
        ]
    for entry in found.entries:
        by = f", by the mail {escape(entry.message_id)}" if entry.message_id else ", by hand"
        lines.append(f"{entry.reason} since {entry.since}{by} (spelt {entry.spelling})")
    own = found.configuration_set
    lines.append(
        f"Heeded: {', '.join(found.account if own is None else own) or 'nothing'}"
        f" ({'the account' if own is None else 'our configuration set'} says so)."
    )
    if found.note:
        lines.append(escape(found.note))
    return "\n".join(lines)


@command(group, "show")
@click.argument("address")
def show_entry(asked: Asked, *, address: str) -> Exit:
    """Tell whether SES keeps mails to ADDRESS back. It says why, since when and since which mail.

    SES finds an entry only as it is spelt: give the address as the order has it. Exits with 1 where mails are
    kept back.
    """
    found = suppression.look_up(asked.deployment, address)
    show(found, _of_suppression, as_json=asked.as_json)
    return Exit.NO if found.heeded else Exit.OK


@command(group, "remove")
@click.argument("address")
@reason
@yes
def remove(asked: Asked, *, address: str, reason: str, yes: bool) -> Exit:
    """Take ADDRESS off the account's list, so that SES tries it again."""
    found = suppression.look_up(asked.deployment, address)
    if not found.entries:
        show(found, _of_suppression, as_json=asked.as_json)
        return Exit.NO
    for why in sorted({entry.reason for entry in found.entries}):
        notes.print(f"[yellow]{suppression.WARNINGS[why]}[/]")
    confirm("Take the address off the suppression list of the whole account?", yes=yes)
    removed = suppression.remove(asked.deployment, address, why=reason)
    show({"removed": removed}, lambda _: "It is off the list.", as_json=asked.as_json)
    return Exit.OK


@command(group, "retry")
@click.argument("order", metavar="ORDER")
@event_file
@of
@reason
@yes
def retry(asked: Asked, *, order: str, file: Path, of: str, reason: str, yes: bool) -> None:
    """Send a mail again that SES kept back. Its address must be off the list by then.

    The same call twice is one mail: another --reason makes another.
    """
    mail = prepare_retry(asked.deployment, order, read_event(file), of=of, why=reason)
    send_again(asked, mail, reason=reason, yes=yes)
