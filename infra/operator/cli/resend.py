"""`order-mail resend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infra.operator.cli.base import cli, command, confirm, event_file, of, reason, yes
from infra.operator.cli.sending import of_sending
from infra.operator.output import notes, show
from infra.operator.resend import Resend, prepare, publish, read_event
from infra.operator.sending import sending

if TYPE_CHECKING:
    from pathlib import Path

    from infra.operator.cli.base import Asked


@command(cli, "resend")
@click.argument("order", metavar="ORDER")
@event_file
@of
@reason
@yes
def resend(asked: Asked, *, order: str, file: Path, of: str, reason: str, yes: bool) -> None:
    """Send one of an order's mails again. It goes to the address that the event says.

    The same call twice is one mail: another --reason makes another.
    """
    mail = prepare(asked.deployment, order, read_event(file), of=of, why=reason)
    send_again(asked, mail, reason=reason, yes=yes)


def send_again(asked: Asked, mail: Resend, *, reason: str, yes: bool) -> None:
    """Ask, send a mail again unless that was done before, and show what was done."""
    if not mail.status:
        state = sending(asked.deployment)
        if state.halted:
            notes.print(of_sending(state))
        where = "the same address as before" if mail.same_address else "ANOTHER address than before"
        notes.print(escape(f"{mail.event_type} of order {mail.order_id} would go to {where}."))
        confirm(f"Send it in {asked.deployment.env}?", yes=yes)
        publish(asked.deployment, mail, why=reason)
    show(mail, _of_resend, as_json=asked.as_json)


def _of_resend(answer: Resend) -> str:
    if answer.status:
        said = f"It was sent again before, for the same reason: that mail is {answer.status}. Nothing was done."
    else:
        said = f"Published: {answer.event_type} of order {answer.order_id} is sent again."
    return escape(f"{said}\nTo follow it: order-mail find {answer.order_id}")
