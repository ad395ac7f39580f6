"""`order-mail resend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infra.operator.cli.base import cli, command, confirm, event_file, reason, yes
from infra.operator.output import notes, show
from infra.operator.resend import Resend, prepare, publish, read_event

if TYPE_CHECKING:
    from pathlib import Path

    from infra.operator.cli.base import Asked


@command(cli, "resend")
@click.argument("order", metavar="ORDER")
@event_file
@click.option(
    "--of", metavar="NOTIFICATION", default="", help="Which mail, where several would fit."
)
@reason
@yes
def resend(asked: Asked, *, order: str, file: Path, of: str, reason: str, yes: bool) -> None:
    """Send one of an order's mails again. It goes to the address that the event says.

    The same call twice is one mail: another --reason makes another.
    """
    answer = prepare(asked.deployment, order, read_event(file), of=of, why=reason)
    if not answer.status:
        notes.print(escape(f"{answer.event_type} of order {answer.order_id} would be sent again."))
        confirm(f"Send it in {asked.deployment.env}?", yes=yes)
        publish(asked.deployment, answer, why=reason)
    show(answer, _of_resend, as_json=asked.as_json)


def _of_resend(answer: Resend) -> str:
    if answer.status:
        said = f"It was sent again before, for the same reason: that mail is {answer.status}. Nothing was done."
    else:
        said = f"Published: {answer.event_type} of order {answer.order_id} is sent again."
    return escape(f"{said}\nTo follow it: order-mail find {answer.order_id}")
