"""One event through the real handlers, in a process of its own: what it takes, and whether all is well.

The processes are forked from one that has handled an ordinary event: what they take more is this event's.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from steps import render, validate
from steps.contract import limits
from steps.dispatch import execution_name
from tests.fuzz.events import size
from tests.support.lambda_context import lambda_context

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from steps.contract.state import State, StepEvent

MEMORY_MAX, SECONDS_MAX = 100.0, 0.3
"""MB and seconds of a core that the worst event may take."""

PATIENCE = 60
"""Seconds after which a trial is over, whatever it does."""


@dataclass(frozen=True)
class Trial:
    """What became of an event, at which cost; `fault` says what must not be.

    end: "mail", "rejected" or "too large"; `reasons` of a rejection are "path: reason".
    memory: MB more than before, at the most. seconds: processor time. answer: bytes of the largest answer.
    """

    end: str = ""
    reasons: tuple[str, ...] = ()
    memory: float = 0.0
    seconds: float = 0.0
    answer: int = 0
    fault: str = ""


def encoded(answer: object) -> bytes:
    """Encode a handler's answer as Lambda's runtime client does since Python 3.12: UTF-8, nothing escaped."""
    return json.dumps(answer, ensure_ascii=False).encode()


def handled(message: str) -> Trial:
    """Take a message through Dispatch's naming, Validate and Render, as the workflow does."""
    name = execution_name(message, "c6af9ac6-7b61", 1)
    if not 0 < len(name) <= 80 or not name.isascii():
        return Trial(fault=f"execution name {name!a}")
    if size(message) > limits.MESSAGE_MAX_BYTES:
        return Trial(end="too large")
    state: State = {"attempt": 1, "lastReceive": False, "message": message}
    sizes: list[int] = []

    def step(handler: Any) -> None:
        nonlocal state
        event: StepEvent = {"execution": "arn", "state": state}
        answer = encoded(handler(event, lambda_context()))
        sizes.append(len(answer))
        state = cast("State", json.loads(answer))

    step(validate.handler)
    if "rejection" in state:
        reasons = state["rejection"]["reasons"]
        named = tuple(f"{reason['path']}: {reason['reason']}" for reason in reasons)
        fault = "" if reasons and all(r["path"] and r["reason"] for r in reasons) else "no reason"
        end = "rejected"
    else:
        named, end, fault = (), "mail", ""
        step(render.handler)
        if not {"html", "text", "subject"} <= state["email"].keys():
            fault = "no mail"
    if max(sizes) > limits.MESSAGE_MAX_BYTES:
        fault = f"a state of {max(sizes)} bytes"
    return Trial(end=end, reasons=named, answer=max(sizes), fault=fault)


def tried(message: str) -> Trial:
    """Run an event in a process of its own, and measure it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fuzz.warm"])
    ours, its = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(message, its))
    process.start()
    its.close()
    try:
        result = ours.recv() if ours.poll(PATIENCE) else Trial(fault="never ends")
    except EOFError:
        process.join()
        result = Trial(fault=f"the process died: {process.exitcode}")
    if process.is_alive() and result.fault == "never ends":
        process.kill()
    process.join()
    return result


def _measured(message: str, answer: Connection) -> None:
    before, began = _peak(), time.process_time()
    try:
        trial = handled(message)
    except Exception as error:
        trial = Trial(fault=f"{type(error).__name__}: {str(error)[:200]}")
    took = {"memory": _peak() - before, "seconds": time.process_time() - began}
    answer.send(Trial(**{**vars(trial), **took}))


def _peak() -> float:
    """Return the most MB that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
