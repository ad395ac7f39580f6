"""The operators' page for the README: `python -m tests.browser.operator_page_picture`. Its data are planted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.support.operator_page import DELIVERED, TOKEN, calls, finding, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURE = Path("infra/operator/page.png")
SIZE = (1000, 1010)


def picture(browser: Browser, url: str) -> bytes:
    """Return what `find` answers, as a PNG."""
    width, height = SIZE
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(f"{url}/enter/{TOKEN}")
    page.goto(f"{url}/find?term={DELIVERED.order_id}")
    png = page.screenshot()
    page.close()
    return png


def main() -> None:
    """Write the picture."""
    planted = calls(find=lambda _, term: finding(DELIVERED, term=term))
    with sync_playwright() as playwright, serving(planted) as url:
        browser = chromium.launch(playwright.chromium)
        PICTURE.write_bytes(picture(browser, url))
        browser.close()


if __name__ == "__main__":
    main()
