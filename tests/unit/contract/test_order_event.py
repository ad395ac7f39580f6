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


@pytest.mark.parametrize(("code", "kept"), [("DE", "DE"), ("de", "DE"), (None, None)])
def test_a_country_code_is_kept_in_capitals(code: str | None, kept: str | None) -> None:
    assert PostalAddress.model_validate({"countryCode": code}).country_code == kept


@pytest.mark.parametrize(
    "code", ["UK", "DEU", "Germany", "EU", "IC", "ZZ", "D", "", "ﬁ", "ıt", "DE "]
)
def test_what_is_no_country_code_is_rejected_by_name(order: dict[str, Any], code: str) -> None:
    with pytest.raises(ValidationError) as rejected:
        OrderEvent.model_validate(order | {"shippingAddress": {"countryCode": code}})
    (error,) = rejected.value.errors()
    assert error["loc"] == ("shippingAddress", "countryCode")
    assert error["msg"] == "is not an ISO 3166-1 country code such as DE"
