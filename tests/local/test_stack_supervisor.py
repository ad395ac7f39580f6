"""The supervisor, on small programs of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from infra.local import supervisor
from infra.local.processes import MARK, end, mark, marked
from infra.local.programs import Plan, Program, plain_env, programs
from infra.local.running_stack import until
from infra.local.settings import LocalSettings
from infra.local.supervisor import ProgramStatus, Supervisor, read_status

SLEEP = "import time; time.sleep(60)"
Start = Callable[..., None]


def program(name: str, script: str = SLEEP, *, loss: str = "") -> Program:
    return Program(name=name, title=name, argv=(sys.executable, "-c", script), loss=loss)


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def start(folder: Path, *table: Program) -> None:
            (folder / "logs").mkdir(parents=True)
            started = Supervisor(table, folder, first_pause=0.01)
            stack.callback(started.stop)
            started.start()

        yield start


def wait_for(folder: Path, name: str, state: str, deaths: int) -> ProgramStatus:
    """Wait until a program is in this state after so many deaths."""

    def status() -> ProgramStatus | None:
        read = read_status(folder).get(name)
        return read if read and (read.state, read.deaths) == (state, deaths) else None

    return until(status, what=lambda: str(read_status(folder)))


def test_a_program_that_dies_is_started_again(tmp_path: Path, start: Start) -> None:
    start(tmp_path, program("a"))
    first = wait_for(tmp_path, "a", "running", deaths=0)
    psutil.Process(first.pid).kill()
    second = wait_for(tmp_path, "a", "running", deaths=1)
    assert second.pid != first.pid
    assert second.last_death.endswith("SIGKILL")


def test_a_program_that_keeps_dying_is_given_up(tmp_path: Path, start: Start) -> None:
    start(tmp_path, program("a", "raise SystemExit(3)"), program("b"))
    given_up = wait_for(tmp_path, "a", "dead", deaths=supervisor.QUICK_DEATHS)
    assert given_up.last_death.endswith("exit status 3")
    wait_for(tmp_path, "b", "running", deaths=0)


def test_a_program_whose_memory_is_the_state_is_not_restarted(tmp_path: Path, start: Start) -> None:
    start(tmp_path, program("a", loss="all"))
    psutil.Process(wait_for(tmp_path, "a", "running", deaths=0).pid).kill()
    wait_for(tmp_path, "a", "dead", deaths=1)


def test_what_a_dead_program_started_goes_with_it(tmp_path: Path, start: Start) -> None:
    script = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True); time.sleep(60)"
    )
    start(tmp_path, program("a", script, loss="all"))
    until(lambda: len(marked(mark(tmp_path, "a"))) == 2)
    psutil.Process(wait_for(tmp_path, "a", "running", deaths=0).pid).kill()
    wait_for(tmp_path, "a", "dead", deaths=1)
    assert marked(mark(tmp_path)) == []


def test_only_processes_of_this_stack_are_found(tmp_path: Path, start: Start) -> None:
    other = tmp_path.with_name(tmp_path.name + "-other")
    start(other, program("a", loss="all"))
    pid = wait_for(other, "a", "running", deaths=0).pid
    assert marked(mark(tmp_path)) == []
    assert end(mark(tmp_path)) == 0
    assert [process.pid for process in marked(mark(other))] == [pid]
    assert end(mark(other)) == 1


def test_a_stack_ends_with_its_owner_however_that_ends(tmp_path: Path) -> None:
    plan = Plan.make(LocalSettings.on_free_ports(tmp_path))
    plan.save()
    owner = subprocess.Popen([sys.executable, "-c", SLEEP])
    subprocess.run(
        [sys.executable, "-m", "infra.local.supervisor", str(tmp_path), str(owner.pid)],
        env=plain_env(tmp_path) | {MARK: mark(tmp_path, "supervisor")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    until(lambda: len(read_status(tmp_path)) == len(programs(plan)))
    owner.kill()
    owner.wait()
    until(lambda: not marked(mark(tmp_path)), what="all to end")
