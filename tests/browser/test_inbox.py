"""A person opens the mail in the inbox: the order is there, on a phone and on a desktop."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from infra.local.running_stack import RunningStack, until
from tests.conftest import load_event

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def mail_id(stack: RunningStack) -> str:
    """A delivered mail's id in the inbox."""
    order_id = f"BROWSER-{secrets.token_hex(3)}"
    stack.publish(json.dumps(load_event("order") | {"orderId": order_id}))
    (mail,) = until(lambda: stack.inbox(order_id), what="the mail")
    id_: str = mail["id"]
    return id_


@pytest.mark.parametrize("width", [375, 1280])
def test_the_inbox_shows_the_whole_mail_at_any_width(
    browser: Browser, stack: RunningStack, mail_id: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    complaints: list[str] = []
    # What does not load is told by its response; MailDev 3 misses an icon of its own.
    page.on(
        "console",
        lambda m: (
            complaints.append(m.text)
            if m.type == "error" and not m.text.startswith("Failed to load resource")
            else None
        ),
    )
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on(
        "response",
        lambda r: (
            complaints.append(r.url)
            if not r.ok and not r.url.endswith("maildev-icon.svg")
            else None
        ),
    )

    page.goto(f"{stack.settings.inbox_url}/#/email/{mail_id}")
    frame = page.frame_locator("iframe").first
    for text in ("Thank you, John Doe", "Product Name", "$59.98", "October 8, 2024"):
        frame.get_by_text(text).last.wait_for(timeout=15_000)

    page.goto(f"{stack.settings.inbox_url}/api/email/{mail_id}/html")
    page.get_by_text("Thank you, John Doe").wait_for()
    overflow = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0
    assert complaints == []
    page.close()
