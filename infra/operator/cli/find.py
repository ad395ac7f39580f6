"""`order-mail find`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from infra.operator.cli.base import cli, command
from infra.operator.cli.sending import of_sending
from infra.operator.errors import Exit
from infra.operator.find import Finding, find, hidden
from infra.operator.output import show
from steps.contract.text import identifier
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from infra.operator.cli.base import Asked
    from infra.operator.find import Moment, Story

_COLOURS = {
    Status.DELIVERED: "green",
    Status.SENT: "green",
    Status.CLAIMED: "yellow",
    Status.SENDING: "yellow",
    Status.DELAYED: "yellow",
}

NOTHING = (
    "Nothing of [bold]{term}[/] is known here: it was not published to this environment, or more than 90 "
    "days ago."
)

NOTHING_NEXT = (
    "  → Is that the right id, and the right --env? Then have the shop publish the event."
)

LOOKED = (
    "Looked at: records by order, message and notification; the order queue; dead letters; rejected events "
    "without an order; the logs of the last 14 days."
)


def _of_finding(finding: Finding) -> RenderableType:
    return Group(*_parts(finding))


def _parts(finding: Finding) -> Iterator[RenderableType]:
    state = finding.sending
    held_up = [of_sending(state), ""] if state.halted else []
    yield from held_up if finding.may_wait else ()
    if finding.is_empty:
        yield NOTHING.format(term=escape(finding.term))
        yield NOTHING_NEXT
        yield Text(LOOKED, style="dim")
    for story in finding.stories:
        yield from _of_story(story)
    for sighting in finding.elsewhere:
        yield f"[bold yellow]In the {escape(sighting.place)}[/]  [dim]{sighting.at}[/]"
        yield _indented(sighting.what, f"→ {sighting.next_step}")
    if finding.other_attempts:
        yield "[bold]Other attempts of the order[/]"
        yield Padding(_timeline(finding.other_attempts), (0, 0, 1, 2))
    yield from () if finding.may_wait else held_up
    for note in (*finding.unasked, *finding.notes):
        yield Text(f"Note: {note}", style="dim")


def _of_story(story: Story) -> Iterator[RenderableType]:
    colour = _COLOURS.get(Status(story.status), "red")
    yield (
        f"[bold {colour}]{escape(story.words)}[/] [dim]{story.status}[/]  [bold]{escape(story.announced)}[/]  "
        f"order {escape(story.order_id)}  to {escape(story.recipient) or '(erased)'}"
    )
    yield _indented(story.reason, f"→ {story.next_step}" if story.next_step else "")
    yield Padding(_timeline(story.timeline), (0, 0, 1, 2))
    yield Padding(_details(story), (0, 0, 1, 2))


def _indented(*lines: str) -> RenderableType:
    return Padding("\n".join(escape(line) for line in lines if line), (0, 0, 1, 2))


def _timeline(moments: Iterable[Moment]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_column(style="dim", overflow="fold")
    for moment in moments:
        what = Text(moment.what)
        if moment.link:
            what.stylize(f"link {moment.link}")
        table.add_row(moment.at, what, Text(moment.detail))
    return table


def _details(story: Story) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in {"notification": story.notification_id, **story.details}.items():
        table.add_row(Text(name, style="dim"), Text(value, style="dim", overflow="fold"))
    return table


@command(cli, "find")
@click.argument("term")
def find_(asked: Asked, *, term: str) -> Exit:
    """Say where a mail is, why, and what to do now.

    TERM is an order id, SES's message id, a notification id, or an execution's name or ARN.
    """
    if not identifier(term):
        raise click.UsageError("what is to be found? TERM is empty")
    finding = find(asked.deployment, term)
    if not asked.show_address:
        finding = hidden(finding)
    show(finding, _of_finding, as_json=asked.as_json)
    if not finding.is_empty:
        return Exit.OK
    return Exit.AWS if finding.unasked else Exit.NO
