"""Processes in virtual time: each runs one invocation of a function, and may be killed at any call of AWS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.life import Life


class Died(BaseException):
    """The process was killed: nothing after this ran, not even an `except`. Its text: Lambda's error."""


class InjectedBug(Exception):
    """A bug that a fault brought; any other exception is a real one."""


class TaskFailed(Exception):
    """A task of the workflow failed with the error of this name."""


@dataclass
class Invocation:
    """One run of a function. Metrics are flushed at its end, and lost when it is killed.

    said_so_at: when it wrote that it is about to call SES.
    put_off: something about the whole batch of a dispatcher may make its messages come back.
    """

    function: str
    deadline: float
    counts: list[tuple[str, float]] = field(default_factory=list)
    killed: bool = False
    dead_letters: list[Life] = field(default_factory=list)
    put_off: bool = False
    began: float = 0.0
    said_so_at: float | None = None


class Process(greenlet.greenlet):
    """A process in virtual time, about `life`, running `invocation`."""

    def __init__(self, run: Callable[[], object], life: Life, invocation: Invocation) -> None:
        super().__init__(run)
        self.life, self.invocation = life, invocation


def running() -> Process:
    """Return the process that runs."""
    process = greenlet.getcurrent()
    assert isinstance(process, Process)
    return process
