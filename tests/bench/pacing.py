"""How close to the permitted rate the mails go out under overload: `python -m tests.bench.pacing`.

Twice the permitted load is offered. At each rate the real dispatcher, as many at once as
`MaximumConcurrency` lets, paces through the real table item (moto's); each mail runs through the real
steps; SES is the laptop's, over HTTP, in a process of its own, with its token bucket. It all runs in
two processes, since a laptop cannot start fifty mails a second through five Lambdas each; an
execution is made to last as long as on AWS. `--deployed` adds a run at 1/s through the deployed stack.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

EXECUTION = 0.4
"""Seconds that an execution lasts on AWS, beside SES itself: five warm steps and three writes."""

WARM_UP = 15.0
"""Seconds before the measurement: SES's bucket is full at first, the dispatchers' line empty, and the
deployed functions are cold, which bunches the first mails up so that SES throttles some of them."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run attained; `accepted`, `calls` and `throttled` are those of the measured `seconds`."""

    way: str
    rate: float
    dispatchers: int
    seconds: float
    accepted: int
    calls: int
    throttled: int
    offered: int
    lost: int
    dead_letters: int

    @property
    def attained(self) -> float:
        """Mails accepted a second / mails permitted a second, after the warm-up."""
        return self.accepted / self.seconds / self.rate

    @property
    def good(self) -> bool:
        """Whether the targets are met: 90% of the rate, 5% throttled, none lost or given up."""
        return (
            self.attained >= 0.9
            and self.throttled <= 0.05 * self.calls
            and not self.lost
            and not self.dead_letters
        )

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.way:<10} {self.rate:>7g}/s {self.offered:>8} {self.dispatchers:>11} "
            f"{self.attained:>9.1%} {self.throttled / self.calls:>10.1%} {self.lost:>5} "
            f"{self.dead_letters:>12}  {'' if self.good else 'TARGET MISSED'}"
        )


HEADING = (
    f"{'way':<10} {'permitted':>9} {'offered':>8} {'dispatchers':>11} {'attained':>9} "
    f"{'throttled':>10} {'lost':>5} {'dead letters':>12}"
)


# --- SES, alone in a process ----------------------------------------------------------------------


def serve_ses(port: int, rate: float) -> None:
    """Serve the laptop's SES with no emulator and no inbox behind it."""
    from infra.local.ses.core import Ses  # noqa: PLC0415 - this process alone needs them
    from infra.local.ses.server import Server  # noqa: PLC0415
    from infra.local.ses.settings import SesSettings  # noqa: PLC0415
    from infra.local.ses.upstream import Answer, ConfigurationSet, Upstream  # noqa: PLC0415

    class Alone:
        account, region = "000000000000", "us-east-1"

        def forward(self, *_: object) -> Answer:
            return Answer(200, {}, b"{}")

        def identity_arn(self, address: str) -> tuple[str, bool]:
            return f"arn:aws:ses:us-east-1:000000000000:identity/{address}", True

        def configuration_set(self, _name: str | None) -> ConfigurationSet:
            return ConfigurationSet(sending_enabled=True, suppressed_reasons=[], destinations=[])

    ses = Ses(cast("Upstream", Alone()), ("127.0.0.1", 9), SesSettings(rate=rate, daily_quota=1e6))
    Server(port, ses).serve_forever()


@contextmanager
def ses_process(rate: float) -> Iterator[str]:
    """Run `serve_ses` for the length of the block; give its address."""
    from infra.local.loopback import free_ports  # noqa: PLC0415

    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.pacing", "--serve-ses", str(port), str(rate)]
    )
    try:
        while True:
            try:
                stats(url)
            except OSError:
                time.sleep(0.05)
            else:
                break
        yield url
    finally:
        process.terminate()
        process.wait()


def stats(url: str) -> dict[str, Any]:
    """Ask the laptop's SES for its counters."""
    from infra.local.loopback import fetch  # noqa: PLC0415

    found: dict[str, Any] = fetch(f"{url}/_laptop/stats")
    return found


# --- in process -----------------------------------------------------------------------------------


def in_process(rate: float, seconds: float, dispatchers: int) -> Result:
    """Offer twice the rate to so many dispatchers for `WARM_UP + seconds`, then let all go out."""
    import pytest  # noqa: PLC0415
    from moto import mock_aws  # noqa: PLC0415

    from steps.aws.pace import Pace  # noqa: PLC0415
    from steps.contract.handler import logger, metrics  # noqa: PLC0415
    from steps.dispatch import Dispatcher  # noqa: PLC0415
    from tests.conftest import load_event  # noqa: PLC0415
    from tests.support.in_memory_aws import SES, TABLE, tracking_table  # noqa: PLC0415
    from tests.support.order_queue import QueueInMemory, WorkflowInProcess  # noqa: PLC0415

    logger.setLevel("CRITICAL")
    queue, order = QueueInMemory(time.time), load_event("order")
    pace = Pace(TABLE.name)

    class AsLongAsOnAws(WorkflowInProcess):
        def run(self, *, name: str, request: str) -> Any:
            ended = super().run(name=name, request=request)
            time.sleep(EXECUTION)
            return ended

    workflow = AsLongAsOnAws(clock=time.time, sleep=time.sleep, table=TABLE, ses=SES)
    dispatcher = Dispatcher(workflow=workflow, queue=queue.door, pace=pace)

    offered = 0
    stop_offering, stop = threading.Event(), threading.Event()

    def offer() -> None:
        nonlocal offered
        start = time.monotonic()
        while not stop_offering.wait(0.05):
            due = int((time.monotonic() - start) * 2 * rate) + 1
            queue.publish(*(_event(order, n) for n in range(offered, due)))
            offered = due

    def dispatch() -> None:
        while not stop.is_set():
            if not queue.run(dispatcher):
                time.sleep(0.02)

    with ses_process(rate) as url, mock_aws(), pytest.MonkeyPatch.context() as patch:
        tracking_table(patch)
        patch.setenv("AWS_ENDPOINT_URL_SESV2", url)
        patch.setattr(metrics, "add_metric", lambda *_: None)
        threads = [threading.Thread(target=dispatch) for _ in range(dispatchers)]
        offering = threading.Thread(target=offer)
        for thread in (*threads, offering):
            thread.start()
        time.sleep(WARM_UP)
        before, since = stats(url), time.monotonic()
        time.sleep(seconds)
        after, measured = stats(url), time.monotonic() - since
        stop_offering.set()
        offering.join()
        deadline = time.monotonic() + 3 * (WARM_UP + seconds) + 120
        while queue.messages and time.monotonic() < deadline:
            time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
        total = stats(url)
    return Result(
        way="in process",
        rate=rate,
        dispatchers=dispatchers,
        seconds=measured,
        accepted=after["accepted"] - before["accepted"],
        calls=after["calls"] - before["calls"],
        throttled=after["throttled"] - before["throttled"],
        offered=offered,
        lost=offered - total["accepted"],
        dead_letters=len(queue.dead_letters),
    )


def _event(order: dict[str, Any], number: int) -> str:
    # The simulator's mailboxes: nothing is delivered, so that the inbox is not what is measured.
    address = f"bounce+{number}@simulator.amazonses.com"
    return json.dumps(order | {"orderId": f"PACE-{number}", "customerEmail": address})


# --- deployed -------------------------------------------------------------------------------------


def deployed(rate: float, seconds: float) -> Result:
    """Offer twice the rate to a deployed local stack, all at once, and wait until all went out."""
    from infra.local.running_stack import RunningStack, until  # noqa: PLC0415
    from infra.local.settings import LocalSettings  # noqa: PLC0415
    from infra.local.stack import running  # noqa: PLC0415
    from tests.conftest import load_event  # noqa: PLC0415

    order, offered = load_event("order"), round(2 * rate * (WARM_UP + seconds))
    with tempfile.TemporaryDirectory() as folder:
        settings = LocalSettings.on_free_ports(Path(folder) / "stack", environment_suffix="pace")
        with running(settings) as plan:
            stack = RunningStack(plan)
            stack.ses("settings", {"rate": rate})
            start = time.monotonic()
            for number in range(offered):
                stack.publish(_event(order, number))
                time.sleep(max(0.0, start + number / (2 * rate) - time.monotonic()))
                if number == round(2 * rate * WARM_UP):
                    before, since = stack.ses("stats"), time.monotonic()
            after, measured = stack.ses("stats"), time.monotonic() - since
            until(lambda: stack.waiting("email-order-queue") == 0, seconds=20 * seconds)
            total = stack.ses("stats")
            return Result(
                way="deployed",
                rate=rate,
                dispatchers=5,
                seconds=measured,
                accepted=after["accepted"] - before["accepted"],
                calls=after["calls"] - before["calls"],
                throttled=after["throttled"] - before["throttled"],
                offered=offered,
                lost=offered - total["accepted"],
                dead_letters=stack.waiting("email-order-dlq"),
            )


def main() -> int:
    """Return the exit status: 0 when each run met the targets."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pacing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="measured, of each run")
    parser.add_argument(
        "--deployed", action="store_true", help="1/s through the deployed stack, too"
    )
    parser.add_argument("--serve-ses", nargs=2, metavar=("PORT", "RATE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve_ses:
        serve_ses(int(asked.serve_ses[0]), float(asked.serve_ses[1]))
        return 0
    print(HEADING, flush=True)
    results = []
    for rate, dispatchers in ((1, 5), (14, 5), (50, 5)):
        results.append(in_process(rate, asked.seconds, dispatchers))
        print(results[-1].row(), flush=True)
    if asked.deployed:
        results.append(deployed(1, asked.seconds))
        print(results[-1].row(), flush=True)
    return 0 if all(r.good for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
