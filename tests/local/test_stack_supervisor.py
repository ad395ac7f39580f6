"""The supervisor, on small programs of its own."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from infra.local import supervisor
from infra.local.children import Child, plain_env
from infra.local.processes import end, mark, marked
from infra.local.supervisor import Supervisor, read_status


def child(folder: Path, name: str, script: str, *, loss: str = "") -> Child:
    return Child(
        name=name,
        title=name,
        argv=(sys.executable, "-c", script),
        env=plain_env(folder, name),
        ready="",
        loss=loss,
    )


Start = Callable[..., Supervisor]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.01)
    return tmp_path


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def start(folder: Path, *table: Child) -> Supervisor:
            (folder / "logs").mkdir(parents=True)
            watched = Supervisor(table, folder)
            stack.callback(watched.stop)
            for each in table:
                watched.start(each.name)
            return watched

        yield start


def until(watched: Supervisor, done: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, watched.status
        watched.look()
        time.sleep(0.01)


def test_a_program_that_dies_is_started_again(folder: Path, start: Start) -> None:
    watched = start(folder, child(folder, "a", "import time; time.sleep(60)"))
    first = watched.status["a"].pid
    psutil.Process(first).kill()
    until(watched, lambda: watched.status["a"].deaths and watched.status["a"].state == "running")
    status = read_status(folder)["a"]
    assert status.pid != first
    assert status.deaths == 1
    assert status.last_death.endswith("SIGKILL")


def test_a_program_that_keeps_dying_is_given_up(folder: Path, start: Start) -> None:
    watched = start(
        folder,
        child(folder, "a", "raise SystemExit(3)"),
        child(folder, "b", "import time; time.sleep(60)"),
    )
    until(watched, lambda: watched.status["a"].state == "dead")
    assert watched.status["a"].deaths == supervisor.QUICK_DEATHS
    assert read_status(folder)["a"].last_death.endswith("exit status 3")
    assert read_status(folder)["b"].state == "running"


def test_a_program_whose_memory_is_the_state_is_not_restart(folder: Path, start: Start) -> None:
    watched = start(folder, child(folder, "a", "import time; time.sleep(60)", loss="all"))
    psutil.Process(watched.status["a"].pid).kill()
    until(watched, lambda: watched.status["a"].state == "dead")
    assert read_status(folder)["a"].deaths == 1


def test_what_a_dead_program_started_goes_with_it(folder: Path, start: Start) -> None:
    script = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True); time.sleep(60)"
    )
    watched = start(folder, child(folder, "a", script, loss="all"))
    until(watched, lambda: len(marked(mark(folder, "a"))) == 2)
    psutil.Process(watched.status["a"].pid).kill()
    until(watched, lambda: watched.status["a"].state == "dead")
    assert marked(mark(folder)) == []


def test_only_processes_of_this_stack_are_found(folder: Path, start: Start) -> None:
    other = folder.with_name(folder.name + "-other")
    watched = start(other, child(other, "a", "import time; time.sleep(60)"))
    assert marked(mark(folder)) == []
    assert end(mark(folder)) == 0
    assert [process.pid for process in marked(mark(other))] == [watched.status["a"].pid]
    assert end(mark(other)) == 1
