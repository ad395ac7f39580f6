"""How long the first mail after an idle night takes: `python -m tests.bench.cold [bundle of the laptop]`.

Every function of its path starts cold, one after the other: the interpreter, the runtime client, the imports,
the clients, the first invocation. Printed is the CPU time, and what it takes with each function's memory
(`infra.function`): with its share of a vCPU all along, and with a whole one until its handler is there.

Not in it: what Lambda takes to make room and to load the bundle (some 100 ms a function), the round trips of
TLS, SQS's and Step Functions' own time, and how a vCPU of Graviton compares to this machine's core.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from infra.function import memory
from tests.bench import functions
from tests.bench.functions import PATH, WAITS, cold_seconds
from tests.bench.imports import bundles


def main() -> None:
    """Measure, and print a line for each function of the path, and their sum."""
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(sys.argv[1]).absolute() if sys.argv[1:] else None
        taken = functions.least(given or bundles(Path(scratch))["deployed"])
    print("              init   first     TLS   MB     share     burst   peak MB")
    sums = [0.0, 0.0]
    for name in PATH:
        each, megabytes = taken[name], memory(name, large=False)
        wait = WAITS.get(name, 2 * functions.DYNAMODB + functions.EXPRESS)
        seconds = [
            cold_seconds(name, each, megabytes, burst=burst) + wait for burst in (False, True)
        ]
        sums = [total + one for total, one in zip(sums, seconds, strict=True)]
        tls = each.tls * functions.CLIENTS[name]
        print(
            f"{name:10} {each.init * 1000:5.0f} ms {each.first * 1000:4.0f} ms {tls * 1000:4.0f} ms"
            f" {megabytes:4}   {seconds[0]:5.2f} s   {seconds[1]:5.2f} s   {each.memory:4.0f}"
        )
    print(f"{'the mail':39}   {sums[0]:5.2f} s   {sums[1]:5.2f} s")


if __name__ == "__main__":
    main()
