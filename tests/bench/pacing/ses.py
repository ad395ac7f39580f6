"""The laptop's SES, alone in a process: `python -m tests.bench.pacing.ses PORT RATE`."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.local.loopback import fetch, free_ports
from infra.local.ses.core import Ses
from infra.local.ses.server import Server
from infra.local.ses.settings import SesSettings
from infra.local.ses.upstream import Answer, ConfigurationSet, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.pacing.result import SesStats


class NoUpstream(Upstream):
    """Stands in for the emulator behind SES: every sender is verified, no event goes anywhere."""

    def __init__(self) -> None:
        self.account, self.region = "000000000000", "us-east-1"

    def forward(self, *_: object) -> Answer:
        return Answer(200, {}, b"{}")

    def identity_arn(self, address: str) -> tuple[str, bool]:
        return f"arn:aws:ses:{self.region}:{self.account}:identity/{address}", True

    def configuration_set(self, _name: str | None) -> ConfigurationSet:
        return ConfigurationSet(sending_enabled=True, suppressed_reasons=[], destinations=[])


def serve(port: int, rate: float) -> None:
    """Serve with no emulator and no inbox behind it."""
    inbox = ("127.0.0.1", 9)
    ses = Ses(NoUpstream(), inbox, SesSettings(rate=rate, daily_quota=1e6))
    Server(port, ses).serve_forever()


@contextmanager
def serving(rate: float) -> Iterator[str]:
    """Serve in a process of its own for the length of the block; give its address."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.pacing.ses", str(port), str(rate)]
    )
    try:
        while not _serves(url):
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def _serves(url: str) -> bool:
    try:
        stats(url)
    except OSError:
        return False
    return True


def stats(url: str) -> SesStats:
    """Ask for the counters."""
    counters: SesStats = fetch(f"{url}/_laptop/stats")
    return counters


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
