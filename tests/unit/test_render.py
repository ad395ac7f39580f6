"""The mail says what the event says: amounts, languages, long lists, headers, data for machines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal
from email.header import decode_header, make_header
from email.utils import parseaddr
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from babel.numbers import format_currency
from hypothesis import given, settings
from hypothesis import strategies as st

from steps import kinds
from steps.aws.ses import from_field
from steps.mail import localise
from steps.mail.brand import Brand
from tests.support.sample_mails import BRAND, email, order, pairs

if TYPE_CHECKING:
    from steps.contract.state import Email

ISOLATES = "\u2066\u2069"


class Shown(HTMLParser):
    """What a reader of the HTML part sees, and where its links go."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.data: list[str] = []
        self._hidden = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("style", "title"):
            self._hidden = tag
        if tag == "script":
            self._hidden = "script"
        if named.get("class") == "preheader":
            self._hidden = "div"
        if tag == "a" and named.get("href"):
            self.links.append(str(named["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if self._hidden == "script":
            self.data.append(data)
        if not self._hidden and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def json_ld(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads("".join(self.data))
        return found


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_the_text_says_everything_that_the_html_does(kind: str, language: str) -> None:
    mail = email(kind, locale=language)
    shown, text = Shown(mail["html"]), words(mail["text"])
    # A multiplication sign or a dot between two facts is typography.
    for said in shown.texts:
        for fact in (part.rstrip(" ·") for part in re.split(r" · |^· |^× ", said)):
            assert fact in text
    for link in shown.links:
        assert link.removeprefix("mailto:") in text or link in [
            item.get("url") for item in [*order(kind)["orderItems"]]
        ]


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_nothing_of_the_template_is_left(kind: str, language: str) -> None:
    mail = email(kind, locale=language)
    for part in (mail["html"], mail["text"], mail["subject"]):
        assert not re.search(r"{[{%#]|\[\[|\[%|%\(|\bNone\b|\bj\d+j\b|var\(--", part)


@pytest.mark.parametrize("kind", kinds.names())
def test_only_one_line_of_subject_and_no_name_in_it(kind: str) -> None:
    subject = email(kind)["subject"]
    assert subject.splitlines() == [subject]
    assert "NW-20418" in subject
    assert "Maya" not in subject


@pytest.mark.parametrize(
    ("locale", "language", "expected"),
    [
        ("de-AT", "de", "€ 1.234,50"),
        ("de-CH", "de", "EUR 1’234.50"),
        ("de", "de", "1.234,50 €"),
        ("fr-CA", "fr", "1 234,50 €"),
        ("en-GB", "en", "€1,234.50"),
        ("ja-JP", "ja", "€1,234.50"),
        ("pt-BR", "en", "€1,234.50"),
        ("sv-SE", "en", "1 234,50 €"),
        ("xx", "en", "€1,234.50"),
        ("zh-Hant-TW", "en", "€1,234.50"),
        ("DE-at", "de", "€ 1.234,50"),
    ],
)
def test_a_language_without_texts_falls_back(locale: str, language: str, expected: str) -> None:
    found = localise.language(locale)
    assert found.tag.startswith(language)
    assert words(found.money("1234.5", "EUR")) == expected
    assert f'lang="{found.tag}"' in email("order.confirmed", locale=locale)["html"]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1234", "JPY", "¥1,234"),
        ("1.5", "KWD", "KWD1.500"),
        ("0.005", "BHD", "BHD0.005"),
        ("29.990000", "USD", "$29.99"),
        ("0.0049", "USD", "$0.0049"),
        ("100", "USD", "$100.00"),
        ("-24.6", "USD", "-$24.60"),
        ("999999999999999.99", "USD", "$999,999,999,999,999.99"),
    ],
)
def test_amounts_have_the_currencys_decimals(amount: str, currency: str, expected: str) -> None:
    assert words(localise.language("en-US").money(amount, currency)) == expected


@given(
    amount=st.decimals(-(10**9), 10**9, places=2),
    currency=st.sampled_from(["USD", "EUR", "JPY", "KWD", "CHF", "INR", "XXX"]),
    tag=st.sampled_from(["en", "en-IN", "de-CH", "de-AT", "fr", "es-MX", "ja"]),
)
def test_amounts_are_written_as_babel_does(amount: Decimal, currency: str, tag: str) -> None:
    language = localise.language(tag)
    expected = format_currency(amount, currency, locale=language.locale)
    assert language.money(amount, currency, rounded=True) == expected


def test_arabic_keeps_sign_and_currency_in_order() -> None:
    assert localise.language("ar").money("-24.6", "USD") == "\u2066-24.60\xa0US$\u2069"


@pytest.mark.parametrize("number", [0, 1, 2, 5, 11, 100])
@pytest.mark.parametrize("language", localise.languages())
def test_every_plural_form_counts(language: str, number: int) -> None:
    texts = localise.language(language).texts
    for forms in (
        ("and %(num)d more item", "and %(num)d more items"),
        ("%(num)d item in this parcel", "%(num)d items in this parcel"),
    ):
        assert str(number) in texts.ngettext(*forms, number) % {"num": number}


ITEM = {"name": "Stoneware mug", "quantity": 1, "price": "18.50"}


def test_one_item() -> None:
    mail = email("order.confirmed", orderItems=[ITEM])
    assert "1 item, " in mail["html"]
    assert "more item" not in mail["html"]


@pytest.mark.parametrize("long", ["Mug", "M" * 200, "ماگ" * 60, "\"<&>'" * 40, "🫖" * 200])
@pytest.mark.parametrize("pictures", [False, True])
def test_two_hundred_items_are_clipped_and_the_total_is_not(long: str, pictures: bool) -> None:  # noqa: FBT001
    picture = {"imageUrl": "https://shop.example/" + "p" * 1800, "url": "https://shop.example/x"}
    items = [ITEM | {"name": f"{n} {long}"} | (picture if pictures else {}) for n in range(200)]
    mail = email("order.confirmed", orderItems=items, orderTotal="3700.00")
    assert len(mail["html"].encode()) < 102_400
    assert len(json.dumps(mail, ensure_ascii=False).encode()) < 250_000
    listed = {"html": mail["html"].count('class="amount"'), "text": mail["text"].count("\n* ")}
    for part in ("html", "text"):
        hidden = re.search(r"and (\d+) more items", mail[part])
        assert hidden
        assert int(hidden[1]) + listed[part] == 200
        assert "$3,700.00" in mail[part]
        assert "https://shop.example/orders/NW-20418" in mail[part]


def test_long_names_end_in_an_ellipsis() -> None:
    mail = email(
        "order.confirmed", customerName="x" * 10_000, orderItems=[ITEM | {"name": "y" * 10_000}]
    )
    assert "x" * 59 + "…" in mail["html"]
    assert "x" * 60 not in mail["html"]
    assert "y" * 199 + "…" in mail["text"]


def test_the_mail_says_what_the_event_says() -> None:
    lone = email("order.confirmed", orderTotal="1.00", shipping=None, tax=None, discount=None)
    assert "Subtotal" not in lone["html"]
    assert "$1.00" in lone["html"]
    positive, negative = (email("order.confirmed", discount=d) for d in ("24.60", "-24.60"))
    assert "-$24.60" in positive["html"]
    assert positive["html"] == negative["html"]


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_the_data_for_machines_agrees_with_what_is_shown(kind: str, language: str) -> None:
    mail = email(kind, locale=language)
    data = Shown(mail["html"]).json_ld
    money = localise.language(language).money
    found = data.get("partOfOrder") or data.get("referencesOrder") or data
    assert data["@context"] == "https://schema.org"
    assert found["orderNumber"] == "NW-20418"
    if kind not in ("order.shipped", "order.delivered"):
        assert money(found["price"], found["priceCurrency"]) in mail["html"]
        assert money(found["price"], found["priceCurrency"]) in mail["text"]
    if data["@type"] == "Invoice":
        due = data["totalPaymentDue"]
        assert money(due["price"].removeprefix("-"), due["priceCurrency"]) in mail["html"]
    if data["@type"] == "ParcelDelivery":
        assert data["trackingNumber"] in mail["html"]
        assert [i["name"] for i in data["itemShipped"]] == [
            i["name"] for i in kinds.sample(kind)["parcelItems"]
        ]
    for offer in found.get("acceptedOffer", []):
        assert offer["itemOffered"]["name"] in mail["html"]


KNOWN = {
    "Order": {"merchant", "orderNumber", "orderStatus", "orderDate", "url", "acceptedOffer"}
    # Not schema.org's, but demanded by Google's e-mail markup reference.
    | {"price", "priceCurrency"},
    "Offer": {"itemOffered", "price", "priceCurrency", "eligibleQuantity"},
    "Product": {"name", "sku", "image", "url"},
    "Organization": {"name", "url"},
    "QuantitativeValue": {"value"},
    "PostalAddress": {"name", "streetAddress", "postalCode", "addressLocality"}
    | {"addressRegion", "addressCountry"},
    "ParcelDelivery": {"partOfOrder", "itemShipped", "carrier", "trackingNumber", "trackingUrl"}
    | {"expectedArrivalUntil", "deliveryAddress"},
    "Invoice": {"description", "provider", "totalPaymentDue", "paymentStatus", "referencesOrder"},
    "PriceSpecification": {"price", "priceCurrency"},
}
"""The properties that schema.org gives each type (release 29), as far as we use them."""


@pytest.mark.parametrize("kind", kinds.names())
def test_the_data_for_machines_is_schema_orgs(kind: str) -> None:
    def check(node: Any) -> None:
        if isinstance(node, list):
            for entry in node:
                check(entry)
        elif isinstance(node, dict):
            properties = set(node) - {"@type", "@context"}
            assert properties
            assert properties <= KNOWN[node["@type"]]
            for value in node.values():
                check(value)
        else:
            assert node not in (None, "")

    check(Shown(email(kind)["html"]).json_ld)


def test_headers() -> None:
    headers = email("order.confirmed")["headers"]
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Entity-Ref-ID"] == "5f" * 20
    assert not any(name.startswith("List-") for name in headers), "order mails are transactional"
    threads = {email(kind)["headers"]["References"] for kind in kinds.names()}
    assert len(threads) == 1
    assert email("order.confirmed", orderId="other")["headers"]["References"] not in threads


def test_one_click_unsubscribe_where_a_shop_asks_for_it() -> None:
    brand = Brand(
        name="Shop",
        support_email="a@b.example",
        unsubscribe_url="https://b.example/u/{notificationId}",
    )
    mail = email("order.confirmed", brand=brand)
    assert mail["headers"]["List-Unsubscribe"] == f"<https://b.example/u/{'5f' * 20}>"
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"https://b.example/u/{'5f' * 20}" in mail["html"]
    assert f"https://b.example/u/{'5f' * 20}" in mail["text"]


@pytest.mark.parametrize(
    "name",
    [
        "Shop",
        'Ann "Q" O\'Neil, Ltd.',
        "Bücher & Mehr",
        "日本のとても長い名前のお店" * 4,
        "متجر",
        "a@b",
        "🫖",
    ],
)
def test_the_from_field_comes_back_as_it_went_in(name: str) -> None:
    field = from_field(name, "orders@shop.example")
    assert field.isascii()
    assert field.splitlines() == [field]
    assert all(len(word) <= 75 for word in field.split())
    shown, address = parseaddr(field)
    assert (str(make_header(decode_header(shown))), address) == (name, "orders@shop.example")


HOSTILE = st.text(min_size=1, max_size=60) | st.sampled_from(
    [
        "{{ 7*7 }}",
        "{% raw %}",
        "</script><script>alert(1)</script>",
        "%(name)s %s %",
        "a\r\nBcc: x@y.z",
    ]
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_a_field_holds_it_is_text(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(kinds.names()))
    order_id, customer, name, sku = (data.draw(HOSTILE) + "x" for _ in range(4))
    items = [ITEM | {"name": name, "sku": sku}]
    mail = email(kind, orderId=order_id, customerName=customer, orderItems=items)
    _is_one_mail(mail)


def _is_one_mail(mail: Email) -> None:
    for value in (mail["subject"], mail["to"], *mail["headers"].values()):
        assert value.splitlines() == [value]
        assert value.isprintable() or not re.search(r"[\x00-\x1f\x7f]", value)
    for value in mail["headers"].values():
        assert re.fullmatch(r"[ -~]{1,995}", value), "SES takes printable ASCII"
    # A script that a value opened would be a second one.
    assert mail["html"].count("<script") == mail["html"].count("</script>") == 1
    assert Shown(mail["html"]).json_ld


def test_subtotal_is_the_sum_of_all_items_also_of_those_not_listed() -> None:
    items = [ITEM | {"name": str(n)} for n in range(200)]
    subtotal = localise.language("en-US").money(Decimal("18.50") * 200, "USD")
    assert subtotal in email("order.confirmed", orderItems=items)["html"]


def test_the_brand_is_in_every_mail() -> None:
    for kind in kinds.names():
        mail = email(kind)
        for said in (BRAND.name, BRAND.support_email, BRAND.postal_address, BRAND.links[0][1]):
            assert said in mail["html"]
            assert said in mail["text"]
        assert mail["replyTo"] == BRAND.support_email


def test_a_cold_start_imports_nothing_that_it_does_not_need() -> None:
    code = "import sys, steps.render; print({'pydantic', 'boto3', 'email_validator'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"set()\n"
