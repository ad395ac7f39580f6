"""A browser that does not start is passed over; one is fetched only where none starts."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A program that is no browser."""
    path = tmp_path / "chromium"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


def test_a_browser_that_does_not_start_is_passed_over(
    browser: Browser, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = chain([{"executable_path": broken}], chromium.candidates(print))
    monkeypatch.setattr(chromium, "candidates", lambda _: candidates)
    started = chromium.launch(browser.browser_type)
    assert started.version == browser.version
    started.close()


def test_where_no_browser_starts_the_error_says_what_was_tried(
    browser: Browser, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "candidates", lambda _: iter([{"executable_path": broken}]))
    with pytest.raises(RuntimeError, match="install Chrome, Chromium or Edge") as raised:
        chromium.launch(browser.browser_type)
    assert len(str(raised.value).splitlines()) == 2


def test_a_browser_is_fetched_only_after_all_that_are_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[str] = []
    monkeypatch.setattr(chromium, "_run", lambda command, *_, **__: commands.append(command))
    monkeypatch.setattr(chromium, "UNPACKED", tmp_path / "chromium")
    fetched_before = [len(commands) for _ in chromium.candidates(print)]
    assert len(fetched_before) > len(chromium.CHANNELS)
    assert set(fetched_before) == {0}
    assert commands[0].startswith("playwright install")

    commands.clear()
    chromium.UNPACKED.mkdir()
    unpacked = next(c for c in chromium.candidates(print) if "env" in c)
    assert unpacked["executable_path"] == chromium.UNPACKED / "chromium"
    assert commands == []
