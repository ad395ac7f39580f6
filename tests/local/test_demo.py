"""The demo's own check: what it takes for well, and what it complains of."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local.demo import ExecutionTrace, Notification, SampleOrder, described, samples
from steps.validate import validate

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MAIL = {"subject": "Your order", "id": "m1"}


def told(*statuses: str, **data: Any) -> list[dict[str, Any]]:
    return [{"status": status} for status in statuses[:-1]] + [{"status": statuses[-1], **data}]


def order(*notifications: Notification, end: str = "DELIVERED", ends: str = "Sent") -> SampleOrder:
    events = [{"orderId": "O1", "shipmentId": n} for n, _ in enumerate(notifications)]
    executions = [ExecutionTrace("O1-1", [(ends, 0.0)], None) for _ in notifications]
    return SampleOrder("sample", events, end, 0.0, executions, list(notifications))


DELIVERED = Notification({"status": "DELIVERED"}, [MAIL], told("SENT", "DELIVERED"))
BOUNCED = Notification(
    {"status": "BOUNCED"}, [], told("SENT", "BOUNCED", reason="Permanent/General")
)
REJECTED = Notification(
    {"status": "REJECTED"}, [], told("REJECTED", reason="InvalidEvent", fields=["orderTotal"])
)


@pytest.mark.parametrize(
    ("well", "line"),
    [
        (order(DELIVERED), "SENT → DELIVERED"),
        (order(BOUNCED, end="BOUNCED"), "SENT → BOUNCED (Permanent/General)"),
        (order(REJECTED, end="REJECTED", ends="Rejected"), "REJECTED (InvalidEvent: orderTotal)"),
        (order(DELIVERED, DELIVERED), "SENT → DELIVERED"),
    ],
)
def test_all_is_well_and_the_shop_was_told(well: SampleOrder, line: str) -> None:
    assert well.complaint() == ""
    for notification in well.notifications:
        assert described(notification, "http://inbox")[-1] == f"  told    {line}"


@pytest.mark.parametrize(
    ("heard", "complaint"),
    [
        ([], "the shop was told nothing, and its record says DELIVERED"),
        (told("SENT"), "the shop was told SENT, and its record says DELIVERED"),
        (
            told("SENT", "DELIVERED", "BOUNCED"),
            "the shop was told SENT → DELIVERED → BOUNCED, and its record says DELIVERED",
        ),
    ],
)
def test_what_the_shop_was_told_ends_in_the_record_s_status(
    heard: list[dict[str, Any]], complaint: str
) -> None:
    wrong = DELIVERED._replace(told=heard)
    assert order(wrong).complaint() == complaint
    assert order(DELIVERED, wrong).complaint() == complaint, "each parcel's"


def test_without_outcome_events_nobody_is_told_and_nothing_is_said_of_it() -> None:
    quiet = DELIVERED._replace(told=None)
    assert order(quiet).complaint() == ""
    assert not any("told" in line for line in described(quiet, "http://inbox"))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (order(BOUNCED), "its record says BOUNCED instead of DELIVERED"),
        (order(DELIVERED._replace(mails=[])), "0 mails in the inbox instead of 1"),
        (order(DELIVERED._replace(mails=[MAIL, MAIL])), "2 mails in the inbox instead of 1"),
        (order(DELIVERED, ends="GaveUp"), "its executions ended GaveUp"),
        (SampleOrder("sample", [{"orderId": "O1"}]), "0 records instead of 1"),
    ],
)
def test_what_else_it_complains_of(wrong: SampleOrder, complaint: str) -> None:
    assert wrong.complaint() == complaint


def test_a_second_publication_must_be_visible_as_a_duplicate() -> None:
    twice = order(DELIVERED)
    twice.events *= 2
    assert twice.complaint() == "its executions ended Sent"
    twice.executions.append(ExecutionTrace("O1-2", [("InProgress", 0.0)], None))
    assert twice.complaint() == "its second publication is not visible as a duplicate"
    twice.executions.append(ExecutionTrace("O1-2", [("Duplicate", 0.0)], None))
    assert twice.complaint() == ""


@pytest.mark.parametrize("sample", samples("1A2B", NOW.timestamp()), ids=lambda s: s.title)
def test_a_sample_is_rejected_only_where_it_is_to_be(sample: SampleOrder) -> None:
    for event in sample.events:
        message = json.dumps(event)
        state = validate({"message": message, "attempt": 1, "lastReceive": False}, NOW)
        assert ("rejection" in state) == (sample.end == "REJECTED")
