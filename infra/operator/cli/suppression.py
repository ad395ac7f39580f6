"""`order-mail suppression`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infra.operator import suppression
from infra.operator.cli.base import cli, command, confirm, reason, yes
from infra.operator.errors import Exit
from infra.operator.output import notes, show
from infra.operator.resend import prepare, publish, read_event

if TYPE_CHECKING:
    from infra.operator.cli.base import Asked
    from infra.operator.suppression import Suppression

WARNING = {
    "BOUNCE": (
        "A mail to it bounced for good. If the next one bounces, too, that counts in your bounce rate: SES "
        "reviews accounts from 5%. Be sure that the mailbox exists."
    ),
    "COMPLAINT": (
        "Its owner called a mail spam. If they do so again, that counts in your complaint rate: SES reviews "
        "accounts from 0.1%. Be sure that they asked for it."
    ),
}


@cli.group("suppression")
def group() -> None:
    """Addresses to which SES delivers nothing, because a mail bounced or its owner complained."""


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
    """Tell whether SES keeps mails to ADDRESS back, why, since when and since which mail.

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
        notes.print(f"[yellow]{WARNING[why]}[/]")
    confirm("Take the address off the suppression list of the whole account?", yes=yes)
    removed = suppression.remove(asked.deployment, address, why=reason)
    show({"removed": removed}, lambda _: "It is off the list.", as_json=asked.as_json)
    return Exit.OK


@command(group, "retry")
@click.argument("order", metavar="ORDER")
@click.option(
    "--event",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="A file with the order event, as the shop published it, or mended.",
)
@reason
@yes
def retry(asked: Asked, *, order: str, file: Path, reason: str, yes: bool) -> Exit:
    """Send a mail again that SES kept back, once its address is off the list."""
    event = read_event(file)
    mail = prepare(asked.deployment, order, event, of="", why=reason)
    record = asked.deployment.ledger.whole(mail.of)
    found = suppression.look_up(asked.deployment, str(event["customerEmail"]).strip())
    suppression.allow_retry(record, found)
    if mail.status:
        show(
            mail,
            lambda _: f"It was sent again before, and is {mail.status}.",
            as_json=asked.as_json,
        )
        return Exit.NO
    confirm(f"Send {mail.event_type} of order {mail.order_id} again?", yes=yes)
    publish(asked.deployment, mail, why=reason)
    show(mail, lambda _: "Published: the mail is sent again.", as_json=asked.as_json)
    return Exit.OK
