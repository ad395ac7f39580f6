"""`python -m tests.fuzz`: hostile events through the real handlers; prints the worst, and what must not be.

Exit code 1: an event crashed a handler, gave an answer that cannot be sent, or took more than it may.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from infra import mail
from tests.fuzz.events import honest, hostile, mutated
from tests.fuzz.trial import MEMORY_MAX, SECONDS_MAX, Trial, tried


def main() -> int:
    """Try every hostile class and the mutations of many seeds; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many mutations")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--only", help="the classes whose name holds this, and no mutations")
    parser.add_argument("--shown", type=int, default=10, help="the worst events that are shown")
    chosen = parser.parse_args()
    mail.build()
    every = hostile() | honest()
    events = {n: m for n, m in every.items() if not chosen.only or chosen.only in n}
    if not chosen.only:
        seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
        events |= {f"seed {seed}": mutated(seed) for seed in seeds}
    trials = {name: tried(message) for name, message in events.items()}
    return report(trials, chosen.shown)


def report(trials: dict[str, Trial], shown: int) -> int:
    """Print the ends, the worst events and the faults; return the exit code."""
    print(dict(Counter(trial.end or "fault" for trial in trials.values())))
    for figure, most in (("memory", MEMORY_MAX), ("seconds", SECONDS_MAX), ("answer", 0)):
        print(f"\nworst {figure}" + (f" (at most {most})" if most else " (bytes)"))
        for name in sorted(trials, key=lambda n: -vars(trials[n])[figure])[:shown]:
            trial = trials[name]
            print(
                f"  {trial.memory:6.1f} MB {trial.seconds:6.3f} s {trial.answer:8}"
                f"  {trial.end:9} {name!a}"
            )
    faults = {name: trial.fault for name, trial in trials.items() if trial.fault}
    for name, trial in trials.items():
        if name in honest() and trial.end != "mail":
            faults.setdefault(name, f"is honest, and {trial.end}: {trial.reasons[:2]}")
        for figure, most in (("memory", MEMORY_MAX), ("seconds", SECONDS_MAX)):
            if (value := vars(trial)[figure]) > most:
                faults.setdefault(name, f"{figure} {value:.2f}")
    print(f"\n{len(faults)} of {len(trials)} events are harmful")
    for name, fault in faults.items():
        print(f"  {name!a}: {fault}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
