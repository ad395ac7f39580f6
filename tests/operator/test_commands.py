"""All commands of `order-mail`: each is found, at no cost of the others."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from infra.operator import cli as modules
from infra.operator.cli.base import cli

CONTEXT = click.Context(cli)
NOT_FOR_FIND = {"aws_cdk", "dns", "email_validator", "flask", "pydantic"}


def test_every_module_of_commands_is_named() -> None:
    there = {module.name for module in pkgutil.iter_modules(modules.__path__)} - {"base"}
    assert set(cli.MODULES.values()) == there


@pytest.mark.parametrize("name", cli.list_commands(CONTEXT))
def test_a_module_adds_the_command_for_which_it_is_imported(name: str) -> None:
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name


def test_find_imports_nothing_that_it_does_not_need() -> None:
    program = f"""
import sys
from infra.operator.__main__ import main
sys.argv = ["order-mail", "find", "--help"]
main()
sys.exit(str({NOT_FOR_FIND} & sys.modules.keys()))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.stderr == "set()\n"


@pytest.mark.parametrize("group", [[], ["dead"], ["suppression"]], ids=" ".join)
def test_no_command_is_told_of_in_half_a_sentence(group: list[str]) -> None:
    told = CliRunner().invoke(cli, [*group, "--help"], terminal_width=80).output
    _, commands = told.split("Commands:")
    assert "..." not in commands
