"""`order-mail canary`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infra.operator.canary import Canary, last, run
from infra.operator.cli.base import cli, command
from infra.operator.errors import Exit
from infra.operator.output import notes, show
from steps.reports.canary import ARRIVED, MISSING, WAITING

if TYPE_CHECKING:
    from infra.operator.cli.base import Asked

_WORDS = {
    ARRIVED: "[green]It arrived.[/]",
    WAITING: "[yellow]It is on its way.[/]",
    MISSING: "[red]It did not arrive.[/]",
}

NONE = "No canary was published here: CANARY_MINUTES is 0. `order-mail canary --now` sends one."


def _of_canary(canary: Canary | None) -> str:
    if canary is None:
        return escape(NONE)
    told = f"{escape(canary.order_id)}, published at {canary.published_at}. {_WORDS[canary.state]}"
    seen = f"Last seen: {escape(canary.seen)}."
    return "\n".join([told, seen, *filter(None, [escape(canary.advice.rstrip())])])


@command(cli, "canary")
@click.option("--now", is_flag=True, help="Publish one now, and follow it.")
@click.option(
    "--seconds",
    default=60,
    show_default=True,
    type=click.IntRange(1, 900),
    help="How long with --now.",
)
def canary_(asked: Asked, *, now: bool, seconds: int) -> Exit:
    """Say whether the last canary order arrived. It takes the whole way of an order.

    It exits with 1 where one has not arrived, or where there is none.
    """
    canary: Canary | None
    if now:
        with notes.status("A canary is on its way ...") as status:
            canary = run(
                asked.deployment,
                seconds=seconds,
                say=lambda seen: status.update(f"{escape(seen.order_id)}: {escape(seen.seen)}"),
            )
    else:
        canary = last(asked.deployment)
    show(canary, _of_canary, as_json=asked.as_json)
    fine = {ARRIVED} if now else {ARRIVED, WAITING}
    return Exit.OK if canary and canary.state in fine else Exit.NO
