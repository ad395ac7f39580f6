"""The mails are as they were when a person last looked at them."""

import pytest

from tests.golden.mails import FOLDER, golden

MAILS = golden()


@pytest.mark.parametrize("name", MAILS)
def test_golden(name: str) -> None:
    path = FOLDER / name
    assert path.exists(), "run: python -m tests.golden"
    assert MAILS[name] == path.read_text("utf-8"), "look at the diff, then: python -m tests.golden"


def test_no_golden_is_left_over() -> None:
    assert {p.name for p in FOLDER.glob("*.*.*")} == set(MAILS)
