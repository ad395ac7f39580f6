"""How much memory each function should have: `python -m tests.bench.power_tuning [--quota] [bundle]`.

From the CPU time that each takes, and what it waits for AWS, follow its duration and price for each memory,
and what a cold start adds to the first mail (`tests.bench.cold`). The best memories are the cheapest ones
with which that mail takes at most `FIRST_MAIL` seconds, even where a function that starts has no more than its
share of a vCPU.

`--quota` runs each function under the share of a core that it would have (Linux's cgroups, as root), to see
whether the model holds; the server takes AWS's time then.

Not in it: what the runtime takes for each invocation beside ours (1 or 2 ms of CPU), how a vCPU of Graviton
compares to this machine's core, and the requests' own price, which memory does not change.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra import function
from steps.contract import limits
from tests.bench import functions
from tests.bench.functions import DYNAMODB, MEMORIES, PATH, STEPS, WAITS, cold_seconds, warm_seconds
from tests.bench.imports import bundles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.bench.functions import Taken

FIRST_MAIL = 3.0
GB_SECOND = 0.0000133334
"""USD, on arm64 (AWS Lambda's price list, us-east-1)."""
INVOCATIONS = {"dispatch": 1.0, "feedback": 2 / limits.FEEDBACK_BATCH}
"""Of a mail; all others have one. At a million a day they come to the dispatchers one by one."""
ORDINARY_PATH = (*PATH, "feedback")
PERIOD = 20_000
"""Microseconds; Lambda's own are not known."""


def execution(taken: Mapping[str, Taken], memory: Mapping[str, int]) -> float:
    """Return what a warm execution of the workflow takes, in seconds."""
    steps = sum(warm_seconds(taken[name], memory[name], WAITS[name]) for name in STEPS)
    return steps + functions.EXPRESS


def duration(name: str, taken: Mapping[str, Taken], memory: Mapping[str, int]) -> float:
    """Return what a warm invocation is billed for."""
    wait = WAITS.get(name) or (name == "dispatch" and 2 * DYNAMODB + execution(taken, memory)) or 0
    return warm_seconds(taken[name], memory[name], wait)


def price(name: str, taken: Mapping[str, Taken], memory: Mapping[str, int]) -> float:
    """Return what a function's time costs for a million mails, in USD."""
    gb_seconds = duration(name, taken, memory) * memory[name] / 1024
    return gb_seconds * INVOCATIONS.get(name, 1) * GB_SECOND * 1e6


def total(taken: Mapping[str, Taken], memory: Mapping[str, int]) -> float:
    """Return what all functions' time costs for a million mails, in USD."""
    return sum(price(name, taken, memory) for name in ORDINARY_PATH)


def first_mail(taken: Mapping[str, Taken], memory: Mapping[str, int]) -> float:
    """Return how long the first mail takes, in seconds."""
    started = sum(cold_seconds(name, taken[name], memory[name]) for name in PATH)
    waited = sum(WAITS[name] for name in STEPS) + 2 * DYNAMODB + functions.EXPRESS
    return started + waited


def best(taken: Mapping[str, Taken]) -> dict[str, int]:
    """Return the cheapest memories whose first mail is in time, of all combinations with twice the peak."""
    rooms = [[memory for memory in MEMORIES if memory >= 2 * taken[name].memory] for name in PATH]
    found = (
        dict(zip(PATH, chosen, strict=True))
        | {"feedback": function.memory("feedback", large=False)}
        for chosen in itertools.product(*rooms)
    )
    in_time = (memory for memory in found if first_mail(taken, memory) <= FIRST_MAIL)
    return min(in_time, key=lambda memory: total(taken, memory))


@contextmanager
def _quota(memory: int) -> Iterator[Path]:
    """Make a group of processes that has a function's share of a core."""
    root, v1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu")
    group = (v1 if v1.exists() else root) / f"power-tuning-{os.getpid()}"
    group.mkdir()
    try:
        rationed = round(functions.share(memory) * PERIOD)
        if v1.exists():
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(rationed))
        else:
            (group / "cpu.max").write_text(f"{rationed} {PERIOD}")
        yield group
    finally:
        group.rmdir()


def check(bundle: Path, taken: Mapping[str, Taken]) -> None:
    """Print each function's duration under a quota, beside the model's."""
    print("\nmeasured under a quota, and as computed, in ms")
    given = functions.events()
    for memory in (128, 256, 512):
        with functions.answering(delays=True) as url, _quota(memory) as group:
            for name in ORDINARY_PATH:
                real = functions.measure(name, given[name], bundle, url, times=10, within=group)
                wait = WAITS.get(name, 2 * DYNAMODB + functions.EXECUTION)
                model = warm_seconds(taken[name], memory, wait)
                print(f"  {name:10} {memory:4} MB {real.wall * 1000:6.0f} {model * 1000:6.0f}")


def main() -> None:
    """Measure and print."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--quota"]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(arguments[0]).absolute() if arguments else bundles(Path(scratch))["deployed"]
        taken = functions.least(bundle)
        print("billed ms of a warm invocation, and USD for a million mails")
        print(f"{'':10} {'CPU ms':>7}" + "".join(f"{memory:>8} MB " for memory in MEMORIES))
        for name in ORDINARY_PATH:
            cells = ""
            for memory in MEMORIES:
                alike = dict.fromkeys(ORDINARY_PATH, memory)
                ms, usd = duration(name, taken, alike) * 1000, price(name, taken, alike)
                cells += f"{ms:6.0f} {usd:4.2f}"
            print(f"{name:10} {taken[name].warm * 1000:7.1f} {cells}")
        choices = {f"all {memory}": dict.fromkeys(ORDINARY_PATH, memory) for memory in MEMORIES}
        choices |= {
            **{
                title: {name: function.memory(name, large=large) for name in ORDINARY_PATH}
                for title, large in {"deployed": False, "large shop": True}.items()
            },
            "best": best(taken),
        }
        print("\n              first mail   USD for a million mails")
        for title, chosen in choices.items():
            print(
                f"  {title:10} {first_mail(taken, chosen):6.2f} s     {total(taken, chosen):6.2f}"
            )
        print(f"  best: {choices['best']}")
        if "--quota" in sys.argv:
            check(bundle, taken)


if __name__ == "__main__":
    main()
