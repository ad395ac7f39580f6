"""What an order event is, and what is said of one that is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from steps.contract import order_event
from steps.kinds.parsing import InvalidEvent, parse
from tests.conftest import EVENTS

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def reasons(message: str) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as invalid:
        parse(message, NOW)
    return {r["path"]: r["reason"] for r in invalid.value.reasons}


def test_the_contract_example(order: dict[str, Any]) -> None:
    event = parse(json.dumps(order), NOW)
    assert event.order_id == "ORDER123456"
    assert event.order_items[0].price == Decimal("29.99")
    assert (event.event_type, event.currency, event.locale) == ("order.confirmed", "USD", "en-US")


def test_every_wrong_field_is_named_at_once() -> None:
    assert reasons((EVENTS / "malformed.json").read_text()) == {
        "orderId": "must not be empty",
        "customerEmail": "is not an e-mail address: An email address must have an @-sign.",
        "customerName": "is required",
        "orderItems[0].quantity": "must be greater than 0",
        "orderItems[1].name": "is required",
        "orderItems[1].price": 'must be an amount such as "29.99"',
        "orderTotal": "must be a decimal string or a JSON number",
        "orderTimestamp": "is not an ISO 8601 date and time",
        "currency": "is not an ISO 4217 currency code",
    }


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "is not JSON (RFC 8259)"),
        ("{", "is not JSON (RFC 8259)"),
        ('{"orderTotal": NaN}', "is not JSON (RFC 8259)"),
        ("[" * 100_000, "is not JSON (RFC 8259)"),
        ("[1]", "must be a JSON object"),
        ('"order"', "must be a JSON object"),
    ],
)
def test_what_is_not_an_object(message: str, reason: str) -> None:
    assert reasons(message) == {"$": reason}


def test_a_json_number_is_a_decimal_from_the_first_byte(order: dict[str, Any]) -> None:
    message = json.dumps(order).replace('"59.98"', "59.980000000000001")
    assert reasons(message)["orderTotal"] == 'must be an amount such as "29.99"'
    event = parse(json.dumps(order).replace('"59.98"', "0.1"), NOW)
    assert event.order_total == Decimal("0.1")
    assert json.loads(event.model_dump_json(by_alias=True))["orderTotal"] == "0.1"


def test_a_total_that_is_not_the_sum_is_what_the_event_says(order: dict[str, Any]) -> None:
    assert parse(json.dumps(order | {"orderTotal": "1.00"}), NOW).order_total == Decimal("1.00")


def test_unknown_fields_are_ignored(order: dict[str, Any]) -> None:
    assert parse(json.dumps(order | {"internal": {"x": 1}}), NOW) == parse(json.dumps(order), NOW)


@pytest.mark.parametrize(
    ("address", "travels_as"),
    [
        ("customer@bücher.example.com", "customer@xn--bcher-kva.example.com"),
        ("A.B@Example.COM", "A.B@example.com"),
    ],
)
def test_addresses_travel_as_ascii(order: dict[str, Any], address: str, travels_as: str) -> None:
    assert parse(json.dumps(order | {"customerEmail": address}), NOW).customer_email == travels_as


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
def test_what_ses_could_not_deliver_is_rejected(order: dict[str, Any], address: str) -> None:
    assert set(reasons(json.dumps(order | {"customerEmail": address}))) == {"customerEmail"}


@given(st.text())
def test_texts_are_one_visible_line_or_rejected(text: str) -> None:
    try:
        line = order_event._one_line(text)
    except PydanticCustomError:
        assert not any(c.isalnum() for c in text)
    else:
        assert line == line.strip()
        assert line.splitlines() == [line]
        assert "\u202e" not in line
