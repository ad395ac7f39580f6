"""Every HTTP server that `make` starts on the laptop, for the tests of who may call them."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from infra.config import Config
from infra.local import preview
from infra.local.loopback import LOOPBACK
from tests.local.emulator import started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.programs import Plan

READS = {
    "aws": "/_ministack/health",
    "inbox": "/api/email",
    "console": "/api/stats",
    "ses": "/_laptop/messages",
    "costs": "/moto-api/data.json",
    "faults": "/_microburst/stats",
    "preview": "/overview",
}
"""A server's name to a path that tells what is in it."""
WEBSOCKETS = {
    "console": ["/ws", "/ws/logs/tail"],
    "inbox": ["/socket.io/?EIO=4&transport=websocket"],
}
PAGES = ("inbox", "console", "ses", "preview")
"""The servers that have a page for a person at `/`."""


def urls(plan: Plan) -> dict[str, str]:
    """Return the URLs of the servers of a stack by name."""
    settings = plan.settings
    return {
        "aws": settings.aws_url,
        "inbox": settings.inbox_url,
        "console": settings.console_url,
        "ses": plan.ses_url,
        "costs": plan.cost_url,
        "faults": plan.faults_url,
    }


@contextmanager
def serving(mails: preview.Mails, sender: str) -> Iterator[str]:
    """Serve the preview of these mails; yield its URL."""
    server = preview.server(mails, sender, 0)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def all_servers(folder: Path) -> Iterator[tuple[Plan, dict[str, str]]]:
    """Run them all; yield the stack's plan, and the servers' URLs by name."""
    config = Config.from_environment({}, local=True)
    with (
        started(folder, faults=True) as plan,
        serving(preview.Mails(config.brand), config.sender) as url,
    ):
        yield plan, urls(plan) | {"preview": url}
