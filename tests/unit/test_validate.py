"""The validate step: what it keeps of an event that is none."""

from __future__ import annotations

from datetime import UTC, datetime

from steps.validate import UNKNOWN_ORDER, validate

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_rejection_keeps_the_event_and_what_is_known_of_its_order() -> None:
    message = '{"orderId": "ORDER7", "customerEmail": 5}'
    state = validate(message, 1, NOW)
    assert state["rejection"]["orderId"] == "ORDER7"
    assert state["rejection"]["event"] == message
    assert state["notificationId"] == validate(message, 9, NOW)["notificationId"]
    assert validate("nonsense", 1, NOW)["rejection"]["orderId"] == UNKNOWN_ORDER
