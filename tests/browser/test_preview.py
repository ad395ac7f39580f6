"""The preview page: every mail is on it, in each view, and it follows what is edited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from infra.local.loopback import free_ports
from tests.conftest import load_event
from tests.support.sample_mails import pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, whose templates may be edited."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("node_modules", "built", "__pycache__")
    for package in ("steps", "infra"):
        shutil.copytree(ROOT / package, folder / package, ignore=ignore)
    return folder


def opened_page(browser: Browser, url: str) -> Iterator[Page]:
    """Open the page; nothing may go wrong on it."""
    complaints: list[str] = []
    with closing(browser.new_page(viewport={"width": 1400, "height": 900})) as page:
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.goto(url)
        page.locator(".frames").wait_for()
        yield page
    assert complaints == []


@contextmanager
def previews(browser: Browser, checkout: Path, *arguments: str) -> Iterator[Page]:
    """Run the preview as `make preview` does, and open its page."""
    (port,) = free_ports(1)
    settings = {
        "LOCAL_PREVIEW_PORT": str(port),
        "BRAND_NAME": "Northwind Home",
        "VERIFIED_DOMAIN": "orders@shop.example",
    }
    command = [sys.executable, "-u", "-m", "infra.local.preview", *arguments]
    environment = os.environ | settings
    with subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout is not None
            assert str(port) in program.stdout.readline()
            yield from opened_page(browser, f"http://127.0.0.1:{port}/")
        finally:
            program.terminate()


@pytest.fixture
def preview(browser: Browser, checkout: Path) -> Iterator[Page]:
    with previews(browser, checkout) as page:
        yield page


def test_the_preview_shows_every_mail_in_every_view(preview: Page) -> None:
    phone = preview.frame_locator("iframe").first
    phone.get_by_text("Thank you, Maya").wait_for()
    preview.get_by_role("button", name="ja").click()
    preview.get_by_role("button", name="order.shipped", exact=True).click()
    phone.get_by_text("お荷物を発送しました").first.wait_for()
    preview.get_by_role("button", name="order.shipped-part").click()
    phone.get_by_text("ご注文の一部を発送しました").first.wait_for()
    preview.get_by_role("button", name="order.shipped", exact=True).click()
    preview.get_by_role("button", name="dark").click()
    phone.get_by_text("お荷物を発送しました").first.wait_for()
    colour = phone.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
    assert colour == "rgb(15, 17, 19)"
    preview.get_by_role("button", name="Text").click()
    preview.locator("pre", has_text="お荷物を発送しました").wait_for()
    preview.get_by_role("button", name="Headers").click()
    preview.get_by_text("Northwind Home <orders@shop.example>").wait_for()
    preview.get_by_role("button", name="All").click()
    expect(preview.locator(".thumb")).to_have_count(len(pairs()))


def test_the_preview_follows_what_is_edited(preview: Page, checkout: Path) -> None:
    words = checkout / "steps" / "kinds" / "order_confirmed" / "words.j2"
    before = words.read_text("utf-8")
    mail = preview.frame_locator("iframe").first
    words.write_text(before.replace("Thank you, ", "Many thanks, "), "utf-8")
    mail.get_by_text("Many thanks, Maya").wait_for()
    words.write_text(before.replace("{{ _(", "{{ _((", 1), "utf-8")
    preview.locator(".error", has_text="TemplateSyntaxError").wait_for()
    words.write_text(before, "utf-8")
    mail.get_by_text("Thank you, Maya").wait_for()


def test_the_preview_shows_an_event_of_the_shop_s_own(
    browser: Browser, checkout: Path, tmp_path: Path
) -> None:
    event = load_event("order") | {"locale": "de-AT", "eventType": "order.confirmed"}
    file = tmp_path / "order.json"
    file.write_text(json.dumps(event))
    with previews(browser, checkout, str(file)) as page:
        page.frame_locator("iframe").first.get_by_text("Vielen Dank, John Doe").wait_for()
