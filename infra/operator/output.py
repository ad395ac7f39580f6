"""What commands print: for people with rich, for scripts (`--json`) one JSON document on stdout.

Progress and questions go to stderr, so that stdout is the answer alone.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

answers, notes = Console(highlight=False), Console(stderr=True, highlight=False)

HIDDEN = "(hidden: --show-address)"
"""Stands for a customer's address that nobody asked for."""


def show(answer: Any, render: Callable[[Any], object], *, as_json: bool) -> None:
    """Print an answer, a dataclass or a list of them: as JSON, or as `render` makes it for rich.

    Text is not broken at the terminal's width: people copy the commands that are in it.
    """
    if as_json:
        answers.print_json(json.dumps(answer, default=_plain))
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
