"""Command line of `make chaos`."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from infra.local.settings import LocalSettings
from infra.local.stack import StackError, running
from tests.local import chaos
from tests.local.chaos.run import SETTINGS, run


def main() -> int:
    """Return the exit status: 0 when the promise was kept."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.local.chaos",
        description=chaos.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--orders", type=int, default=1000, help="distinct orders")
    parser.add_argument("--seed", type=int, default=1, help="of all dice")
    asked = parser.parse_args()
    say = Console(highlight=False, width=100)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        settings = LocalSettings.on_free_ports(
            Path(folder) / "stack", environment_suffix="chaos", faults=True
        )
        try:
            with running(settings, say=say.print) as plan:
                return 0 if run(plan, count=asked.orders, seed=asked.seed, say=say).good else 1
        except StackError as error:
            print(f"make chaos: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
