"""Keeps the local stack's programs running, in a process of its own that outlives `make up`.

    python -m infra.local.supervisor STATE_DIR [OWNER]

A program that dies is restarted after a growing pause, and given up after a few quick deaths in a
row. One whose memory is the stack's state is not restarted. What happened is in `status.json` and
`logs/supervisor.log` in the stack's folder. All end on SIGTERM, and with the process whose id is OWNER.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil

from infra.local.processes import MARK, OWNER_ALONE, end, mark
from infra.local.programs import Plan, Program, plain_env, programs
from infra.local.settings import ROOT

QUICK_DEATH = 10.0
"""Seconds: who dies sooner than this after its start died quickly."""
QUICK_DEATHS = 4
"""So many quick deaths in a row, and a program is given up."""
FIRST_PAUSE = 0.5
"""Seconds before the first restart; the pause doubles with each quick death."""


@dataclass(frozen=True)
class ProgramStatus:
    """What is known about one program; the entries of `status.json`."""

    state: Literal["running", "restarting", "dead"]
    pid: int
    deaths: int
    last_death: str
    """When and how it ended last, for a person."""


def read_status(state_dir: Path) -> dict[str, ProgramStatus]:
    """Read the supervisor's last word on each program, by name; empty before its first."""
    try:
        entries = json.loads((state_dir / "status.json").read_text())
    except FileNotFoundError:
        return {}
    return {name: ProgramStatus(**entry) for name, entry in entries.items()}


class Supervisor:
    """Starts programs, each watched by a thread, and ends them."""

    def __init__(
        self, table: Sequence[Program], state_dir: Path, *, first_pause: float = FIRST_PAUSE
    ) -> None:
        self._dir = state_dir
        self._first_pause = first_pause
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_running, args=(program,)) for program in table
        ]
        self._status: dict[str, ProgramStatus] = {}

    def start(self) -> None:
        """Start all programs."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all programs, and whatever they started."""
        with self._lock:
            self._stopping.set()
        end(mark(self._dir))
        for thread in self._threads:
            thread.join()

    def _keep_running(self, program: Program) -> None:
        deaths, quick_deaths, last_death = 0, 0, ""
        while process := self._launch(program):
            started = time.monotonic()
            running = ProgramStatus("running", process.pid, deaths, last_death)
            self._note(program, running, f"started, process {process.pid}")
            how = _ending(process.wait())
            end(mark(self._dir, program.name))  # what it left behind, such as Lambda workers
            quick = time.monotonic() - started < QUICK_DEATH
            quick_deaths = quick_deaths + 1 if quick else 0
            deaths, last_death = deaths + 1, f"{_now()}, {how}"
            if program.loss or quick_deaths >= QUICK_DEATHS:
                reason = program.loss or f"{QUICK_DEATHS} quick deaths in a row"
                dead = ProgramStatus("dead", 0, deaths, last_death)
                self._note(program, dead, f"died ({how}) and is not restarted: {reason}")
                return
            pause = self._first_pause * 2**quick_deaths
            restarting = ProgramStatus("restarting", 0, deaths, last_death)
            self._note(program, restarting, f"died ({how}), restart in {pause:g} s")
            self._stopping.wait(pause)

    def _launch(self, program: Program) -> subprocess.Popen[bytes] | None:
        """Start a program, its output into its own log; None when all are to end."""
        log_file = self._dir / "logs" / f"{program.name}.log"
        with self._lock, log_file.open("ab") as log:
            if self._stopping.is_set():
                return None
            return subprocess.Popen(
                program.argv,
                env=plain_env(self._dir) | program.env | {MARK: mark(self._dir, program.name)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                umask=OWNER_ALONE,
                # Ctrl-C in the terminal that started the stack is not for them.
                start_new_session=True,
            )

    def _note(self, program: Program, status: ProgramStatus, text: str) -> None:
        print(f"{_now()} {program.name} {text}", flush=True)
        new = self._dir / "status.json.new"
        # A folder that a person removed while the stack runs must not end the supervisor.
        with self._lock, suppress(OSError):
            self._status[program.name] = status
            new.write_text(json.dumps({k: asdict(v) for k, v in self._status.items()}, indent=2))
            new.replace(self._dir / "status.json")


def _ending(returncode: int) -> str:
    return signal.Signals(-returncode).name if returncode < 0 else f"exit status {returncode}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def main() -> None:
    """Keep the programs of a stack running until SIGTERM, or until the owner is gone."""
    state_dir, *owner = sys.argv[1:]
    plan = Plan.load(Path(state_dir))
    ended = threading.Event()

    def fail(failure: threading.ExceptHookArgs) -> None:
        threading.__excepthook__(failure)
        ended.set()

    threading.excepthook = fail
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    supervisor = Supervisor(programs(plan), plan.settings.state_dir)
    supervisor.start()
    while not ended.wait(1) and all(psutil.pid_exists(int(pid)) for pid in owner):
        pass
    supervisor.stop()


if __name__ == "__main__":
    # A process of its own, whose parent is the system's first one: `make up` may end.
    if os.fork():
        os._exit(0)
    os.setsid()
    main()
