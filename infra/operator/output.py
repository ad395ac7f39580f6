"""What commands print: for people with rich, for scripts (`--json`) one JSON document on stdout.

Progress and questions go to stderr, so that stdout is the answer alone.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderHook
from rich.segment import Segment
from rich.text import Text

from steps.contract.text import harmless

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import ConsoleOptions, ConsoleRenderable, RenderResult


class _Harmless(RenderHook):
    """Takes what a terminal would obey out of every text, wherever it comes from; styles are rich's own."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(renderable) for renderable in renderables]


class _Cleaned:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            if segment.control:
                yield segment  # rich's own: a cursor that moves
            else:
                yield Segment(harmless(segment.text), segment.style)


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False)
    console.push_render_hook(_Harmless())
    return console


answers, notes = _console(), _console(stderr=True)

HIDDEN = "(hidden: --show-address)"
"""Stands for a customer's address that nobody asked for."""


def show(answer: Any, render: Callable[[Any], object], *, as_json: bool) -> None:
    """Print an answer, a dataclass or a list of them: as JSON, or as `render` makes it for rich.

    Text is not broken at the terminal's width: people copy the commands that are in it.
    """
    if as_json:
        answers.print_json(json.dumps(answer, default=_plain), ensure_ascii=True)
    else:
        shown = render(answer)
        answers.print(shown, soft_wrap=isinstance(shown, str | Text))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        # What may hold a customer's order is no field to print.
        return {f.name: getattr(value, f.name) for f in fields(value) if f.repr}
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
