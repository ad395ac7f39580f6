"""The fields of an order event: which values they take, and as what."""

from __future__ import annotations

from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from steps.contract.order_event import OrderEvent, OrderId, PostalAddress, Text, country_codes


def test_a_total_may_differ_from_the_sum_of_the_items(order: dict[str, Any]) -> None:
    event = OrderEvent.model_validate(order | {"orderTotal": "1.00"})
    assert event.order_total == Decimal("1.00")


def test_unknown_fields_are_ignored(order: dict[str, Any]) -> None:
    with_more = OrderEvent.model_validate(order | {"internal": {"x": 1}})
    assert with_more == OrderEvent.model_validate(order)


@pytest.mark.parametrize(
    ("address", "ascii_address"),
    [
        ("customer@bücher.example.com", "customer@xn--bcher-kva.example.com"),
        ("A.B@Example.COM", "A.B@example.com"),
    ],
)
def test_an_address_is_kept_as_ascii(
    order: dict[str, Any], address: str, ascii_address: str
) -> None:
    event = OrderEvent.model_validate(order | {"customerEmail": address})
    assert event.customer_email == ascii_address


@pytest.mark.parametrize(
    "address",
    [
        "a@b",
        "a@b.c\r\nBcc: x@y.example",
        "<a@example.com>",
        "A <a@example.com>",
        "a@example.com, b@example.com",
        "jürgen@example.com",
    ],
)
def test_an_address_that_ses_could_not_deliver_to_is_rejected(
    order: dict[str, Any], address: str
) -> None:
    with pytest.raises(ValidationError) as invalid:
        OrderEvent.model_validate(order | {"customerEmail": address})
    assert [error["loc"] for error in invalid.value.errors()] == [("customerEmail",)]


BLANK_LETTERS = set("\u115f\u1160\u3164\uffa0")


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_a_text_becomes_one_visible_line_or_is_rejected(text: str) -> None:
    try:
        line = TypeAdapter(Text).validate_python(text)
    except ValidationError:
        assert not any(c.isalnum() for c in text if c not in BLANK_LETTERS)
    else:
        assert line == line.strip()
        assert line.splitlines() == [line]
        assert "\u202e" not in line
        line.encode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Maya \ud83d", "Maya"),
        ("\ude00 Mug", "Mug"),
        ("\ud83c\udf89".encode("utf-16", "surrogatepass").decode("utf-16"), "\U0001f389"),
        ("\u202eayaM\u2066", "ayaM"),
        (
            "\u200f\u05de\u05d0\u05d9\u05d4\u200e C++\u200e",
            "\u200f\u05de\u05d0\u05d9\u05d4\u200e C++\u200e",
        ),
        ("\u0645\u0627\u06cc\u0627\u200c\u200d", "\u0645\u0627\u06cc\u0627\u200c\u200d"),
    ],
    ids=["cut after", "cut before", "whole", "override", "marks", "joiners"],
)
def test_of_a_text_goes_only_what_no_mail_can_show(text: str, line: str) -> None:
    assert TypeAdapter(Text).validate_python(text) == line


def test_the_marks_in_an_order_id_are_not_part_of_it() -> None:
    assert TypeAdapter(OrderId).validate_python("\u200eNW-1\u200f") == "NW-1"


def test_the_country_codes_are_those_of_iso_3166_and_three_that_shops_send_to_besides() -> None:
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text("utf-8")
    iso = {line.split("\t")[0] for line in table.splitlines() if not line.startswith("#")}
    assert country_codes() == iso | {"XK", "AC", "TA"}


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("DE", "DE"),
        ("de", "DE"),
        (None, None),
        ("UK", "GB"),
        ("DEU", "DE"),
        ("DE ", "DE"),
        ("", None),
    ],
)
def test_a_country_code_is_kept_in_capitals(code: str | None, kept: str | None) -> None:
    assert PostalAddress.model_validate({"countryCode": code}).country_code == kept


@pytest.mark.parametrize("code", ["Germany", "EU", "IC", "ZZ", "D", "ﬁ", "ıt"])
def test_what_is_no_country_code_is_rejected_by_name(order: dict[str, Any], code: str) -> None:
    with pytest.raises(ValidationError) as rejected:
        OrderEvent.model_validate(order | {"shippingAddress": {"countryCode": code}})
    (error,) = rejected.value.errors()
    assert error["loc"] == ("shippingAddress", "countryCode")
    assert error["msg"] == "is not an ISO 3166-1 country code such as DE"


# --- attachments ----------------------------------------------------------------------------------

INVOICE = {
    "uri": "s3://shop-documents/mails/2026/Invoice 4711.pdf",
    "sha256": "0A" * 32,
    "fileName": "Invoice-4711.pdf",
    "url": "https://shop.example/invoices/4711",
}


def test_an_attachment_says_where_it_is_and_what_it_is_called(order: dict[str, Any]) -> None:
    event = OrderEvent.model_validate(order | {"attachments": [INVOICE]})
    assert event.attachments
    (attachment,) = event.attachments
    assert attachment.uri == INVOICE["uri"]
    assert attachment.sha256 == "0a" * 32
    assert str(attachment.url) == INVOICE["url"]
    assert event.content() != OrderEvent.model_validate(order).content()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Rechnung Nr. 4711 (Müller).pdf", "Rechnung Nr. 4711 (Müller).pdf"),
        ("請求書.pdf", "請求書.pdf"),
        ("فاتورة\u200f.pdf", "فاتورة.pdf"),
        ("Invoice\u202efdp.exe", "Invoicefdp.exe"),
        ("Invoice\r\nX-Evil: 1.pdf", "Invoice X-Evil: 1.pdf"),
        ("Invoice\t4711\ud83d.pdf", "Invoice 4711.pdf"),
        # SES takes no name with what does not show, and one name is not to have two spellings.
        ("فاکتور\u200cها.pdf", "فاکتورها.pdf"),
        ("Rech\u00adnung\u2060\U000e0041.pdf", "Rechnung.pdf"),
        ("Inv\u0378\ue000\ufffeoice.pdf", "Invoice.pdf"),
        ("Cafe\u0301.pdf", "Café.pdf"),
        ("Cafe\u200d\u0301.pdf", "Café.pdf"),
        ("pass.p\u212apass", "pass.pKpass"),
        # Not attached, but no reason to lose the mail.
        *((name, name) for name in ("Invoice", "Invoice.", ".pdf", "../Invoice.pdf", "C:\\x.pdf")),
        ("x" * 251 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
def test_a_file_name_is_one_line_that_looks_like_what_it_is(
    order: dict[str, Any], given: str, kept: str
) -> None:
    event = OrderEvent.model_validate(order | {"attachments": [INVOICE | {"fileName": given}]})
    assert event.attachments
    assert event.attachments[0].file_name == kept


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *(
            ("fileName", name)
            for name in (*("", "\u200b", "\ud83d", "\u3164", "x" * 252 + ".pdf", 5, None),)
        ),
        *(("uri", uri) for uri in (*("", "\ud83d", "s3://shop/" + "k" * 1100, 5, None),)),
        *(("sha256", sha256) for sha256 in ("", "0a", "0g" * 32, "0a" * 32 + "\n", 5)),
        *(("url", url) for url in ("ftp://shop.example/x", "https://10.0.0.1/x", 5)),
    ],
)
def test_a_wrong_attachment_is_named_by_its_field(
    order: dict[str, Any], field: str, wrong: object
) -> None:
    attachments = [INVOICE, INVOICE | {"fileName": "Terms.pdf", field: wrong}]
    with pytest.raises(ValidationError) as invalid:
        OrderEvent.model_validate(order | {"attachments": attachments})
    assert [error["loc"] for error in invalid.value.errors()] == [("attachments", 1, field)]


@pytest.mark.parametrize(
    "attachments",
    [
        [INVOICE | {"fileName": f"{number}.pdf"} for number in range(21)],
        INVOICE,
        "s3://shop/key",
    ],
)
def test_an_event_names_no_more_than_a_list_of_attachments(
    order: dict[str, Any], attachments: object
) -> None:
    with pytest.raises(ValidationError) as invalid:
        OrderEvent.model_validate(order | {"attachments": attachments})
    assert [error["loc"] for error in invalid.value.errors()] == [("attachments",)]


def test_an_empty_text_of_a_field_that_need_not_be_given_says_that_it_is_not(
    order: dict[str, Any],
) -> None:
    empty = {"giftNote": "", "orderUrl": " ", "discount": "", "shippingAddress": {"line2": ""}}
    item = order["orderItems"][0] | {"sku": "", "compareAtPrice": ""}
    event = OrderEvent.model_validate(order | empty | {"orderItems": [item]})
    assert (event.gift_note, event.order_url, event.discount) == (None, None, None)
    assert event.shipping_address == PostalAddress()
    assert event.order_items[0].compare_at_price is None


@pytest.mark.parametrize("field", ["orderId", "customerName", "orderTotal", "currency", "locale"])
def test_an_empty_text_of_any_other_field_is_rejected(order: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError):
        OrderEvent.model_validate(order | {field: ""})


def test_an_empty_list_says_what_no_list_says(order: dict[str, Any]) -> None:
    lists: dict[str, Any] = {
        key: [] for key in ("taxes", "fees", "discounts", "giftCards", "attachments")
    }
    items = [item | {"options": []} for item in order["orderItems"]]
    same = OrderEvent.model_validate(order | lists | {"orderItems": items})
    assert same.content() == OrderEvent.model_validate(order).content()


@pytest.mark.parametrize(
    "attachments",
    [
        [INVOICE | {"fileName": f"{number}.pdf"} for number in range(20)],
        [INVOICE] * 2,
        *(
            [INVOICE | {"uri": uri}]
            for uri in (
                *("s3://shop", "s3://shop/", "s3:///key", "https://shop.example/invoice.pdf", "x"),
                *("s3://Shop/key", "s3://shop//key", "s3://shop/a/../key", "s3://shop/key\r\n"),
            )
        ),
    ],
)
def test_what_cannot_be_attached_does_not_cost_the_mail(
    order: dict[str, Any], attachments: list[dict[str, str]]
) -> None:
    event = OrderEvent.model_validate(order | {"attachments": attachments})
    assert event.attachments
    assert [a.uri for a in event.attachments] == [a["uri"] for a in attachments]


def test_half_a_character_of_a_key_is_nothing_that_could_be_sent(order: dict[str, Any]) -> None:
    cut = INVOICE | {"uri": "s3://shop/mails/\ud83d.pdf"}
    event = OrderEvent.model_validate(order | {"attachments": [cut]})
    assert event.attachments
    assert event.attachments[0].uri == "s3://shop/mails/.pdf"
