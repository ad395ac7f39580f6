"""`order-mail`, and `python -m infra.operator`."""

from __future__ import annotations

import sys

import click
from rich.markup import escape

from infra.operator.cli.base import cli
from infra.operator.errors import Exit, OperatorError
from infra.operator.output import notes


def main() -> None:
    """Run `order-mail`."""
    try:
        cli.main(prog_name="order-mail", standalone_mode=False)
    except click.Abort as aborted:
        if isinstance(aborted.__cause__, KeyboardInterrupt):  # Not at the question: while at work.
            notes.print("Interrupted: what was done by then is done. The same again does no harm.")
            sys.exit(Exit.AWS)
        notes.print("Nothing was changed. Where nobody can answer: --yes.")
        sys.exit(Exit.NO)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OperatorError as error:
        notes.print(f"[red]order-mail:[/] {escape(str(error))}")
        sys.exit(error.exit)


if __name__ == "__main__":
    main()
