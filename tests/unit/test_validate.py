"""The validate step: what it keeps of an event that is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.contract import limits
from steps.ledger import rules
from steps.validate import UNKNOWN_ORDER, validate
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


def test_what_the_queue_said_of_the_message_goes_on() -> None:
    for message in (json.dumps(ORDER), "nonsense"):
        state = validate({"message": message, "attempt": 3, "lastReceive": True}, NOW)
        assert (state["attempt"], state["lastReceive"]) == (3, True)


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
