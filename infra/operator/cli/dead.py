"""`order-mail dead list|show|redrive|drop`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click
from rich.console import Group as Lines
from rich.markup import escape
from rich.table import Table

from infra.operator.cli.base import cli, command, confirm, reason, yes
from infra.operator.dead import (
    NO_REASON,
    Choice,
    Dropped,
    Listing,
    Redriven,
    Shown,
    choose,
    drop,
    listing,
    redrive,
    rehearse,
    show_letter,
)
from infra.operator.errors import Exit
from infra.operator.letter_words import lost
from infra.operator.letters import QUEUES
from infra.operator.output import notes, show

if TYPE_CHECKING:
    from infra.operator.cli.base import Asked
    from infra.operator.letters import Letter


REASON_MAX = 60
"""Characters of a reason that a table shows."""


@cli.group("dead")
def dead() -> None:
    """Look at dead letters, send them through again, drop them."""


queue = click.option("--queue", type=click.Choice(QUEUES), help="Of this queue alone.")
order = click.option("--order", metavar="ORDER", default="", help="Of this order.")
error = click.option(
    "--error",
    metavar="NAME",
    default="",
    help=f"With this reason, as the list shows it; {NO_REASON}: without one.",
)


@command(dead, "list")
@queue
def list_(asked: Asked, *, queue: str | None) -> None:
    """List the dead letters. It says why they are there, how many, since when, of which orders."""
    show(listing(asked.deployment, queue), _of_listing, as_json=asked.as_json)


@command(dead, "show")
@click.argument("letter", metavar="ID")
def show_(asked: Asked, *, letter: str) -> None:
    """Show one letter, by its id or the beginning of it. It says what it is, why it is there, what to do."""
    answer = show_letter(asked.deployment, letter, address=asked.show_address)
    show(answer, _of_letter, as_json=asked.as_json)


@command(dead, "redrive")
@order
@error
@click.option("--all", "every", is_flag=True, help="All that can be.")
@queue
@click.option(
    "--fresh-only",
    is_flag=True,
    help="Do not send an order that is too old or not valid: record it as rejected.",
)
@reason
@yes
def redrive_(
    asked: Asked,
    *,
    order: str,
    error: str,
    every: bool,
    queue: str | None,
    fresh_only: bool,
    reason: str,
    yes: bool,
) -> Exit:
    """Send letters through again. What was sent before is a duplicate, and no second mail.

    Exits with 1 where something was left that should have moved.
    """
    if every == bool(order or error):
        raise click.UsageError("say which: --order, --error, or --all")
    choice = Choice(order=order, error=error, queue=queue)
    if not yes or not every:
        would = rehearse(asked.deployment, choice, fresh_only=fresh_only)
        notes.print(_of_redriven(would, "would be "))
        confirm(f"Do this in {asked.deployment.env}?", yes=yes)
    done = redrive(asked.deployment, choice, fresh_only=fresh_only, why=reason)
    show(done, _of_redriven, as_json=asked.as_json)
    return Exit.NO if done.failed else Exit.OK


@command(dead, "drop")
@click.argument("letter", metavar="[ID]", default="")
@order
@error
@queue
@reason
@yes
def drop_(
    asked: Asked, *, letter: str, order: str, error: str, queue: str | None, reason: str, yes: bool
) -> None:
    """Throw letters away, by id, order or reason. What is in them is lost."""
    if not (letter or order or error):
        raise click.UsageError("say which: ID, --order or --error")
    choice = Choice(order=order, error=error, letter=letter, queue=queue)
    chosen = choose(asked.deployment, choice)
    if not yes:
        said = [*(f"Lost is {what}." for what in lost(chosen.letters)), *chosen.notes]
        notes.print(_rows(chosen.letters))
        notes.print(escape("\n".join(said)))
        confirm(f"Delete {len(chosen.letters)} in {asked.deployment.env}?", yes=yes)
    show(drop(asked.deployment, choice, why=reason), _of_dropped, as_json=asked.as_json)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")  # What is cut off cannot be typed.
    return table


def _rows(letters: list[Letter]) -> Table:
    table = _table("id", "queue", "kind", "order", "reason", "since", "receives")
    for letter in letters:
        cells = (letter.queue, letter.kind, letter.order_id, _short(letter.reason), letter.sent_at)
        table.add_row(letter.message_id[:8], *map(escape, cells), str(letter.receives))
    return table


def _short(reason: str) -> str:
    return textwrap.shorten(reason or NO_REASON, REASON_MAX, placeholder="…")


def _of_listing(answer: Listing) -> Lines | str:
    if not (answer.letters or answer.notes):
        return "[green]There are no dead letters.[/]"
    groups = _table("queue", "kind", "reason", "letters", "oldest")
    for group in answer.groups:
        reason = _short(group.reason)
        cells = group.queue, group.kind, reason, str(group.count), group.oldest
        groups.add_row(*map(escape, cells))
    groups_said = (f"→ {g.kind}, {_short(g.reason)}: {g.next_step}." for g in answer.groups)
    what_to_do = [escape(said) for said in dict.fromkeys(groups_said)]
    return Lines(groups, *what_to_do, "", _rows(answer.letters), *answer.notes)


def _of_letter(answer: Shown) -> str:
    letter = answer.letter
    lines = [
        f"{letter.queue}, since {letter.sent_at}, received {letter.receives} times",
        f"It is {answer.words}.",
        f"{answer.next_step}.",
        *([f"Order: {letter.order_id}"] if letter.order_id else []),
        *([f"Execution: {letter.execution}"] if letter.execution else []),
        answer.text,
    ]
    return escape("\n".join(lines))


def _of_redriven(answer: Redriven, tense: str = "") -> str:
    lines = [f"{tense}sent through again: {answer.redriven}"]
    lines += [f"{tense}recorded as rejected: {answer.rejected}", f"{tense}left: {answer.left}"]
    lines += [f"  {left.letter.kind}: {left.why}." for left in answer.reasons]
    lines += answer.notes
    return escape("\n".join(lines))


def _of_dropped(answer: Dropped) -> str:
    of = f", of {', '.join(answer.orders)}" if answer.orders else ""
    return escape(f"deleted: {answer.dropped}{of}")
