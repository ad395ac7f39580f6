"""`order-mail pause` and `order-mail lift`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from infra.operator.cli.base import cli, command, confirm, reason, yes
from infra.operator.output import notes, show
from infra.operator.sending import Sending, sending, set_sending

if TYPE_CHECKING:
    from infra.operator.cli.base import Asked


def of_sending(state: Sending) -> str:
    """Say whether mails go out, in markup."""
    lines = [] if state.halted else ["[green]Mails go out.[/]"]
    if state.paused:
        lines += ["[yellow]Sending is paused.[/] Orders wait on the queue, none is lost."]
    if state.paused and state.since:
        lines += [escape(f"Since {state.since}, by {state.by}: {state.why}")]
    if state.stopped:
        lines += ["[red]SES has stopped the account:[/] aws sesv2 get-account says more."]
    return "\n".join(lines)


@command(cli, "pause")
@reason
@yes
def pause(asked: Asked, *, reason: str, yes: bool) -> None:
    """Stop the order mails. Orders wait on the queue, and go out when the pause is lifted."""
    confirm(f"Pause all order mails of {asked.deployment.env}?", yes=yes)
    show(
        set_sending(asked.deployment, enabled=False, why=reason), of_sending, as_json=asked.as_json
    )


@command(cli, "lift")
@reason
@yes
def lift(asked: Asked, *, reason: str, yes: bool) -> None:
    """Lift a pause. What waits goes out, at the rate that SES permits."""
    notes.print(of_sending(sending(asked.deployment)))
    confirm(f"Let the order mails of {asked.deployment.env} go out?", yes=yes)
    show(set_sending(asked.deployment, enabled=True, why=reason), of_sending, as_json=asked.as_json)
