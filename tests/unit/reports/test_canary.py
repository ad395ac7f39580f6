"""Canaries: whether one has arrived, what is told of it, and how often."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from steps.contract.canary import is_canary
from steps.kinds.parsing import parse
from steps.ledger.status import Status
from steps.reports import canary
from steps.reports.canary import ARRIVED, MISSING, WAITING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.reports.canary import Report

NOW = datetime(2026, 11, 30, 3, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLACE = canary.Place("prod", "arn:aws:sns:eu-central-1:1:email-order-events-prod", "https://d")
DELIVERED = {"status": "DELIVERED", "timestamp": "2026-11-30T02:15:03Z"}
SENT = {"status": "SENT", "timestamp": "2026-11-30T02:15:03Z"}


def test_its_order_is_valid_and_a_canary_s_and_always_the_same() -> None:
    name = canary.name(NOW)
    order = canary.order(name)
    assert order["orderId"] == "CANARY-20261130T031500Z"
    assert order["customerEmail"] == "success+canary-20261130T031500Z@simulator.amazonses.com"
    assert order["orderTimestamp"] == "2026-11-30T03:15:00+00:00"
    assert is_canary(order["orderId"], order["customerEmail"])
    assert canary.order(name) == order
    assert set(order) >= {"customerName", "orderItems", "orderTotal"}


def test_its_order_is_one_that_validate_takes() -> None:
    event = parse(json.dumps(canary.order(canary.name(NOW))), NOW)
    assert event.event_type == "order.confirmed"
    assert event.customer_email == "success+canary-20261130T031500Z@simulator.amazonses.com"


@pytest.mark.parametrize(
    ("record", "age", "state"),
    [
        (DELIVERED, timedelta(seconds=1), ARRIVED),
        (DELIVERED, HOUR, ARRIVED),
        (SENT, timedelta(minutes=4, seconds=59), WAITING),
        (SENT, timedelta(minutes=5), MISSING),
        ({}, timedelta(minutes=4, seconds=59), WAITING),
        ({}, timedelta(minutes=5), MISSING),
        *(({"status": s}, HOUR, MISSING) for s in Status if s is not Status.DELIVERED),
    ],
)
def test_delivered_has_arrived_and_anything_else_is_missing_after_five_minutes(
    record: Mapping[str, Any], age: timedelta, state: str
) -> None:
    assert canary.state(NOW - age, record, NOW) == state


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({}, "no record at all"),
        (SENT, "SENT (2026-11-30T02:15:03Z)"),
        (
            SENT | {"status": "FAILED", "reason": "SendingPaused"},
            "FAILED, SendingPaused (2026-11-30T02:15:03Z)",
        ),
        (
            SENT
            | {"status": "REJECTED", "reasons": ["orderTotal: a", "locale: b", "c: c", "d: d"]},
            "REJECTED, orderTotal: a, locale: b, c: c (2026-11-30T02:15:03Z)",
        ),
    ],
)
def test_where_a_canary_was_last_seen_is_a_line(record: Mapping[str, Any], line: str) -> None:
    assert canary.last_seen(record) == line


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.DELIVERED])
def test_every_place_where_a_canary_may_stay_has_its_advice(status: Status) -> None:
    advice = canary.advice({"status": status.value}, PLACE)
    assert "{" not in advice
    assert advice != canary.advice({}, PLACE)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            {},
            (
                "aws sns list-subscriptions-by-topic --topic-arn " + PLACE.orders_topic,
                "aws lambda list-event-source-mappings --function-name email-processor-prod",
                "email-order-queue-prod",
            ),
        ),
        (SENT, ("SES's events do not come back", "email-feedback-prod", "email-internal-dlq-prod")),
        ({"status": "FAILED"}, ("email-order-dlq-prod",)),
        ({"status": "CLAIMED"}, ("aws sesv2 get-account", "log of email-processor-prod")),
    ],
)
def test_the_advice_leads_to_what_is_broken(
    record: Mapping[str, Any], words: tuple[str, ...]
) -> None:
    assert all(word in canary.advice(record, PLACE) for word in words)


def runs(*records: Mapping[str, Any], every: timedelta = HOUR) -> list[Report]:
    """Return the reports of a first run, and of one more after each canary's record."""
    reports = [canary.report(canary.name(NOW), {}, {}, now=NOW, place=PLACE)]
    for number, record in enumerate(records, 1):
        now = NOW + number * every
        reports.append(canary.report(canary.name(now), reports[-1], record, now=now, place=PLACE))
    return reports


def alerts(reports: list[Report]) -> list[tuple[int, str]]:
    """Return in which run what was told."""
    return [(n, r["alert"]["subject"]) for n, r in enumerate(reports) if "alert" in r]


def test_canaries_that_arrive_are_not_told_of() -> None:
    reports = runs(*[DELIVERED] * 5)
    assert alerts(reports) == []
    assert [r["verdict"] for r in reports] == ["", *["ARRIVED"] * 5]
    assert all(r["told"] is None for r in reports)


def test_one_that_is_missing_is_told_once_and_the_first_that_arrives_again() -> None:
    reports = runs(DELIVERED, SENT, {}, SENT, DELIVERED, DELIVERED)
    assert alerts(reports) == [
        (2, "Canary mail has not arrived, last seen: SENT (2026-11-30T02:15:03Z)"),
        (5, "Canary mails arrive again"),
    ]
    message = reports[2]["alert"]["message"]
    assert message.startswith(
        "CANARY-20261130T041500Z, published at 2026-11-30T04:15:00+00:00, has not arrived.\n\n"
        "Last seen: SENT (2026-11-30T02:15:03Z).\n"
        "SES took it, and nothing was heard since."
    )
    assert message.endswith("\n\nhttps://d")
    again = reports[5]["alert"]["message"]
    assert "CANARY-20261130T071500Z" in again
    assert "The first that had not was published at 2026-11-30T04:15:00+00:00." in again


def test_a_fault_that_goes_on_is_told_once_a_day() -> None:
    reports = runs(*[{}] * 60)
    assert [run for run, _ in alerts(reports)] == [1, 25, 49]
    assert "None has arrived since 2026-11-30T03:15:00+00:00." in reports[25]["alert"]["message"]
    assert "None has arrived" not in reports[1]["alert"]["message"]


def test_a_second_fault_is_told_anew_once_the_first_is_over() -> None:
    assert [run for run, _ in alerts(runs({}, DELIVERED, {}, {}))] == [1, 2, 3]


def test_a_subject_fits_sns() -> None:
    rejected = SENT | {"status": "REJECTED", "reasons": ["orderItems[0].price: " + "x" * 300]}
    (_, subject) = alerts(runs(rejected))[0]
    assert len(subject) == 100
    assert subject.isascii()
