"""What the documents say of `order-mail` can be typed: commands and options exist."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from infra.local.settings import ROOT
from infra.operator.cli.base import cli
from infra.operator.words import STATUSES
from tests.support.documents import DOCUMENTS, code, prose

NAMED = re.compile(r"(?:\S*/)?order-mail (?P<words>[^|]+)")


def named() -> list[str]:
    """Return what stands after `order-mail`, in sentences and in blocks of every document."""
    lines = [
        line
        for document in DOCUMENTS
        for text in (
            *code(prose(document)),
            *re.findall(r"^.*order-mail .*$", document.read_text(), re.M),
        )
        for line in text.splitlines()
    ]
    found = {m["words"].strip() for line in lines if (m := NAMED.match(line.removeprefix("$ ")))}
    return sorted(found)


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and what is left of them."""
    found: click.Command = cli
    while words and isinstance(found, click.Group) and not words[0].startswith("-"):
        inner = found.get_command(click.Context(found), words[0])
        assert inner, words
        found, words = inner, words[1:]
    return found, words


def test_the_support_desk_s_table_has_every_answer() -> None:
    handbook = (ROOT / "infra/operator/README.md").read_text()
    table = handbook.partition("## At the support desk")[2].partition("\n## ")[0]
    rows = [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| ")][1:]
    answers = {status.name for status in STATUSES.values()}
    assert {answer for row in rows for answer in row.split(", ")} == {
        *answers,
        *("Waiting", "In the order queue", "In the dead letters", "In the log of the dispatcher"),
        "Nothing was found",
    }


@pytest.mark.parametrize("words", named())
def test_a_command_that_is_named_exists_with_its_options(words: str) -> None:
    command, left = command_of(shlex.split(words))
    options = {
        name for option in command.get_params(click.Context(command)) for name in option.opts
    }
    assert {word.partition("=")[0] for word in left if word.startswith("--")} <= options
