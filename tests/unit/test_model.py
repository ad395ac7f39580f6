"""What an order event is, and what is said of one that is not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from steps import model
from steps.validate import UNKNOWN_ORDER, validate
from tests.conftest import EVENTS


def reasons(message: str) -> dict[str, str]:
    with pytest.raises(model.InvalidEvent) as invalid:
        model.parse(message)
    return {r["path"]: r["reason"] for r in invalid.value.reasons}


def test_the_contract_example(order: dict[str, Any]) -> None:
    event = model.parse(json.dumps(order))
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
    event = model.parse(json.dumps(order).replace('"59.98"', "0.1"))
    assert event.order_total == Decimal("0.1")
    assert json.loads(event.model_dump_json(by_alias=True))["orderTotal"] == "0.1"


def test_a_total_that_is_not_the_sum_is_what_the_event_says(order: dict[str, Any]) -> None:
    assert model.parse(json.dumps(order | {"orderTotal": "1.00"})).order_total == Decimal("1.00")


def test_unknown_fields_are_ignored(order: dict[str, Any]) -> None:
    assert model.parse(json.dumps(order | {"internal": {"x": 1}})) == model.parse(json.dumps(order))


@pytest.mark.parametrize(
    ("address", "travels_as"),
    [
        ("customer@bücher.example.com", "customer@xn--bcher-kva.example.com"),
        ("A.B@Example.COM", "A.B@example.com"),
    ],
)
def test_addresses_travel_as_ascii(order: dict[str, Any], address: str, travels_as: str) -> None:
    assert model.parse(json.dumps(order | {"customerEmail": address})).customer_email == travels_as


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
        line = model._one_line(text)
    except PydanticCustomError:
        assert not any(c.isalnum() for c in text)
    else:
        assert line == line.strip()
        assert line.splitlines() == [line]
        assert "\u202e" not in line


@given(st.text(), st.text(), st.text())
def test_a_notification_id_fits_a_tag_and_tells_triples_apart(a: str, b: str, c: str) -> None:
    name = model.notification_id(a, b, c)
    assert len(name) == 40
    assert set(name) <= set("0123456789abcdef")
    assert name != model.notification_id(a + b, "", c) or not b


def test_case_does_not_make_another_recipient() -> None:
    assert model.notification_id("1", "e", "A@B.example") == model.notification_id(
        "1", "e", "a@b.example"
    )


def test_a_rejection_keeps_what_is_known_and_the_event() -> None:
    message = '{"orderId": "ORDER7", "customerEmail": 5}'
    state = validate(message, 1)
    assert state["rejection"]["orderId"] == "ORDER7"
    assert state["rejection"]["event"] == message
    assert state["notificationId"] == validate(message, 9)["notificationId"]
    assert validate("nonsense", 1)["rejection"]["orderId"] == UNKNOWN_ORDER


def test_the_schema_in_the_repository_is_the_code_s() -> None:
    assert json.loads(model.SCHEMA.read_text()) == model.schema()
