"""`order-mail doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
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
_INDENT = " " * 11


def _line(finding: Finding) -> Text:
    state = (f"{finding.state:>9}", _COLOUR[finding.state])
    line = Text.assemble(state, "  ", (finding.check, "bold"), f": {finding.sentence}")
    if finding.state is State.MEND:
        line.append(f"\n{_INDENT}Asked for by {finding.rule}.", "dim")
        line.append(f"\n{_INDENT}{finding.command}", "cyan")
    return line


def _of_examination(examination: Examination) -> Text:
    counts = (f"{count} {state}" for state in State if (count := examination.count(state)))
    by_hand = ("To be looked at by hand:", *(f"  {sentence}" for sentence in examination.by_hand))
    return Text("\n").join(
        [
            *map(_line, examination.findings),
            Text(f"\n{', '.join(counts)}.\n", "bold"),
            *map(Text, by_hand),
        ]
    )


@command(cli, "doctor")
@click.option(
    "--volume",
    type=click.IntRange(min=0),
    metavar="MAILS_PER_DAY",
    help="Mails a day that you expect: quota and send rate are held against it.",
)
def doctor(asked: Asked, *, volume: int | None) -> Exit:
    """Tell what is to be mended before the first customer, and how.

    Exits with 0 where all is well, 1 where there is something to mend or something could not be asked.
    """
    examination = examine(asked.deployment, volume)
    show(examination, _of_examination, as_json=asked.as_json)
    well = not examination.count(State.MEND) and not examination.count(State.UNKNOWN)
    return Exit.OK if well else Exit.NO
