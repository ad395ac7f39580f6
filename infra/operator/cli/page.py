"""`order-mail page`."""

from __future__ import annotations

import secrets
import webbrowser
from typing import TYPE_CHECKING

import click

from infra.operator.cli.base import cli, command
from infra.operator.output import answers, notes

if TYPE_CHECKING:
    from infra.operator.cli.base import Asked


@command(cli, "page")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8070,
    show_default=True,
    help="Of this machine's loopback; 0 is any that is free.",
)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
def page(asked: Asked, *, port: int, open_it: bool) -> None:
    """Serve a web page for the same questions and changes. It is for this machine alone, until Ctrl-C.

    The link that it prints is good for one use: it lets in the browser in which it is opened.
    """
    from infra.operator.page.app import server  # noqa: PLC0415 - Flask is of no use to other commands

    token = secrets.token_urlsafe(32)
    with server(asked.deployment, port=port, token=token) as running:
        link = f"http://{running.host}:{running.port}/enter/{token}"
        answers.print(link, soft_wrap=True)
        notes.print(
            f"The page of {asked.deployment.env}. The link is good for one use. Ctrl-C ends."
        )
        if open_it:
            webbrowser.open(link)
        running.serve_forever()
