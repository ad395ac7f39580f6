"""`python -m tests.simulation`: search the histories of many seeds, print what breaks the promise, shrunk.

Exit code 1: a promise was broken.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from infra import mail
from tests.simulation.faults import FAULTS, KINDS, Plan
from tests.simulation.judge import Violation, violations
from tests.simulation.shrink import Shrinker
from tests.simulation.world import World


@dataclass
class Result:
    """What a seed's world came to."""

    plan: Plan
    lives: int
    violations: list[Violation]
    strikes: Counter[str] = field(default_factory=Counter)


def live(plan: Plan) -> Result:
    """Let a plan's orders live, and judge them."""
    world = World(plan)
    world.run()
    struck = Counter(
        strike.split(":", 2)[1] + ":" + strike.rpartition(":")[2]
        for dice in (world.dice, *(life.dice for life in world.lives))
        for strike in dice.strikes
    )
    return Result(plan, len(world.lives), violations(world), struck)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--orders", type=int, default=1000, help="lives in each")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--only", type=int, nargs="+", help="the orders that live at all")
    parser.add_argument("--strikes", nargs="+", help="the strikes that may happen, as printed")
    parser.add_argument(
        "--faults", nargs="+", help=f"the kinds that may strike, of {sorted(KINDS)}"
    )
    parser.add_argument("--storm", type=float, help="how much goes wrong in every life, such as 4")
    parser.add_argument("--promise", help="show only what breaks this promise")
    parser.add_argument("--shown", type=int, default=1, help="histories of each broken promise")
    parser.add_argument(
        "--keep-going", action="store_true", help="do not stop after 1,000 violations"
    )
    return parser.parse_args()


def main() -> int:
    """Run the seeds; return the exit code."""
    options = arguments()
    begun = time.perf_counter()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    plans = [
        Plan(
            seed=seed,
            orders=options.orders,
            only=options.only,
            strikes=options.strikes,
            kinds=options.faults,
            storm=options.storm,
        )
        for seed in seeds
    ]
    found: list[tuple[Plan, Violation]] = []
    strikes: Counter[str] = Counter()
    lives = 0
    print(f"seeds {seeds[0]} to {seeds[-1]}, {options.orders} orders each", flush=True)
    with multiprocessing.Pool(options.processes) as pool:
        told = begun
        for done, result in enumerate(pool.imap(live, plans), 1):
            lives += result.lives
            strikes += result.strikes
            found += [(result.plan, violation) for violation in result.violations]
            if (now := time.perf_counter()) - told > 5 or done == len(seeds):
                told = now
                speed = lives / (now - begun)
                print(
                    f"seed {result.plan.seed}: {lives:,} lives, {speed:,.0f} a second,"
                    f" {len(found)} violations",
                    flush=True,
                )
            if len(found) > 1_000 and not options.keep_going:
                print("that is enough", flush=True)
                pool.terminate()
                break
    _tell_strikes(strikes)
    _tell(found, options)
    return 1 if found else 0


def _tell_strikes(strikes: Counter[str]) -> None:
    for site, kinds in FAULTS.items():
        if kinds:
            told = ", ".join(f"{kind} {strikes[f'{site}:{kind}']:,}" for kind, _ in kinds)
            print(f"{site:>11}: {told}")


def _tell(found: list[tuple[Plan, Violation]], options: argparse.Namespace) -> None:
    """Print a few histories of each promise that was broken, shrunk."""
    found.sort(key=lambda pair: (pair[1].promise, pair[0].seed))
    for promise, same in itertools.groupby(found, key=lambda pair: pair[1].promise):
        group = list(same)
        if options.promise and options.promise not in promise:
            continue
        print(f"\n=== {promise}: broken {len(group)} times")
        details = Counter(violation.detail for _, violation in group)
        for detail, times in details.most_common(6):
            print(f"    {times} x {detail}")
        for plan, violation in group[: options.shown]:
            shrinker = Shrinker(plan, violation)
            if plan.only and plan.strikes:
                print(shrinker.told(tuple(plan.only), tuple(plan.strikes)))
            else:
                print(shrinker.shrink() or "not seen again")


if __name__ == "__main__":
    mail.build()
    sys.exit(main())
