"""The dispatchers and the steps in this process, as many mails at once as the rate asks for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from steps.aws.ledger_table import LedgerTable
from steps.aws.ses import sesv2
from steps.contract.handler import logger, metrics
from steps.dispatch import Dispatcher
from tests.bench.pacing import ses
from tests.bench.pacing.result import DISPATCHERS, OVERLOAD, Result, Stopwatch, offered_event
from tests.support.in_memory_aws import CREDENTIALS, SES
from tests.support.order_queue import QueueInMemory, WorkflowInProcess
from tests.support.pace_in_memory import PaceInMemory, PaceItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steps.ledger.rules import Put, Record, Update

COLD_START = 1.0
"""Seconds that a function takes longer where no instance of it is idle."""

STEP = 0.08
"""Seconds of a step on AWS, beside SES itself: five of them and three writes take 0.4."""


class GrantsAll(LedgerTable):
    """Grants every claim at once: what is measured is the pacing."""

    def write(self, _request: Put | Update) -> Record | None:
        return None


@dataclass(frozen=True, kw_only=True)
class AsOnAws(WorkflowInProcess):
    """Executions whose steps start and last as on AWS: a function has as many instances as it needed yet."""

    idle: Counter[str] = field(default_factory=Counter)

    def _run_once(self, state: str, state_input: Any, owner: str) -> object:
        cold = not self.idle[state]
        if not cold:
            self.idle[state] -= 1
        time.sleep(COLD_START * cold)
        try:
            return super()._run_once(state, state_input, owner)
        finally:
            time.sleep(STEP)
            self.idle[state] += 1


def in_process(rate: float, seconds: float) -> Result:
    """Offer more than the rate to cold dispatchers for so long, then let all go out."""
    queue = QueueInMemory(time.time)
    with ses.serving(rate) as url, _environment(url):
        with _dispatching(queue):
            watch = Stopwatch(partial(ses.stats, url))
            with _offering(queue, OVERLOAD * rate) as offered:
                time.sleep(seconds)
                watched = watch.stop()
            deadline = time.monotonic() + 3 * seconds + 120
            while queue.messages and time.monotonic() < deadline:
                time.sleep(0.2)
        accepted = ses.stats(url)["accepted"]
    return Result(
        way="in process",
        rate=rate,
        watched=watched,
        offered=offered(),
        accepted=accepted,
        dead_letters=len(queue.dead_letters),
    )


@contextmanager
def _environment(ses_url: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in CREDENTIALS.items():
            patch.setenv(variable, value)
        sesv2.cache_clear()
        patch.setenv("AWS_ENDPOINT_URL_SESV2", ses_url)
        patch.setattr(metrics, "add_metric", lambda *_: None)
        logger.setLevel("CRITICAL")
        yield


@contextmanager
def _dispatching(queue: QueueInMemory) -> Iterator[None]:
    """Let dispatchers take batches for the length of the block, each with a memory of its own."""
    workflow = AsOnAws(clock=time.time, sleep=time.sleep, table=GrantsAll(""), ses=SES)
    item = PaceItem(time.time)

    def dispatch(stop: threading.Event) -> None:
        dispatcher = Dispatcher(
            workflow=workflow,
            queue=queue.door,
            pace=PaceInMemory(item=item),
            table=GrantsAll(""),
        )
        while not queue.messages:
            time.sleep(0.02)
        time.sleep(COLD_START)
        while not stop.is_set():
            if not queue.run(dispatcher.run_batch):
                time.sleep(0.02)

    with _threads(dispatch, DISPATCHERS):
        yield


@contextmanager
def _offering(queue: QueueInMemory, rate: float) -> Iterator[Callable[[], int]]:
    """Publish orders at this rate for the length of the block; give the count of them."""
    offered = 0

    def offer(stop: threading.Event) -> None:
        nonlocal offered
        start = time.monotonic()
        while not stop.wait(0.05):
            due = int((time.monotonic() - start) * rate) + 1
            queue.publish(*map(offered_event, range(offered, due)))
            offered = due

    with _threads(offer, 1):
        yield lambda: offered


@contextmanager
def _threads(run: Callable[[threading.Event], None], count: int) -> Iterator[None]:
    """Run in so many threads for the length of the block; the event tells them to stop."""
    stop = threading.Event()
    threads = [threading.Thread(target=run, args=(stop,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
