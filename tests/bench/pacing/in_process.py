"""The dispatchers and the steps in this process, as many mails at once as the rate asks for."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from steps.aws.pace import Pace
from steps.contract.handler import logger, metrics
from steps.dispatch import Dispatcher
from tests.bench.pacing import ses
from tests.bench.pacing.result import WARM_UP, Result, Stopwatch, offered_event
from tests.support.in_memory_aws import SES, TABLE, mocked_aws
from tests.support.order_queue import QueueInMemory, WorkflowInProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steps.aws.workflow import OrderExecution

EXECUTION = 0.4
"""Seconds that an execution lasts on AWS, beside SES itself: five warm steps and three writes."""


class AsLongAsOnAws(WorkflowInProcess):
    """Executions that last as long as on AWS."""

    def run(self, *, name: str, request: str) -> OrderExecution:
        execution = super().run(name=name, request=request)
        time.sleep(EXECUTION)
        return execution


def in_process(rate: float, seconds: float, dispatchers: int) -> Result:
    """Offer twice the rate to so many dispatchers for `WARM_UP + seconds`, then let all go out."""
    queue = QueueInMemory(time.time)
    with ses.serving(rate) as url, _environment(url):
        with _dispatching(queue, dispatchers):
            with _offering(queue, 2 * rate) as offered:
                time.sleep(WARM_UP)
                stopwatch = Stopwatch(partial(ses.stats, url))
                time.sleep(seconds)
                measured = stopwatch.stop()
            deadline = time.monotonic() + 3 * (WARM_UP + seconds) + 120
            while queue.messages and time.monotonic() < deadline:
                time.sleep(0.2)
        accepted = ses.stats(url)["accepted"]
    return Result(
        way="in process",
        rate=rate,
        dispatchers=dispatchers,
        measured=measured,
        offered=offered(),
        accepted=accepted,
        dead_letters=len(queue.dead_letters),
    )


@contextmanager
def _environment(ses_url: str) -> Iterator[None]:
    with mocked_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_SESV2", ses_url)
        patch.setattr(metrics, "add_metric", lambda *_: None)
        logger.setLevel("CRITICAL")
        yield


@contextmanager
def _dispatching(queue: QueueInMemory, dispatchers: int) -> Iterator[None]:
    """Let so many dispatchers take batches for the length of the block."""
    workflow = AsLongAsOnAws(clock=time.time, sleep=time.sleep, table=TABLE, ses=SES)
    dispatcher = Dispatcher(workflow=workflow, queue=queue.door, pace=Pace(TABLE.name), table=TABLE)

    def dispatch(stop: threading.Event) -> None:
        while not stop.is_set():
            if not queue.run(dispatcher):
                time.sleep(0.02)

    with _threads(dispatch, dispatchers):
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
