"""The mutation tests themselves: what they break, what they notice, and what they tell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import mutants
from tests.support.mutants import mutants_of

ROOM = """\
import functools

LIMIT = 3


def is_full(guests):
    return guests >= LIMIT


@functools.cache
def label(guests):
    return "full" if is_full(guests) else "free"
"""
TESTS = """\
import pytest, room

@pytest.mark.parametrize(("guests", "label"), [(2, "free"), (3, "full")])
def test_a_room_is_full_from_three(guests, label):
    assert room.label(guests) == label
"""
DOOR_TESTS = """
import door

@pytest.mark.parametrize(("hour", "is_open"), [(8, False), (9, True)])
def test_a_door_is_open_from_nine(hour, is_open):
    assert door.is_open(hour) == is_open
"""
LOOSE_TESTS = """\
import room

def test_a_room_is_full_some_day():
    assert room.label(0) == "free"
    assert room.label(99) == "full"
"""
EXPLAINED = """\
[[equivalent]]
file = "room.py"
place = "module"
was = "LIMIT = 3"
becomes = "LIMIT = 4"
why = "nobody comes fourth"
"""
PROJECT = """\
[tool.mutmut]
source_paths = ["."]
[tool.mutants]
pytest = ["-s", "-pno:cacheprovider"]
[tool.mutants.tests]
"room.py" = ["test_room.py"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "room.py").write_text(ROOM)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/mutants.toml").touch()
    return tmp_path


def run_mutants(project: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, as `make mutants` does."""
    (project / "test_room.py").write_text(tests)
    return subprocess.run(
        [sys.executable, "-m", "tests.support.mutants"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(Path(mutants.__file__).parents[2])},
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_a_run_ends_well_where_the_tests_notice_every_mutant(project: Path) -> None:
    run = run_mutants(project, TESTS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 survived" in run.stdout
    assert "100.0% noticed" in run.stdout


def test_a_run_breaks_each_of_its_files(project: Path) -> None:
    (project / "door.py").write_text("def is_open(hour):\n    return hour >= 9\n")
    with (project / "pyproject.toml").open("a") as config:
        config.write('"door.py" = ["test_room.py"]\n')
    run = run_mutants(project, TESTS + DOOR_TESTS)
    assert run.returncode == 0, run.stdout + run.stderr
    for name in ("room.py", "door.py"):
        (told,) = re.findall(rf"^{name} .+", run.stdout, re.MULTILINE)
        assert " 0 survived" in told


def test_a_run_ends_badly_and_tells_what_the_tests_let_pass(project: Path) -> None:
    run = run_mutants(project, LOOSE_TESTS)
    assert run.returncode == 1
    assert (
        "room.py:7 is_full\n    - return guests >= LIMIT\n    + return guests > LIMIT" in run.stdout
    )
    assert "room.py:3 module\n    - LIMIT = 3\n    + LIMIT = 4\n    NOT EXPLAINED" in run.stdout


def test_a_run_ends_at_once_where_the_tests_fail_on_the_code_as_it_is(project: Path) -> None:
    run = run_mutants(project, TESTS.replace("(2,", "(3,"))
    assert run.returncode == 1
    assert "fail on the code as it is" in run.stderr
    assert "noticed" not in run.stdout


@pytest.mark.usefixtures("project")
def test_each_mutant_is_told_by_its_place_and_its_lines() -> None:
    identities = {m.identity for m in mutants_of("room.py")}
    assert ("room.py", "module", "LIMIT = 3", "LIMIT = 4") in identities
    assert {place for _, place, _, _ in identities} == {"module", "is_full", "label"}


def test_what_is_explained_must_survive_and_what_survives_be_explained(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = mutants_of("room.py") * 10
    one_survives = [(m, "killed") for m in found]
    number = next(n for n, m in enumerate(found) if m.identity[3] == "LIMIT = 4")
    all_killed = list(one_survives)
    one_survives[number] = (found[number], "survived")
    assert mutants.report(all_killed, mutants.explained(["room.py"]))
    assert not mutants.report(one_survives, mutants.explained(["room.py"]))
    assert "NOT EXPLAINED" in capsys.readouterr().out
    (project / "tests/mutants.toml").write_text(EXPLAINED)
    assert mutants.report(one_survives, mutants.explained(["room.py"]))
    assert "nobody comes fourth" in capsys.readouterr().out
    assert not mutants.report(all_killed, mutants.explained(["room.py"]))
    assert "explained, but not among the survivors" in capsys.readouterr().out
    assert mutants.explained(["another.py"]) == {}


def test_too_many_survivors_are_too_many_even_if_they_are_explained(project: Path) -> None:
    found = mutants_of("room.py")
    survive = [(m, "survived" if m.identity[3] == "LIMIT = 4" else "killed") for m in found]
    (project / "tests/mutants.toml").write_text(EXPLAINED)
    assert 1 / len(found) > 0.05
    assert not mutants.report(survive, mutants.explained(["room.py"]))
