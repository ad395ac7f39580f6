"""The validate step: what it keeps of an event that is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.contract import limits
from steps.contract.order_id import UNKNOWN_ORDER
from steps.ledger import rules
from steps.validate import validate
from tests.conftest import load_event

if TYPE_CHECKING:
    from steps.contract.state import State

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ORDER = load_event("order")
HIS = rules.notification_id(ORDER["orderId"], "order.confirmed", ORDER["customerEmail"])


def validated(message: str, attempt: int = 1) -> State:
    return validate({"message": message, "attempt": attempt, "lastReceive": False}, NOW)


def test_a_rejection_keeps_the_event_and_what_is_known_of_its_order() -> None:
    message = '{"orderId": "ORDER7", "customerEmail": 5}'
    state = validated(message)
    assert state["rejection"]["orderId"] == "ORDER7"
    assert state["rejection"]["event"] == message
    assert state["notificationId"] == validated(message, 9)["notificationId"]
    assert validated("nonsense")["rejection"]["orderId"] == UNKNOWN_ORDER


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"x" * 64_000: "\ud800", "orderId": "\ud800" * 60_000}),
        json.dumps(ORDER | {"orderItems": [{"name" + "x" * 2_000: 1}] * 40}),
        json.dumps(ORDER | {"customerEmail": "".join(map(chr, range(200, 29_000)))}),
        "\U0001f600" * 64_000,
    ],
    ids=["surrogates", "items", "address", "emoji"],
)
def test_a_rejection_is_small_whatever_is_rejected(message: str) -> None:
    state = validated(message)
    assert state["rejection"]["reasons"]
    assert len(json.dumps(state).encode()) < limits.STATE_MAX_BYTES


SHIPPED = ORDER | {
    "eventType": "order.shipped",
    "eventTimestamp": "2026-11-23T12:00:00Z",
    "carrier": "UPS",
}


def test_each_parcel_is_a_notification_and_its_tracking_number_is_not() -> None:
    def named(**fields: str | None) -> str:
        return validated(json.dumps(SHIPPED | fields))["notificationId"]

    whole = rules.notification_id(ORDER["orderId"], "order.shipped", ORDER["customerEmail"])
    assert named() == named(shipmentId=None) == named(trackingNumber="1Z") == whole
    assert len({named(shipmentId="P1"), named(shipmentId="P2"), whole}) == 3
    assert named(shipmentId=" P1\u200f") == named(shipmentId="P1", trackingNumber="1Z")
    state = validated(json.dumps(SHIPPED | {"shipmentId": "P1"}))
    assert (state["part"], state["eventType"]) == ({"shipmentId": "P1"}, "order.shipped")


def test_what_an_event_says_is_told_from_how_it_is_written() -> None:
    def content(**fields: object) -> str:
        return validated(json.dumps(SHIPPED | fields))["content"]

    said = content()
    assert said == content(
        eventTimestamp="2026-11-23T13:00:00Z", customerEmail="CUSTOMER@example.com"
    )
    assert said == content(orderTotal=f"{ORDER['orderTotal']}0", sku="unknown field")
    items = [item | {"quantity": 3} for item in ORDER["orderItems"]]
    others: list[dict[str, object]] = [
        {"orderItems": items},
        {"orderTotal": "59.99"},
        {"parcelItems": [{"name": "Product Name", "quantity": 1}]},
        {"trackingNumber": "1Z"},
    ]
    assert len({said, *(content(**other) for other in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"eventType": "order.lost"}, {"eventType": "order.lost", "part": {}}),
        ({"eventType": "jane@example.com"}, {"part": {}}),
        ({"eventType": "Jane.Doe"}, {"part": {}}),
        ({"eventType": 5}, {}),
        ({"orderTotal": "x"}, {"eventType": "order.confirmed", "part": {}}),
        (
            SHIPPED | {"orderTotal": "x", "shipmentId": "P1"},
            {"eventType": "order.shipped", "part": {"shipmentId": "P1"}},
        ),
        (SHIPPED | {"shipmentId": ["P1"]}, {"eventType": "order.shipped"}),
    ],
)
def test_a_rejection_keeps_the_kind_and_the_part(
    fields: dict[str, Any], kept: dict[str, object]
) -> None:
    rejection: Any = validated(json.dumps(ORDER | fields))["rejection"]
    assert {name: rejection[name] for name in ("eventType", "part") if name in rejection} == kept
    assert ("claimed" in rejection) is ("part" in rejection)


@pytest.mark.parametrize("message", ["no JSON", "[1]", '"order.shipped"', "[" * 70 + "]" * 70])
def test_what_is_no_event_at_all_has_no_kind(message: str) -> None:
    assert "eventType" not in validated(message)["rejection"]


def test_what_the_queue_said_of_the_message_goes_on() -> None:
    for message in (json.dumps(ORDER), "nonsense"):
        of_message: State = {"publishedAt": 17, "attempt": 3, "lastReceive": True}
        state = validate({"message": message} | of_message, NOW)
        assert of_message.items() <= state.items()


@pytest.mark.parametrize(
    ("fields", "claimed"),
    [
        ({"orderTotal": "a lot"}, HIS),
        ({"eventTimestamp": "2020-01-01T00:00:00Z"}, HIS),
        ({"customerName": "\ud83d"}, HIS),
        ({"orderId": ""}, None),
        ({"customerEmail": "nobody"}, None),
        ({"eventType": "order.lost"}, None),
    ],
)
def test_a_rejection_names_the_notification_that_may_have_been_claimed(
    fields: dict[str, str], claimed: str | None
) -> None:
    rejection = validated(json.dumps(ORDER | fields))["rejection"]
    assert rejection.get("claimed") in (claimed, rejection.get("claimed") if not claimed else None)
    assert rejection.get("claimed") != HIS or claimed == HIS


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
"""Texts of any code points: lone surrogates, too."""


@given(
    st.sampled_from([*ORDER, "note", "eventType", "locale"]),
    ANY_TEXT | st.lists(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=2), max_size=2),
)
def test_whatever_is_in_a_message_the_answer_can_be_sent(field: str, value: object) -> None:
    state = validated(json.dumps(ORDER | {field: value}))
    json.dumps(state, ensure_ascii=False).encode()
    if "rejection" in state:
        assert state["rejection"]["reasons"]
