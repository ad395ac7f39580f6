"""What others wrote reaches the terminal as text: no markup, no escapes, nothing that reorders."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.markup import escape
from rich.table import Table

from infra.operator import output

if TYPE_CHECKING:
    from rich.console import Console

HOSTILE = "a\x1b]8;;https://x.example\x1b\\b\x9b31m\u202ec\u2066d\x07\re :bomb: f"
HARMLESS = r"a]8;;https://x.example\b31mcde :bomb: f"


@pytest.fixture(params=["answers", "notes"])
def console(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console that writes to a text."""
    console: Console = getattr(output, request.param)
    monkeypatch.setattr(console, "file", StringIO())
    return console


def written(console: Console) -> str:
    text = console.file
    assert isinstance(text, StringIO)
    return text.getvalue()


def test_text_is_harmless(console: Console) -> None:
    console.print(escape(HOSTILE), soft_wrap=True)
    assert written(console) == f"{HARMLESS}\n"


def test_a_table_is_harmless_and_its_lines_stay_lines(console: Console) -> None:
    table = Table.grid()
    table.add_row(escape(HOSTILE))
    table.add_row("next")
    console.print(table, width=80)
    assert [line.rstrip() for line in written(console).splitlines()] == [HARMLESS, "next"]


def test_json_is_ascii_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.answers, "file", StringIO())
    output.show({"said": HOSTILE}, str, as_json=True)
    printed = written(output.answers)
    assert printed.isascii()
    assert "\x1b" not in printed
    assert json.loads(printed) == {"said": HOSTILE}
