"""Runs the benchmark."""

from __future__ import annotations

import argparse
import sys

from infra import mail
from tests.bench import pacing
from tests.bench.pacing.deployed import deployed
from tests.bench.pacing.in_process import in_process
from tests.bench.pacing.result import HEADING


def main() -> int:
    """Return the exit status: 0 when each run met the targets."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.pacing", description=pacing.__doc__
    )
    parser.add_argument("--seconds", type=float, default=30, help="measured, of each run")
    parser.add_argument(
        "--deployed", action="store_true", help="1/s through the deployed stack, too"
    )
    options = parser.parse_args()
    mail.build()
    print(HEADING, flush=True)
    results = []
    for rate, dispatchers in ((1, 5), (14, 5), (50, 5)):
        results.append(in_process(rate, options.seconds, dispatchers))
        print(results[-1].row(), flush=True)
    if options.deployed:
        results.append(deployed(1, options.seconds))
        print(results[-1].row(), flush=True)
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
