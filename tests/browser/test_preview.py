"""The preview page: every mail is on it, in each view, and it follows what is edited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from infra.local.loopback import free_ports
from steps import kinds
from tests.browser.axe import violations
from tests.conftest import load_event
from tests.support.sample_mails import pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
expect.set_options(timeout=30_000)  # As long as for all else: a busy machine is no fault.


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, whose templates may be edited."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("node_modules", "built", "__pycache__")
    for package in ("steps", "infra"):
        shutil.copytree(ROOT / package, folder / package, ignore=ignore)
    return folder


DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 375, "height": 812}


def opened_page(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """Open the page; nothing may go wrong on it. `context` is the browser's, on a desktop else."""
    complaints: list[str] = []
    with closing(browser.new_page(**({"viewport": DESKTOP} | context))) as page:
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.goto(url)
        page.locator(".frames").wait_for()
        yield page
    assert complaints == []


@contextmanager
def previews(browser: Browser, checkout: Path, *arguments: str, **context: Any) -> Iterator[Page]:
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
            yield from opened_page(browser, f"http://127.0.0.1:{port}/", **context)
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
    phone.get_by_text("お荷物を発送いたしました").first.wait_for()
    preview.get_by_role("button", name="order.shipped-part").click()
    phone.get_by_text("ご注文の一部を発送いたしました").first.wait_for()
    preview.get_by_role("button", name="order.shipped", exact=True).click()
    preview.get_by_role("button", name="dark").click()
    phone.get_by_text("お荷物を発送いたしました").first.wait_for()
    colour = phone.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
    assert colour == "rgb(15, 17, 19)"
    preview.get_by_role("button", name="Text").click()
    preview.locator("pre", has_text="お荷物を発送いたしました").wait_for()
    preview.get_by_role("button", name="Headers").click()
    preview.get_by_text("Northwind Home <orders@shop.example>").wait_for()
    preview.get_by_role("button", name="All").click()
    expect(preview.locator(".thumb")).to_have_count(len(pairs()))


@contextmanager
def edited(file: Path, old: str, new: str) -> Iterator[None]:
    """Have a source say something else for the length of the block."""
    before = file.read_text("utf-8")
    assert old in before
    file.write_text(before.replace(old, new, 1), "utf-8")
    try:
        yield
    finally:
        file.write_text(before, "utf-8")


def choose(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=name, exact=True).click()


def test_the_preview_follows_what_is_edited(preview: Page, checkout: Path) -> None:
    words = checkout / "steps" / "kinds" / "order_confirmed" / "words.j2"
    texts = checkout / "steps" / "kinds" / "order_confirmed" / "texts" / "de.po"
    mail = preview.frame_locator("iframe").first
    with edited(words, "Thank you, ", "Many thanks, "):
        mail.get_by_text("Many thanks, Maya").wait_for()
    with edited(words, "{{ _(", "{{ _(("):
        preview.locator(".error", has_text="TemplateSyntaxError").wait_for()
    mail.get_by_text("Thank you, Maya").wait_for()
    choose(preview, "de")
    with edited(texts, "Vielen Dank, ", "Tausend Dank, "):
        mail.get_by_text("Tausend Dank, Maya").wait_for()


def test_a_mistake_is_shown_with_the_line_that_is_to_be_mended(
    preview: Page, checkout: Path
) -> None:
    folder = checkout / "steps" / "kinds" / "order_shipped"
    error = preview.get_by_role("alert")
    with edited(
        folder / "mail.html.j2", "[[ parts.progress(stage) ]]", "[[ parts.progres(stage) ]]"
    ):
        expect(error).to_contain_text("steps/kinds/order_shipped/mail.html.j2:4")
    # Of a mail that is not looked at, too, and in what is composed.
    with edited(folder / "words.j2", "count, carrier=order.carrier", "cont, carrier=order.carrier"):
        expect(error).to_contain_text("'cont' is undefined")
        expect(error).to_contain_text("steps/kinds/order_shipped/words.j2:4")
    preview.locator(".frames").wait_for()
    choose(preview, "order.shipped")
    with edited(folder / "mail.txt.j2", '"order.trackingNumber"', '"order.trackingNumbr"'):
        expect(preview.locator(".notes")).to_contain_text(
            "steps/kinds/order_shipped/mail.txt.j2:10: order.trackingNumbr is no field of order.shipped: "
            "did you mean trackingNumber?"
        )
    expect(preview.locator(".notes")).to_have_count(0)


def test_each_mail_has_its_row_in_a_list_of_mails_and_what_a_phone_cuts_is_marked(
    preview: Page,
) -> None:
    row = preview.locator(".row")
    choose(preview, "order.shipped")
    expect(row.locator(".sender")).to_have_text("Northwind Home")
    expect(row.locator(".subject")).to_have_text("Your order NW-20418 is on its way")
    expect(row.locator(".preheader")).to_have_text("6 items, sent with UPS")
    expect(preview.locator(".notes")).to_have_count(0)
    choose(preview, "order.shipped-long")
    expect(preview.locator(".notes")).to_contain_text("The subject is too long")
    expect(preview.locator(".notes")).to_contain_text("The preheader is too long")
    box = row.bounding_box()
    assert box
    assert (box["width"], box["height"] < 120) == (375, True)


def test_a_mail_without_a_preheader_says_so(preview: Page, checkout: Path) -> None:
    words = checkout / "steps" / "kinds" / "order_confirmed" / "words.j2"
    (line,) = [x for x in words.read_text("utf-8").splitlines() if "set preheader" in x]
    with edited(words, line, "[% set preheader %][% endset %]"):
        expect(preview.locator(".notes")).to_contain_text("There is no preheader")


def test_events_that_strain_a_mail_are_beside_the_samples(preview: Page) -> None:
    phone = preview.frame_locator("iframe").first
    choose(preview, "order.shipped-long")
    phone.get_by_role("heading", name="Maya Donaudampfschifffahrt").wait_for()
    choose(preview, "order.shipped-minimal", "Event")
    expect(preview.locator("pre")).to_contain_text("customerEmail")
    expect(preview.locator("pre")).not_to_contain_text("trackingNumber")
    choose(preview, "order.confirmed-tax-included")
    expect(preview.locator("pre")).to_contain_text('"taxIncluded": true')


def test_a_full_brand_can_be_chosen(preview: Page) -> None:
    phone = preview.frame_locator("iframe").first
    expect(phone.get_by_text("Unsubscribe")).to_have_count(0)
    choose(preview, "full")
    expect(phone.get_by_text("Unsubscribe")).to_have_count(1)
    logo = phone.locator("img.logo").first
    logo.wait_for()
    assert logo.evaluate("image => image.complete && image.naturalWidth > 0")
    expect(phone.get_by_role("link", name="Help")).to_have_count(1)
    choose(preview, "yours")
    expect(phone.get_by_text("Unsubscribe")).to_have_count(0)


def test_a_text_that_waits_for_its_translation_is_counted_and_named(
    preview: Page, checkout: Path
) -> None:
    texts = checkout / "steps" / "kinds" / "texts" / "de.po"
    german = preview.locator("#locales button", has_text="de")
    with edited(texts, 'msgstr "Zugestellt"', 'msgstr ""'):
        expect(german).to_contain_text("1 missing")
        german.click()
        summary = preview.get_by_text("de: 1 text missing")
        summary.click()
        expect(preview.locator(".notes")).to_contain_text("steps/kinds/texts/de.po")
        expect(preview.locator(".notes")).to_contain_text("Delivered")
    expect(german).to_have_text("de")
    # A text that is new has not come into the files yet.
    words = checkout / "steps" / "kinds" / "order_confirmed" / "words.j2"
    with edited(words, "Thank you, ", "Many thanks, "):
        expect(german).to_contain_text("1 missing")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_for_everybody_on_a_phone_too(
    browser: Browser, checkout: Path, viewport: dict[str, int], scheme: str
) -> None:
    with previews(browser, checkout, viewport=viewport, color_scheme=scheme) as page:
        for view in ("HTML", "Text", "Headers", "Event", "All"):
            if not page.locator("#samples").is_visible():
                page.locator("summary#chosen").click()
            choose(page, "order.shipped-long", view)
            page.locator("main > *").first.wait_for()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide == viewport["width"], view
            assert violations(page) == [], view


def test_on_a_phone_the_mail_has_the_phone_s_width(browser: Browser, checkout: Path) -> None:
    with previews(browser, checkout, viewport=PHONE) as page:
        (frame,) = [f for f in page.locator("iframe").all() if f.is_visible()]
        box = frame.bounding_box()
        assert box
        assert (box["x"], box["width"]) == (0, 375)
        page.locator("summary#chosen").click()
        choose(page, "order.refunded")
        expect(page.locator("#samples")).to_be_hidden()
        expect(page.locator("#chosen")).to_have_text("order.refunded")
        page.set_viewport_size({"width": 1400, "height": 900})
        expect(page.locator("#samples")).to_be_visible()


def test_everything_is_chosen_with_the_keyboard_and_the_focus_stays(preview: Page) -> None:
    def focused() -> str:
        return str(preview.evaluate("document.activeElement.textContent"))

    seen = []
    for _ in range(60):
        preview.keyboard.press("Tab")
        if focused() == "order.shipped":
            break
        seen.append(focused())
    assert {"de", "full", "dark", "Headers", "order.cancelled"} <= set(seen)
    preview.keyboard.press("Enter")
    preview.frame_locator("iframe").first.get_by_text("your package is on its way").wait_for()
    assert focused() == "order.shipped"
    choose(preview, "All")
    preview.locator(".grid button", has_text="order.refunded · ja").focus()
    preview.keyboard.press("Enter")
    expect(preview.locator("#chosen")).to_have_text("order.refunded")


def test_the_preview_shows_an_event_of_the_shop_s_own(
    browser: Browser, checkout: Path, tmp_path: Path
) -> None:
    event = load_event("order") | {"locale": "de-AT", "eventType": "order.confirmed"}
    file = tmp_path / "order.json"
    file.write_text(json.dumps(event))
    with previews(browser, checkout, str(file)) as page:
        mail = page.frame_locator("iframe").first
        mail.get_by_text("Vielen Dank, John Doe").wait_for()
        assert page.locator(".notes").count() == 0
        file.write_text(json.dumps(event | {"customerName": "Jane", "orderUrI": "x"}))
        mail.get_by_text("Vielen Dank, Jane").wait_for()
        expect(page.locator(".notes")).to_have_text(
            "orderUrI is no field of order.confirmed: did you mean orderUrl?"
        )
        file.write_text(json.dumps(event | {"orderTotal": "x"}))
        expect(page.get_by_role("alert")).to_contain_text("order.json: orderTotal: ")


def test_an_old_event_is_shown_as_if_it_were_new(browser: Browser, checkout: Path) -> None:
    sample = checkout / "steps" / "kinds" / "order_shipped" / "sample.json"
    with (
        edited(sample, "2026-10-09T15:30:00Z", "2021-10-09T15:30:00Z"),
        previews(browser, checkout, str(sample)) as page,
    ):
        page.frame_locator("iframe").first.get_by_text("your package is on its way").wait_for()


def test_an_event_that_is_wrong_is_told_field_by_field_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(kinds.sample("order.shipped") | {"carrier": "", "orderTotal": "x"}))
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.preview", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        'order.json: orderTotal: must be an amount such as "29.99"',
        "order.json: carrier: must not be empty",
    ]
