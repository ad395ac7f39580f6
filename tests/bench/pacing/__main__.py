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
    parser.add_argument("--seconds", type=float, default=300, help="of overload in each run")
    parser.add_argument("--rates", type=float, nargs="*", default=[1, 14, 50], help="in process")
    parser.add_argument(
        "--deployed", type=float, nargs="*", default=[], help="rates through the deployed stack"
    )
    options = parser.parse_args()
    mail.build()
    print(HEADING, flush=True)
    results = []
    for run, rates in ((in_process, options.rates), (deployed, options.deployed)):
        for rate in rates:
            results.append(run(rate, options.seconds))
            print(results[-1].row(), flush=True)
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
