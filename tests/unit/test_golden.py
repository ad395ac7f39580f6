"""The mails are as they were when a person last looked at them."""

import pytest

from tests.golden.mails import FOLDER, golden

MAILS = golden()


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_is_its_golden_file(name: str) -> None:
    path = FOLDER / name
    assert path.exists(), "run: python -m tests.golden"
    assert MAILS[name] == path.read_text("utf-8"), "look at the diff, then: python -m tests.golden"


def test_no_golden_file_is_without_its_mail() -> None:
    assert {path.name for path in FOLDER.glob("*.*.*")} == set(MAILS)
