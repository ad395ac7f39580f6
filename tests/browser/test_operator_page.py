"""The operators' page in a browser: usable by everybody, also on a phone, whatever it shows."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.operator.dead import Chosen, Group
from infra.operator.find import Moment, Sighting
from infra.operator.letters import ORDERS, Kind
from tests.browser.axe import violations
from tests.support.operator_page import (
    ADDRESS,
    ALARM,
    BOUNCED,
    DELIVERED,
    LISTING,
    PAUSED,
    TOKEN,
    calls,
    finding,
    letter,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

WIDTHS = (360, 1280)
HOSTILE = (
    "<script>document.title='pwned'</script>",
    "\"><img src=x onerror=document.title='pwned'>",
    "{{ 7*7 }}",
    "\u202egnp.exe \u2066\u2067x",
    "X" * 128,
    "🏳️‍🌈" * 40,
)


@contextmanager
def opened(browser: Browser, scheme: str = "light", **planted: Any) -> Iterator[tuple[Page, str]]:
    """Open the page as its user does; nothing may go wrong in the browser."""
    complaints: list[str] = []
    with (
        serving(calls(**planted)) as url,
        closing(browser.new_context(color_scheme=scheme)) as context,  # type: ignore[arg-type]
    ):
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.goto(f"{url}/enter/{TOKEN}")
        yield page, url
    assert complaints == []


def _find(page: Page) -> None:
    page.get_by_role("textbox").fill("ORDER123456")
    page.get_by_role("button", name="Find").click()
    page.get_by_text("The recipient's server took the mail.").first.wait_for()
    page.get_by_text("All that is known").first.click()


def _pause(page: Page) -> None:
    page.get_by_role("button", name="Pause sending").click()
    page.get_by_label("Why?").wait_for()


def _dead(page: Page) -> None:
    page.get_by_role("link", name="Dead letters", exact=True).click()
    page.get_by_text("Each letter").wait_for()


def _letter(page: Page) -> None:
    _dead(page)
    page.get_by_role("link", name="ORDER123457").click()
    page.get_by_role("heading", name="What is in it").wait_for()


def _drop(page: Page) -> None:
    _dead(page)
    page.get_by_role("button", name="Delete …").first.click()
    page.get_by_text("Delete for good").wait_for()


def _suppressed(page: Page) -> None:
    page.get_by_role("link", name="Suppression").click()
    page.get_by_label("Address", exact=True).fill(ADDRESS)
    page.get_by_role("button", name="Look").click()
    page.get_by_text("It is on the list").wait_for()


def _doctor(page: Page) -> None:
    page.get_by_role("link", name="Doctor").click()
    page.get_by_text("DMARC", exact=True).wait_for()


def _home(page: Page) -> None:
    page.get_by_text("Mails go out").wait_for()


SCREENS = (_home, _find, _pause, _dead, _letter, _drop, _suppressed, _doctor)


def overflow(page: Page) -> int:
    """Return by how many pixels a page scrolls sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__[1:])
def test_a_screen_is_accessible_and_fits(
    browser: Browser, screen: Callable[[Page], None], scheme: str
) -> None:
    with opened(browser, scheme) as (page, _):
        screen(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert violations(page) == [], width
            assert overflow(page) <= 0, width
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (colour == "rgb(15, 17, 19)") == (scheme == "dark")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_an_order_holds_is_text_and_breaks_nothing(browser: Browser, text: str) -> None:
    story = replace(
        BOUNCED,
        order_id=text,
        notification_id=text,
        event_type=text,
        part={text: text},
        words=text,
        reason=text,
        next_step=text,
        timeline=[
            Moment(at=text, what=text, detail=text, link="javascript:document.title='pwned'")
        ],
        details={text: text},
    )
    seen = Sighting(place=text, what=text, at=text, next_step=text)
    hostile = letter(text, reason=text, execution=text, notification_id=text)
    group = Group(queue=ORDERS, kind=Kind.ORDER, reason=text, count=1, oldest=text, next_step=text)
    planted: dict[str, Any] = {
        "find": lambda _, term: finding(
            story, term=term, elsewhere=[seen], notes=[text], unasked=[text], sending=PAUSED
        ),
        "alarms": lambda _: [replace(ALARM, name=text, says=text)],
        "listing": lambda _: replace(LISTING, groups=[group], letters=[hostile]),
        "choose": lambda _, __: Chosen(letters=[hostile], notes=[text]),
    }
    with opened(browser, **planted) as (page, url):
        for path in ("/", "/find?term=x", "/dead"):
            page.goto(f"{url}{path}")
            page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
            assert text in page.locator("main").evaluate("m => m.textContent"), path
            for width in (320, *WIDTHS):
                page.set_viewport_size({"width": width, "height": 800})
                assert overflow(page) <= 0, (path, width)
            assert "pwned" not in page.title()
            assert page.locator("main img").count() == 0
            assert page.locator("a[href^=javascript]").count() == 0
        page.get_by_role("button", name="Delete …").first.click()
        page.get_by_text("Delete for good").wait_for()
        assert text in page.locator("main").evaluate("m => m.textContent")
        assert overflow(page) <= 0


def test_a_search_says_that_it_searches_and_needs_no_mouse(browser: Browser) -> None:
    with opened(browser) as (page, _):
        # As if it took for ever: Playwright would wait for the answer.
        page.evaluate("addEventListener('submit', (event) => event.preventDefault())")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("ORDER123456")
        page.keyboard.press("Enter")
        page.get_by_text("Searching …").wait_for()
        assert page.get_by_role("button", name="Find").is_disabled()


def test_a_change_is_made_after_it_was_confirmed(browser: Browser) -> None:
    said: list[str] = []

    def change(_: object, *, enabled: bool, why: str) -> Any:
        said.append(f"{enabled}: {why}")
        return PAUSED

    with opened(browser, set_sending=change) as (page, url):
        _pause(page)
        assert said == []
        page.get_by_label("Why?").fill("the shop publishes orders twice")
        page.keyboard.press("Enter")
        page.get_by_text("Sending is paused.").wait_for()
        assert page.url == f"{url}/"
    assert said == ["False: the shop publishes orders twice"]


def test_another_page_can_neither_read_nor_press(browser: Browser) -> None:
    """Forms of another port of this machine come with the cookie: it is the same site."""
    said: list[str] = []

    def change(_: object, **given: Any) -> Any:
        said.append(str(given))
        return PAUSED

    with (
        serving(calls(set_sending=change)) as url,
        serving(calls()) as other,
        closing(browser.new_context()) as context,
    ):
        page = context.new_page()
        page.goto(f"{url}/enter/{TOKEN}")
        token = page.locator("input[name=csrf]").first.input_value()
        # A page without a policy of its own.
        page.route(f"{other}/lure", lambda route: route.fulfill(body="<title>Kittens</title>"))
        page.goto(f"{other}/lure")
        read = "url => fetch(url, {credentials: 'include'}).then(a => a.text(), () => null)"
        assert page.evaluate(read, url) is None
        form = """([url, token]) => {
          const form = document.createElement("form");
          Object.assign(form, {method: "POST", action: url + "/pause"});
          for (const [name, value] of [["csrf", token], ["reason", "x"]])
            form.append(Object.assign(document.createElement("input"), {name, value}));
          document.body.append(form);
          form.submit();
        }"""
        with page.expect_navigation():
            page.evaluate(form, [url, token])
        assert "another page" in page.locator("body").inner_text()
    assert said == []


def test_addresses_are_shown_by_a_switch(browser: Browser) -> None:
    with opened(browser, find=lambda _, term: finding(DELIVERED, term=term)) as (page, _):
        _find(page)
        assert ADDRESS not in page.content()
        page.get_by_role("button", name="Show addresses").click()
        page.get_by_text("All that is known").click()
        page.get_by_text(ADDRESS).wait_for()
        assert page.get_by_role("button", name="Hide addresses").is_visible()
