"""Keeps the local stack's programs running, in a process of its own that outlives `make up`.

    python -m infra.local.supervisor STATE_DIR

A program that dies is restarted after a growing pause, and given up after a few quick deaths in a
row. One whose memory is the stack's state is not restarted. What happened is in `status.json` and
`logs/supervisor.log` in the stack's folder.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from infra.local.children import Child, Plan, children
from infra.local.processes import POLL, end, mark
from infra.local.settings import ROOT

QUICK_DEATH = 10.0
"""Seconds: who dies sooner than this after its start died quickly."""
QUICK_DEATHS = 4
"""So many quick deaths in a row, and a program is given up."""
FIRST_PAUSE = 0.5
"""Seconds before the first restart; the pause doubles with each quick death."""


@dataclass(kw_only=True)
class ChildStatus:
    """What is known about one program; the entries of `status.json`."""

    state: Literal["running", "restarting", "dead"]
    pid: int = 0
    deaths: int = 0
    last_death: str = ""
    """When and how it ended last, for a person."""


def read_status(state_dir: Path) -> dict[str, ChildStatus]:
    """The supervisor's last word on each program, by name; empty before its first."""
    try:
        value = json.loads((state_dir / "status.json").read_text())
    except FileNotFoundError:
        return {}
    return {name: ChildStatus(**entry) for name, entry in value.items()}


class Supervisor:
    """Starts the programs, watches them, ends them."""

    def __init__(self, table: Sequence[Child], state_dir: Path) -> None:
        self._children = {child.name: child for child in table}
        self._dir = state_dir
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, float] = {}
        self._quick = dict.fromkeys(self._children, 0)
        self._restart_at: dict[str, float] = {}
        self.status = {name: ChildStatus(state="restarting") for name in self._children}

    def run(self) -> None:
        """Works until SIGTERM, then ends all programs and whatever they started."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            for name in self._children:
                self.start(name)
            while True:
                self.look()
                time.sleep(POLL)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self.stop()

    def stop(self) -> None:
        """Ends all programs, and whatever they started."""
        end(mark(self._dir))
        for process in self._processes.values():
            process.wait()

    def look(self) -> None:
        """One round: notes who died, and restarts those whose pause is over."""
        for name, process in list(self._processes.items()):
            if process.poll() is not None:
                del self._processes[name]
                self._died(name, process.returncode)
        for name, due in list(self._restart_at.items()):
            if time.monotonic() >= due:
                del self._restart_at[name]
                self.start(name)

    def start(self, name: str) -> None:
        """Starts one program; its output goes to its own log."""
        child = self._children[name]
        with (self._dir / "logs" / f"{name}.log").open("ab") as log:
            # Own sessions: Ctrl-C in the terminal that started the stack is not for them.
            self._processes[name] = subprocess.Popen(
                child.argv,
                env=child.env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started[name] = time.monotonic()
        self.status[name].state = "running"
        self.status[name].pid = self._processes[name].pid
        self._note(f"{name} started, process {self._processes[name].pid}")

    def _died(self, name: str, returncode: int) -> None:
        child, status = self._children[name], self.status[name]
        end(mark(self._dir, name))  # what it started and left behind, such as Lambda workers
        how = signal.Signals(-returncode).name if returncode < 0 else f"exit status {returncode}"
        status.deaths += 1
        status.pid = 0
        status.last_death = f"{_now()}, {how}"
        quick = time.monotonic() - self._started[name] < QUICK_DEATH
        self._quick[name] = self._quick[name] + 1 if quick else 0
        if child.loss or self._quick[name] >= QUICK_DEATHS:
            status.state = "dead"
            reason = child.loss or f"{QUICK_DEATHS} quick deaths in a row"
            self._note(f"{name} died ({how}) and is not restarted: {reason}")
        else:
            status.state = "restarting"
            pause = FIRST_PAUSE * 2 ** self._quick[name]
            self._restart_at[name] = time.monotonic() + pause
            self._note(f"{name} died ({how}), restart in {pause:g} s")

    def _note(self, text: str) -> None:
        sys.stdout.write(f"{_now()} {text}\n")
        sys.stdout.flush()
        new = self._dir / "status.json.new"
        value = {name: asdict(status) for name, status in self.status.items()}
        # A folder that a person removed while the stack runs must not end the supervisor.
        with suppress(OSError):
            new.write_text(json.dumps(value, indent=2))
            new.replace(self._dir / "status.json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    # A process of its own, whose parent is the system's first one: `make up` may end.
    if os.fork():
        os._exit(0)
    os.setsid()
    plan = Plan.load(Path(sys.argv[1]))
    Supervisor(children(plan), plan.settings.state_dir).run()
