"""The deployed local stack, at a rate that a laptop's Lambdas can follow."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from infra.local.running_stack import RunningStack, until
from infra.local.settings import LocalSettings
from infra.local.stack import running
from tests.bench.pacing.result import OVERLOAD, Result, Stopwatch, offered_event


def deployed(rate: float, seconds: float) -> Result:
    """Offer more than the rate to a freshly deployed local stack, then wait until all went out."""
    with tempfile.TemporaryDirectory() as folder:
        settings = LocalSettings.on_free_ports(Path(folder) / "stack", environment_suffix="pace")
        with running(settings) as plan:
            return _offer(RunningStack(plan), rate, seconds)


def _offer(stack: RunningStack, rate: float, seconds: float) -> Result:
    stack.ses("settings", {"rate": rate})
    offered = round(OVERLOAD * rate * seconds)
    watch, start = Stopwatch(lambda: stack.ses("stats")), time.monotonic()
    for number in range(offered):
        stack.publish(offered_event(number))
        time.sleep(max(0.0, start + (number + 1) / (OVERLOAD * rate) - time.monotonic()))
    watched = watch.stop()
    until(lambda: stack.waiting("email-order-queue") == 0, seconds=20 * seconds)
    return Result(
        way="deployed",
        rate=rate,
        watched=watched,
        offered=offered,
        accepted=stack.ses("stats")["accepted"],
        dead_letters=stack.waiting("email-order-dlq"),
    )
