"""Who has not got the mails' judges is told at once how to get them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import mail_judges


def test_nothing_is_missing() -> None:
    assert mail_judges.missing() == ""


def test_who_lacks_the_judges_is_told_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As on macOS, whose `java` says where to get one.
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    said = mail_judges.missing()
    assert "Java and SpamAssassin" in said
    assert "apt-get install default-jre-headless spamassassin" in said
    assert "brew install --cask temurin && brew install spamassassin && sa-update" in said
    with pytest.raises(RuntimeError, match="apt-get install"):
        mail_judges.nu_html_checker({"mail": "<p>"}, tmp_path)


def test_make_test_asks_for_them_before_all_else() -> None:
    assert "\ntest: mail-judges " in Path("Makefile").read_text()
