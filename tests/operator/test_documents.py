"""What the documents say of `order-mail` can be typed: commands and options exist."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from infra.operator import __main__ as order_mail
from infra.operator.cli.base import cli
from tests.support.documents import DOCUMENTS, code, prose

assert order_mail, "its import adds the commands"

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


@pytest.mark.parametrize("words", named())
def test_a_command_that_is_named_exists_with_its_options(words: str) -> None:
    command, left = command_of(shlex.split(words))
    options = {
        name for option in command.get_params(click.Context(command)) for name in option.opts
    }
    assert {word.partition("=")[0] for word in left if word.startswith("--")} <= options
