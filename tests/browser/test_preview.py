"""The preview page: every mail is on it, in each view, and it follows what is edited."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.preview import Mails, server
from steps import kinds
from tests.conftest import load_event
from tests.support.sample_mails import BRAND, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


def serve(browser: Browser, event: dict[str, Any] | None = None) -> Iterator[Page]:
    httpd = server(Mails(BRAND, event), "orders@shop.example", 0)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(f"http://127.0.0.1:{httpd.server_port}/")
    page.locator(".frames").wait_for()
    yield page
    page.close()
    httpd.shutdown()
    httpd.server_close()
    assert complaints == []


@pytest.fixture
def preview(browser: Browser) -> Iterator[Page]:
    yield from serve(browser)


def test_every_mail_in_every_view(preview: Page) -> None:
    phone = preview.frame_locator("iframe").first
    phone.get_by_text("Thank you, Maya").wait_for()
    preview.get_by_role("button", name="ja").click()
    preview.get_by_role("button", name="order.shipped").click()
    phone.get_by_text("お荷物を発送しました").first.wait_for()
    preview.get_by_role("button", name="dark").click()
    phone.get_by_text("お荷物を発送しました").first.wait_for()
    colour = phone.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
    assert colour == "rgb(15, 17, 19)"
    preview.get_by_role("button", name="Text").click()
    preview.locator("pre", has_text="お荷物を発送しました").wait_for()
    preview.get_by_role("button", name="Headers").click()
    preview.get_by_text("Northwind Home <orders@shop.example>").wait_for()
    preview.get_by_role("button", name="All").click()
    assert preview.locator(".thumb").count() == len(pairs())


def test_it_follows_what_is_edited(preview: Page) -> None:
    words = kinds.folder("order.confirmed") / "words.j2"
    before = words.read_text("utf-8")
    try:
        words.write_text(before.replace("Thank you, ", "Many thanks, "), "utf-8")
        preview.frame_locator("iframe").first.get_by_text("Many thanks, Maya").wait_for()
        words.write_text(before.replace("{{ _(", "{{ _((", 1), "utf-8")
        preview.locator(".error", has_text="TemplateSyntaxError").wait_for()
    finally:
        words.write_text(before, "utf-8")
    with suppress(StopIteration):
        preview.frame_locator("iframe").first.get_by_text("Thank you, Maya").wait_for()


def test_an_event_of_ones_own(browser: Browser) -> None:
    event = load_event("order") | {"locale": "de-AT", "eventType": "order.confirmed"}
    pages = serve(browser, json.loads(json.dumps(event)))
    page = next(pages)
    page.frame_locator("iframe").first.get_by_text("Vielen Dank, John Doe").wait_for()
    assert next(pages, None) is None
