"""Find and end exactly the processes of one local stack.

Every process of a stack carries a mark in its environment, and whatever it starts inherits it: MiniStack
hands its own environment to its Lambda workers. So nothing depends on recorded process ids, which
the system reuses, nor on files, which a person may have removed.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

MARK = "LOCAL_STACK_PROCESS"
POLL = 0.05
OWNER_ALONE = 0o077
"""The umask of all programs of a stack: mails, logs and tables are nobody else's on the machine."""


@contextmanager
def owner_alone() -> Iterator[None]:
    """Create files for their owner alone, for the length of a `with` block of a single thread."""
    before = os.umask(OWNER_ALONE)
    try:
        yield
    finally:
        os.umask(before)


def mark(state_dir: Path, name: str = "") -> str:
    """Return the mark's value for one program, or without a name what all marks of the stack start with."""
    return f"{state_dir}:{name}"


def marked(prefix: str) -> list[psutil.Process]:
    """Find the living processes whose mark starts with `prefix`, the oldest first, never the caller."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK, "").startswith(prefix):
                processes.append((process.create_time(), process))
    return [process for _, process in sorted(processes, key=lambda pair: pair[0])]


def end(prefix: str, *, grace: float = 5.0) -> int:
    """End all marked processes, politely first; return how many there were.

    Args:
        prefix: as for `marked`.
        grace: seconds between SIGTERM and SIGKILL.
    """
    count = 0
    for send in (psutil.Process.terminate, psutil.Process.kill):
        targets = marked(prefix)
        count = max(count, len(targets))
        # The oldest is the supervisor: told first, it restarts nothing of what dies next.
        for process in targets:
            with suppress(psutil.Error):
                send(process)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            if not marked(prefix):
                return count
            time.sleep(POLL)
    return count
