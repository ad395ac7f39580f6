"""The gate: every mail is valid, accessible, fits every screen, and holds whatever it is given as text."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.preview import in_scheme
from steps import kinds
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.kinds.parsing import InvalidEvent
from steps.mail import localise
from steps.mail.brand import DEFAULT
from steps.mail.view import NAME_MAX, TEXT_MAX, clip
from tests.browser.axe import violations
from tests.browser.mail_judges import nu_html_checker
from tests.support.sample_mails import BRAND, email, order, pairs
from tests.support.shown_mail import order_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]

ROOT = Path(__file__).parents[2]

VARIANTS = [(sample, "en") for sample in kinds.samples()] + [
    (DEFAULT_EVENT_TYPE, language) for language in localise.languages() if language != "en"
]
"""Every sample in English and the confirmation in every language."""

LONG: dict[str, Any] = {
    "customerName": "Wolfeschlegelsteinhausenbergerdorff" * 3,
    "orderId": "X" * 128,
    "orderItems": [
        {
            "name": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 4,
            "quantity": "1234.5",
            "price": "99999.99",
            "sku": "S" * 200,
            "imageUrl": "https://shop.example/picture.jpg",
        }
    ],
    "orderTotal": "999999999999.99",
    "shippingAddress": {"name": "N" * 300, "line1": "L" * 300, "city": "C" * 300},
}

LOUD = replace(
    BRAND,
    support_phone="+49 40 1234567",
    colour="#d9a400",
    logo_url="https://shop.example/logo.png",
    logo_dark_url="https://shop.example/logo-dark.png",
    legal={DEFAULT: ("Northwind Home GmbH, Hafenstr. 12, 20457 Hamburg", "VAT ID DE123456789")},
    unsubscribe_url="https://shop.example/u/{notificationId}",
)
"""A brand with everything, on whose colour white could not be read."""

FALLBACKS = {
    "color-scheme CSS property": "the client chooses light or dark itself",
    "color-scheme meta tag": "the client chooses light or dark itself",
    "@media": "the light mail at desktop measures; it is fluid",
    "<style> element": "the light mail at desktop measures; all else is inlined",
    "Type selector": "of the head's sheet, see <style>",
    "Class selector": "of the head's sheet, see <style>",
    "Attribute selector": "of the head's sheet: meant for Outlook.com alone",
    "Descendant combinator": "of the head's sheet: meant for Outlook.com alone",
    ":hover": "links without underline on hover",
    "<body> element": "the page's colour is on a table, too",
    "border-radius": "square corners",
    "display:none": "the preheader and the dark logo also have mso-hide and no height",
    "max-height property": "what has none also has mso-hide",
    "object-fit": "a logo of more than 240 by 32 px is squeezed into that",
    "overflow": "what it hides also has mso-hide",
    "box-sizing": "who drops it drops @media, too: the button is as wide as its text",
    "white-space": "amounts hold no breaking space",
    "word-break": "names are clipped",
    "overflow-wrap": "word-break does it, and names are clipped",
    "hyphens": "long words break without a hyphen",
    "role attribute": "Windows Mail, which is discontinued, reads layout tables as tables",
}
"""What some of Gmail, Outlook and Apple Mail drop, and what a reader gets then."""


OUTSIDE_THE_DATA = {
    "-webkit-text-size-adjust": "WebKit's: text keeps its size when a phone is turned",
    "color": "every client has it",
    "line-break": "how strictly Japanese lines break; every client breaks them somehow",
    "mso-hide": "Outlook for Windows hides the preheader by it",
    "mso-padding-alt": "Outlook for Windows gives the button its size by it",
    "supported-color-schemes": "color-scheme as the first Apple Mail with a dark mode knew it",
}
"""Properties of which caniemail.com knows nothing, and whose they are."""

LAYOUT_ATTRIBUTES = [
    ("align", "td"),
    ("valign", "tr"),
    ("width", "table"),
    ("width", "td"),
    ("border", "table"),
    ("cellpadding", "table"),
    ("cellspacing", "table"),
]
NOT_IN_HTML_5 = {
    f"The “{attribute}” attribute on the “{element}” element is obsolete.": (
        "Outlook for Windows lays out by it, and drops or changes the CSS in its place"
    )
    for attribute, element in LAYOUT_ATTRIBUTES
} | {
    f"CSS: “{name}”: Property “{name}” doesn't exist.": OUTSIDE_THE_DATA[name]
    for name in ("mso-hide", "mso-padding-alt", "supported-color-schemes")
}
"""What the Nu HTML checker says of mails, by its first words, and why it stays so."""

BROKEN = """<!doctype html><html lang="en"><head><title>Order</title></head><body>
<p style="word-break: break-all; overflow-wrap: anywhere; hyphens: auto">Order</p></div>
<p style="object-fit: cover; reading-flow: normal">Order</p></body></html>"""
"""A mail with a fault for each judge."""


class LinterFindings(TypedDict):
    """Of one mail: where its HTML is invalid, the features that some client drops, properties nobody judged."""

    invalid: list[str]
    unsupported: list[str]
    unknown: list[str]


@pytest.fixture(scope="module")
def mails() -> dict[str, str]:
    """Return the HTML of every mail that is judged, and one that is to be found broken."""
    mails = {f"{kind}.{lang}": email(kind, locale=lang)["html"] for kind, lang in pairs()}
    mails |= {f"{kind}.long": email(kind, **LONG)["html"] for kind in kinds.samples()}
    mails |= {f"{kind}.loud": email(kind, brand=LOUD)["html"] for kind in kinds.samples()}
    return mails | {"broken": BROKEN}


@pytest.fixture(scope="module")
def all_findings(mails: dict[str, str]) -> dict[str, LinterFindings]:
    """What the two linters say of every mail, asked once."""
    linters = subprocess.run(
        ["node", "tests/browser/mail_checks.mjs"],
        input=json.dumps(mails),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    by_mail: dict[str, LinterFindings] = json.loads(linters.stdout)
    assert by_mail.keys() == mails.keys()
    return by_mail


@pytest.fixture(scope="module")
def findings(all_findings: dict[str, LinterFindings]) -> dict[str, LinterFindings]:
    """What the two linters say of the mails that are to be whole."""
    return {name: of_mail for name, of_mail in all_findings.items() if name != "broken"}


@pytest.fixture(scope="module")
def said_by_nu(
    mails: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[str]]:
    """What the Nu HTML checker says, and of which mails; asked once."""
    return nu_html_checker(mails, tmp_path_factory.mktemp("nu"))


def test_html_is_valid(findings: dict[str, LinterFindings]) -> None:
    invalid = {name: of_mail["invalid"] for name, of_mail in findings.items() if of_mail["invalid"]}
    assert invalid == {}


def test_what_a_client_drops_has_a_fallback(findings: dict[str, LinterFindings]) -> None:
    dropped = {feature for of_mail in findings.values() for feature in of_mail["unsupported"]}
    titles = {feature.partition(" in ")[0] for feature in dropped}
    assert titles - set(FALLBACKS) == set(), sorted(dropped)
    assert set(FALLBACKS) - titles == set(), "fallbacks for what is used no more"


def test_no_property_is_left_unjudged(findings: dict[str, LinterFindings]) -> None:
    unknown = {name for of_mail in findings.values() for name in of_mail["unknown"]}
    assert unknown == set(OUTSIDE_THE_DATA)


def test_the_linters_find_what_is_broken(all_findings: dict[str, LinterFindings]) -> None:
    broken = all_findings["broken"]
    for dropped in ("overflow-wrap", "object-fit", "hyphens"):
        assert f"{dropped} in outlook.windows" in broken["unsupported"]
    assert "word-break in outlook.windows-mail" in broken["unsupported"]
    assert broken["unknown"] == ["reading-flow"]
    assert any("close-order" in fault for fault in broken["invalid"])


def test_html_is_valid_but_for_what_outlook_needs(said_by_nu: dict[str, set[str]]) -> None:
    open_ = {
        message: sorted(of_mails)
        for message, of_mails in said_by_nu.items()
        if not message.startswith(tuple(NOT_IN_HTML_5)) and of_mails != {"broken"}
    }
    assert open_ == {}
    stale = {known for known in NOT_IN_HTML_5 if not any(m.startswith(known) for m in said_by_nu)}
    assert stale == set()


def test_nu_finds_what_is_broken(said_by_nu: dict[str, set[str]]) -> None:
    assert said_by_nu["Stray end tag “div”."] == {"broken"}


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One page for all mails; it loads nothing from anywhere."""
    page = browser.new_page()
    page.route("**/*", lambda route: route.abort())
    yield page
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("kind", "language"), VARIANTS)
def test_a_mail_is_accessible(page: Page, kind: str, language: str, scheme: Scheme) -> None:
    _check_accessibility(page, email(kind, locale=language)["html"], scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colour", ["#d9a400", "#0b0b14", "#767676", "#ffffff", "#000000"])
def test_a_mail_is_accessible_in_any_colour(page: Page, colour: str, scheme: Scheme) -> None:
    brand = replace(LOUD, colour=colour)
    _check_accessibility(page, email(DEFAULT_EVENT_TYPE, brand=brand)["html"], scheme)


def _check_accessibility(page: Page, html: str, scheme: Scheme) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.set_content(html)
    # A mail is a document in a client's window: landmarks and the one <main> are the client's.
    assert violations(page, without=("region", "landmark-one-main")) == []
    dark = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert (dark == "rgb(25, 28, 32)") == (scheme == "dark")


@pytest.mark.parametrize("long", [False, True], ids=["sample", "long"])
@pytest.mark.parametrize("kind", kinds.samples())
def test_a_mail_never_scrolls_sideways(page: Page, kind: str, *, long: bool) -> None:
    for language in localise.languages():
        page.set_content(email(kind, locale=language, **(LONG if long else {}))["html"])
        for width in (320, 360, 390, 480, 600, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, (language, width)


@pytest.mark.parametrize("dropped", ["nothing", "display", "max-height", "overflow"])
def test_the_preheader_shows_in_no_mail_whatever_a_client_drops(page: Page, dropped: str) -> None:
    page.set_content(email(DEFAULT_EVENT_TYPE)["html"])
    preheader = page.locator(".preheader")
    preheader.evaluate("(element, name) => element.style.removeProperty(name)", dropped)
    assert preheader.evaluate("element => element.offsetHeight") == 0
    if dropped == "display":
        assert preheader.evaluate("element => getComputedStyle(element).overflow") == "hidden"


@pytest.mark.parametrize("kind", kinds.samples())
def test_a_mail_without_its_images_is_complete(page: Page, kind: str) -> None:
    page.set_content(email(kind)["html"])
    assert page.evaluate("[...document.images].every(i => i.alt || i.className == 'picture')")
    assert page.locator("h1").count() == 1
    assert page.locator(".wordmark").first.inner_text() == "Northwind Home"


LOGOS = {
    "square": (100, 100, 32, 32),
    "wide": (400, 100, 128, 32),
    "tiny": (8, 8, 32, 32),
    "banner": (2000, 100, 240, 32),
}
"""A picture's measures, and those that it has in a mail, in px."""


@pytest.mark.parametrize("shape", LOGOS)
def test_a_logo_of_any_shape_is_32_px_high_and_at_most_240_wide(page: Page, shape: str) -> None:
    width, height, *shown = LOGOS[shape]
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'/>"
    html = email(DEFAULT_EVENT_TYPE, brand=replace(LOUD, logo_dark_url=""))["html"]
    page.emulate_media(color_scheme="light")
    page.set_content(html.replace(LOUD.logo_url, f"data:image/svg+xml,{quote(svg)}"))
    page.wait_for_function("document.querySelector('.logo').naturalWidth")
    box = page.locator(".logo").bounding_box()
    assert box
    assert [box["width"], box["height"]] == shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_of_two_logos_the_one_for_the_scheme_is_shown_and_read(page: Page, scheme: Scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_content(email(DEFAULT_EVENT_TYPE, brand=LOUD)["html"])
    seen = {"light": LOUD.logo_url, "dark": LOUD.logo_dark_url}[scheme]
    # By role there is what a screen reader finds.
    (logo,) = page.get_by_role("img", name=LOUD.name).all()
    assert logo.get_attribute("src") == seen
    assert page.locator(".logo:visible").count() == 1
    page.emulate_media(color_scheme="light")
    page.evaluate("document.documentElement.setAttribute('data-ogsc', '')")
    assert page.locator(".logo:visible").get_attribute("src") == LOUD.logo_dark_url


@pytest.mark.parametrize("width", [375, 800])
@pytest.mark.parametrize(("language", "edge"), [("en", "left"), ("ar", "right")])
def test_the_masthead_and_the_footer_are_in_line_with_the_card_s_text(
    page: Page, language: str, edge: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.set_content(email(DEFAULT_EVENT_TYPE, locale=language)["html"])
    edges = {
        selector: page.evaluate(
            """([selector, edge]) => {
                const range = document.createRange();
                range.selectNodeContents(document.querySelector(selector));
                return range.getBoundingClientRect()[edge];
            }""",
            [selector, edge],
        )
        for selector in (".wordmark", ".headline", ".footer .small")
    }
    assert len({round(place) for place in edges.values()}) == 1, edges


CORPUS = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "\"><svg onload=window.pwned=1>",
    "' onmouseover='window.pwned=1",
    "</title></style></script><script>window.pwned=1</script>",
    "<!--", "-->", "]]>", "<![CDATA[", "<!--[if mso]>",
    "{{ 7*7 }}", "{% for x in y %}", "{# #}", "[[ x ]]", "${7*7}", "%(name)s", "%s%n%", "#{7}",
    "j0j", "<!--j1j-->",
    "a\r\nBcc: eve@evil.example", "a\nContent-Type: text/html\n\n<h1>x", "a\x00b\x1b[31m", "a\u2028b\u0085c",
    "\u202egnp.exe", "\u2066\u2067\u2069x", "\u200fشكرا\u200e abc", "x" * 10_000,
    "🫖👩‍👩‍👧‍👦🏳️‍🌈", "p\u0430yp\u0430l", "Z\u0351\u036b\u0343a\u0328\u0317l\u0489g\u0360o" * 20,
    "&lt;b&gt;&amp;amp;", "\\u003cscript\\u003e", "\\", '"', "'", "`", "\ufeffx",
]  # fmt: skip
HOSTILE = st.sampled_from(CORPUS) | st.text(min_size=1, max_size=80)
TEXTS = [
    "customerName",
    "carrier",
    "trackingNumber",
    "deliveredTo",
    "cancellationReason",
    "refundMethod",
    "giftNote",
    "customerNote",
    "shippingMethod",
    "pickupCode",
]
ADDRESS_FIELDS = ["name", "company", "line1", "line2", "postalCode", "city", "region", "country"]
SKELETON = """() => [...document.querySelectorAll('*')].map(
    e => [e.tagName, e.className, ...e.getAttributeNames().sort()].join(' '))"""


def filled_fields(sample: str, texts: dict[str, str]) -> dict[str, Any]:
    """Fill every text of a sample, whose part is one of two; `texts` has what goes into which slot."""
    item = {"name": texts["item"], "sku": texts["sku"], "quantity": 1, "options": [texts["option"]]}
    address = {slot: texts[slot] for slot in ADDRESS_FIELDS}
    label = texts["label"]
    items = kinds.kind(kinds.sample(sample)["eventType"]).items
    return {
        **{slot: texts[slot] for slot in TEXTS},
        "orderId": texts["orderId"][:128],
        "orderItems": [item | {"price": "5.00", "quantity": 2}],
        **({items: [item]} if items else {}),
        "taxes": [{"label": label, "amount": "1"}],
        "discounts": [{"label": label, "code": label, "amount": "1"}],
        "fees": [{"label": label, "amount": "1"}],
        "giftCards": [{"code": label, "amount": "1"}],
        "payment": {"method": label, "instructions": label},
        "shippingAddress": address,
        "billingAddress": address | {"vatId": label},
        "pickupPoint": {"name": label, "address": address, "openingHours": label},
    }


SLOTS = [*TEXTS, *ADDRESS_FIELDS, "item", "sku", "option", "label", "orderId"]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kind=st.sampled_from(kinds.samples()),
    language=st.sampled_from(["en", "ar"]),
    texts=st.fixed_dictionaries(dict.fromkeys(SLOTS, HOSTILE)),
)
def test_whatever_an_event_holds_is_text(
    page: Page, kind: str, language: str, texts: dict[str, str]
) -> None:
    fields: dict[str, Any] = {}
    with suppress(InvalidEvent):
        fields = order(kind, locale=language, **filled_fields(kind, texts))
    if not fields:
        return  # Nothing visible is left of some text: the event is rejected, see test_order_event.
    # What is the same stays the same: an address does not say its city twice.
    numbers = {text: f"plain {number}" for number, text in enumerate(texts.values())}
    # And what says nothing is as if it were not given.
    harmless = {slot: numbers[text] if text.strip() else text for slot, text in texts.items()}
    harmless["item"] = harmless["item"].ljust(len(fields["orderItems"][0]["name"]), "y")
    plain = email(kind, locale=language, **filled_fields(kind, harmless))
    mail = email(kind, locale=language, **filled_fields(kind, texts))
    page.set_content(plain["html"])
    skeleton = page.evaluate(SKELETON)
    page.set_content(mail["html"])
    assert page.evaluate(SKELETON) == skeleton
    assert page.evaluate("window.pwned") is None
    shown = page.evaluate("document.body.textContent")
    assert clip(fields["customerName"], NAME_MAX) in shown
    assert fields["orderId"] in shown
    items = kinds.kind(fields["eventType"]).items
    for item in fields.get(items or "") or fields["orderItems"]:
        assert clip(item["name"], TEXT_MAX) in shown
        assert clip(item["name"], TEXT_MAX) in mail["text"]
    json_ld = json.loads(page.evaluate("document.querySelector('script').textContent"))
    assert order_in(json_ld)["orderNumber"] == fields["orderId"]
    for line in (mail["subject"], mail["fromName"], *mail["headers"].values()):
        assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e]", line)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:window.pwned=1",
        "data:text/html,<script>window.pwned=1</script>",
        'https://shop.example/"onclick="window.pwned=1',
        "https://shop.example/'><script>window.pwned=1</script>",
        "https://shop.example/?a=1&b={{7*7}}&c=%0d%0aBcc:x",
        "https://user:password@shop.example/",
        "https://shop.example\\@evil.example/",
        " https://shop.example/a b",
    ],
)
def test_a_link_leads_to_the_web_or_is_rejected(page: Page, url: str) -> None:
    item = {"name": "Mug", "quantity": 1, "price": "5", "url": url, "imageUrl": url}
    try:
        mail = email(
            "order.shipped", trackingUrl=url, orderUrl=url, orderItems=[item], parcelItems=[item]
        )
    except InvalidEvent:
        return
    page.set_content(mail["html"])
    assert page.evaluate("[...document.links].every(a => /^(https?|mailto):$/.test(a.protocol))")
    names = page.evaluate("[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())")
    assert not any(name.startswith("on") for name in names)
    assert page.evaluate("window.pwned") is None


def test_the_preview_of_a_scheme_asks_for_no_scheme() -> None:
    html = email(DEFAULT_EVENT_TYPE)["html"]
    assert "prefers-color-scheme" in html
    for scheme in ("light", "dark"):
        assert "prefers-color-scheme" not in in_scheme(html, scheme)
