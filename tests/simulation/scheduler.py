"""Virtual time: processes are greenlets that run until they sleep; the next to wake up runs next."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Generic, TypeVar

import greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


class Scheduler:
    """The clock (epoch seconds), and what is to happen at which time; ties go by age."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._hub = greenlet.getcurrent()

    def at(self, moment: float, happen: Callable[[], object]) -> None:
        """Let something happen that takes no time itself."""
        heapq.heappush(self._heap, (moment, next(self._numbers), happen))

    def start(self, process: greenlet.greenlet, delay: float = 0) -> None:
        """Let a process run from now on, or from `delay` seconds on."""
        process.parent = self._hub
        self.at(self.now + delay, process.switch)

    def sleep(self, seconds: float) -> None:
        """Let the running process go on later."""
        self.at(self.now + seconds, greenlet.getcurrent().switch)
        self._hub.switch()

    def pause(self) -> None:
        """Let the running process go on when something switches to it."""
        self._hub.switch()

    def run(self, until: float) -> bool:
        """Let everything happen; return whether nothing is left to happen before `until`."""
        heap = self._heap
        while heap:
            if heap[0][0] > until:
                return False
            self.now, _, happen = heapq.heappop(heap)
            happen()
        return True


class Future(Generic[Answer]):
    """An answer that one process waits for; the first one counts."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: greenlet.greenlet | None = None
        self.answer: Answer | None = None

    def set(self, answer: Answer) -> None:
        """Give the answer, unless there is one."""
        if self.answer is None:
            self.answer = answer
            self._wake()

    def wait(self, seconds: float) -> Answer | None:
        """Wait for the answer; None where it does not come within `seconds`."""
        if self.answer is None:
            self._waiting = greenlet.getcurrent()
            self._scheduler.at(self._scheduler.now + seconds, self._wake)
            self._scheduler.pause()
        return self.answer

    def _wake(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, None
            self._scheduler.at(self._scheduler.now, waiting.switch)
