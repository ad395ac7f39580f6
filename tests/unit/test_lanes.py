"""Which worker of pytest-xdist runs which file."""

from __future__ import annotations

from pathlib import Path

from tests.support import lanes

ROOT = Path(__file__).parents[2]
FILES = [
    "tests/unit/test_render.py",
    "tests/local/test_order_path.py",
    "tests/unit/test_authoring.py",
    "tests/local/test_chaos.py",
    "tests/browser/test_inbox.py",
]
WAITER, COMPUTER = "gw0", f"gw{lanes.WAITERS}"


def order(worker: str) -> list[str]:
    """Return the files as one worker alone would run them."""
    left = list(FILES)
    return [left.pop(left.index(lanes.next_file(worker, left))) for _ in FILES]


def test_each_worker_takes_its_own_kind_first_and_the_longest_before_all() -> None:
    waiting = [FILES[3], FILES[1], FILES[4]]
    computing = [FILES[2], FILES[0]]
    assert order(WAITER) == waiting + computing
    assert order(COMPUTER) == computing + waiting


def test_there_is_a_worker_for_each_kind() -> None:
    kinds = {lanes.waits(f"gw{n}") for n in range(lanes.workers())}
    assert kinds == {True, False}


def test_the_long_files_and_the_folders_are_there() -> None:
    assert all((ROOT / file).exists() for file in (*lanes.LONGEST, *lanes.WAITING))
