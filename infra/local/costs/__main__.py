"""Prints what the system costs.

python -m infra.local.costs the tables, from `steps/reports/usage.json` python -m infra.local.costs count 100
first counts: 20 orders one by one and 100 at once, on the running stack
"""

from __future__ import annotations

import sys

from rich.console import Console

from infra.local.costs import count, model, tables
from infra.local.programs import Plan
from infra.local.running_stack import RunningStack
from infra.local.settings import LocalSettings

ALONE = 20


def main() -> int:
    """Print the tables; with `count N`, count first."""
    if sys.argv[1:2] == ["count"]:
        plan = Plan.find(LocalSettings.read().state_dir)
        if plan is None:
            print("make costs: no local stack runs; `make up` starts one", file=sys.stderr)
            return 1
        model.save(count.run(RunningStack(plan), ALONE, int(sys.argv[2])))
    tables.show(Console(width=120))
    return 0


if __name__ == "__main__":
    sys.exit(main())
