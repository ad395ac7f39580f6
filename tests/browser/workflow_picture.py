"""The order workflow as an operator sees it, for `steps/README.md`: `python -m tests.browser.workflow_picture`.

Takes the graph of a delivered order from the console of a running local stack (`make demo`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PICTURE = Path("steps/order-workflow.png")
WIDTH = 1100

ALONE = """
(graph, width) => {
  const box = graph.getBBox();
  const alone = graph.cloneNode(true);
  alone.setAttribute("viewBox", [box.x - 10, box.y - 10, box.width + 20, box.height + 20].join(" "));
  alone.setAttribute("width", width);
  alone.setAttribute("height", Math.round(width * (box.height + 20) / (box.width + 20)));
  alone.style.display = "block";
  const sheet = document.createElement("div");
  sheet.id = "sheet";
  sheet.style = "position: absolute; top: 0; left: 0; background: white; z-index: 100000";
  sheet.append(alone);
  document.body.append(sheet);
}
"""
"""Lays the graph, which the console shows a part of, on a white sheet of its own."""


def graph_of(page: Page, console_url: str, machine: str, order_id: str) -> Locator:
    """Open an order's first execution in the console; return the graph with its path."""
    page.goto(f"{console_url}/resources/stepfunctions")
    page.get_by_text(machine).first.click()
    page.get_by_text(f"{order_id}-").first.click()
    graph = page.locator("svg", has_text="Validate").first
    graph.wait_for()
    return graph


def picture(browser: Browser, console_url: str, machine: str, order_id: str) -> bytes:
    """Return the graph as a PNG."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 1400})
    graph_of(page, console_url, machine, order_id).evaluate(ALONE, WIDTH)
    png = page.locator("#sheet").screenshot()
    page.close()
    return png


def main() -> None:
    """Write the picture of an order of the demo."""
    console_url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright.chromium)
        PICTURE.write_bytes(picture(browser, console_url, "email-order-workflow-dev", "FIRST"))
        browser.close()


if __name__ == "__main__":
    main()
