"""What all commands have in common: which environment is meant, how it is answered, exit codes."""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import click

from infra.operator.aws import Deployment, explained
from infra.operator.errors import Exit, OperatorError
from infra.operator.output import show

if TYPE_CHECKING:
    from collections.abc import Callable


class Asked(NamedTuple):
    """What all commands are told: which environment, and how to answer."""

    deployment: Deployment
    as_json: bool
    show_address: bool


def command(
    group: click.Group, name: str, **more: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Add a command: a function of an `Asked` and its own parameters, whose docstring is its help.

    A function returns the exit code where it is not `Exit.OK`. With --json an error is a document, too.
    """

    def add(run: Callable[..., Any]) -> click.Command:
        @functools.wraps(run)
        def called(
            env: str, region: str | None, *, as_json: bool, show_address: bool, **own: Any
        ) -> None:
            try:
                asked = Asked(Deployment.reach(env, region), as_json, show_address)
                with explained(asked.deployment):
                    sys.exit(run(asked, **own) or Exit.OK)
            except (OperatorError, click.ClickException, click.Abort) as error:
                if as_json:
                    show({"error": _told(error)}, str, as_json=True)
                raise

        for option in _OPTIONS:
            called = option(called)
        return group.command(name, **more)(called)

    return add


def _told(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    return "nothing was changed: nobody said yes" if isinstance(error, click.Abort) else str(error)


_OPTIONS = (
    click.option(
        "--show-address", is_flag=True, help="Print customers' addresses, which are hidden else."
    ),
    click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document."),
    click.option(
        "--region",
        envvar="AWS_REGION",
        metavar="REGION",
        help="The AWS region; else AWS_REGION or the profile's.",
    ),
    click.option(
        "--env",
        envvar="ENVIRONMENT_SUFFIX",
        default="dev",
        show_default=True,
        metavar="ENV",
        help="The environment; else ENVIRONMENT_SUFFIX.",
    ),
)


def _said(_: click.Context, __: click.Parameter, text: str) -> str:
    if not text.strip():
        raise click.BadParameter("say why")
    return text


reason = click.option(
    "--reason",
    required=True,
    callback=_said,
    metavar="TEXT",
    help="Why: it is kept, and written into the audit log.",
)
"""For every command that changes something."""

event_file = click.option(
    "--event",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="A file with the order event, as the shop published it, or mended.",
)
"""For every command that sends a mail again."""

of = click.option(
    "--of", metavar="NOTIFICATION", default="", help="Which mail, where several would fit."
)

yes = click.option("--yes", is_flag=True, help="Do it without asking.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is changed.

    Raises:
        click.Abort: the answer is no, or there is nobody to ask.
    """
    if not yes:
        click.confirm(question, abort=True, err=True)


class _Lazy(click.Group):
    """Commands whose modules are imported when they are named: `find` waits for no validator and no DNS."""

    MODULES: ClassVar = {
        **{name: name for name in ("canary", "dead", "doctor", "erase", "find", "page")},
        **{name: name for name in ("reconcile", "resend", "suppression")},
        **dict.fromkeys(("lift", "pause"), "sending"),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted(self.MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module, which adds it."""
        if module := self.MODULES.get(cmd_name):
            importlib.import_module(f"infra.operator.cli.{module}")
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
def cli() -> None:
    """Find out what became of a mail, and mend it: for the support desk and the engineer on call.

    Every command takes --env and --region, and --json for scripts. It exits with 0 where all is done or well,
    1 where the answer is no, 2 for a wrong command line, 3 where AWS refused or did not answer.
    """
