"""One headless Chromium for all browser tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser import chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def browser(say: Callable[[str], None]) -> Iterator[Browser]:
    """A running Chromium."""
    with sync_playwright() as playwright:
        running = chromium.launch(playwright.chromium, say)
        say(f"· browser tests run on Chromium {running.version}")
        yield running
        running.close()
