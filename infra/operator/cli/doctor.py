"""`order-mail doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from infra.operator.cli.base import cli, command
from infra.operator.doctor import examine
from infra.operator.doctor.checks import State
from infra.operator.errors import Exit
from infra.operator.output import show

if TYPE_CHECKING:
    from infra.operator.cli.base import Asked
    from infra.operator.doctor import Examination
    from infra.operator.doctor.checks import Finding

_COLOUR = {State.OK: "green", State.MEND: "red", State.UNKNOWN: "yellow", State.SKIPPED: "dim"}


def _line(finding: Finding) -> Group:
    line = Text.assemble(
        (f"{finding.state:>9}", _COLOUR[finding.state]),
        "  ",
        (finding.check, "bold"),
        ": ",
        finding.sentence,
    )
    if finding.state is not State.MEND:
        return Group(line)
    asks = Text(f"Asked for by {finding.rule}.", "dim")
    return Group(
        line, Padding(asks, (0, 0, 0, 11)), Padding(Text(finding.command, "cyan"), (0, 0, 0, 11))
    )


def _of_examination(examination: Examination) -> Group:
    counts = ", ".join(f"{count} {state}" for state in State if (count := examination.count(state)))
    return Group(
        *map(_line, examination.findings),
        Text(f"\n{counts}.", "bold"),
        Text("\nTo be looked at by hand:"),
        *(Padding(Text(f"· {sentence}"), (0, 0, 0, 2)) for sentence in examination.by_hand),
    )


@command(cli, "doctor")
@click.option(
    "--volume",
    type=click.IntRange(min=0),
    metavar="MAILS_PER_DAY",
    help="Mails a day that you expect: quota and send rate are held against it.",
)
def doctor(asked: Asked, *, volume: int | None) -> Exit:
    """Tell what stands between a deployment and its first customer, with the command that mends it.

    Exits with 0 where all is well, 1 where there is something to mend or something could not be asked.
    """
    examination = examine(asked.deployment, volume)
    show(examination, _of_examination, as_json=asked.as_json)
    well = not examination.count(State.MEND) and not examination.count(State.UNKNOWN)
    return Exit.OK if well else Exit.NO
