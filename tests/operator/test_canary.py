"""`order-mail canary`: the last one, and one that is published now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from infra.operator.canary import Canary, last, run
from steps.aws import sources
from steps.canary import record_of
from steps.contract.recipient import SIMULATOR
from steps.ledger import rules
from steps.reports import canary
from tests.operator.environment import keep
from tests.operator.test_audit import lines
from tests.support.clock import Clock

if TYPE_CHECKING:
    from tests.operator.environment import Environment


@pytest.fixture
def published(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is published to the order topic."""
    events: list[dict[str, Any]] = []

    def publish(topic: str, message: str) -> None:
        assert topic == environment.deployment.arn("sns", "email-order-events")
        events.append(json.loads(message))

    monkeypatch.setattr(sources, "publish_event", publish)
    return events


def keep_canary(event: dict[str, Any], status: str, now: float) -> None:
    identity = (event["orderId"], event["eventType"], event["customerEmail"])
    keep(
        {
            "notificationId": rules.notification_id(*identity),
            "orderId": event["orderId"],
            "customerEmail": event["customerEmail"],
            "status": status,
            "timestamp": rules.iso(now),
        }
    )


def test_where_there_was_none_there_is_none(environment: Environment) -> None:
    assert last(environment.deployment) is None


@pytest.mark.parametrize(
    ("age", "status", "state"),
    [
        (1, "", "WAITING"),
        (60, "", "MISSING"),
        (60, "SENT", "MISSING"),
        (60, "DELIVERED", "ARRIVED"),
    ],
)
def test_the_last_one_is_judged_as_of_now(
    environment: Environment, age: int, status: str, state: str
) -> None:
    at = datetime.now(UTC) - timedelta(minutes=age)
    report = canary.report(canary.name(at), {}, {}, now=at, place=canary.Place("", "", ""))
    environment.deployment.reports.keep("canary", report, 2_000_000_000)
    if status:
        keep_canary(canary.order(canary.name(at)), status, at.timestamp())
    found = last(environment.deployment)
    assert found
    assert found.order_id == f"CANARY-{canary.name(at)}"
    assert found.state == state
    assert bool(found.advice) == (state != "ARRIVED")


def test_one_is_followed_until_it_has_arrived(
    environment: Environment, published: list[dict[str, Any]]
) -> None:
    clock, seen = Clock(), list[Canary]()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        keep_canary(published[0], "SENT" if len(seen) < 3 else "DELIVERED", clock())

    end = run(environment.deployment, seconds=60, say=seen.append, clock=clock, sleep=sleep)
    (event,) = published
    assert event["customerEmail"].endswith(f"@{SIMULATOR}")
    assert [s.seen.split()[0] for s in seen] == ["no", "SENT", "SENT", "DELIVERED"]
    assert (end.state, end.order_id, end.advice) == ("ARRIVED", event["orderId"], "")
    assert record_of(end.order_id.removeprefix("CANARY-"), environment.deployment.ledger)
    begun, done = lines(environment.deployment)
    assert (begun["state"], done["state"], done["arrived"]) == ("begun", "done", True)


def test_one_that_does_not_arrive_is_given_up_and_says_where_to_look(
    environment: Environment, published: list[dict[str, Any]]
) -> None:
    clock = Clock()
    end = run(
        environment.deployment, seconds=300, say=lambda _: None, clock=clock, sleep=clock.sleep
    )
    assert len(published) == 1
    assert end.state == "MISSING"
    assert clock.elapsed == 300
    assert "never got as far as the order workflow" in end.advice
    assert "order-mail dead list --env test" in end.advice
