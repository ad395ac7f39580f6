"""`canary`: has the last canary arrived, and does one arrive now?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.operator.audit import audited
from steps.aws import sources
from steps.canary import KIND, message, record_of
from steps.contract.canary import ORDER_PREFIX
from steps.ledger.rules import iso
from steps.reports import canary

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.operator.aws import Deployment

PAUSE = 1.0
"""Seconds between two looks at a canary that is on its way."""


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A canary: its order, when it was published (ISO 8601 UTC), and how far it came.

    state: ARRIVED, WAITING or MISSING. advice: what it means that it came no farther, and where to look;
    empty where it arrived.
    """

    order_id: str
    published_at: str
    state: str
    seen: str
    advice: str


def last(deployment: Deployment) -> Canary | None:
    """Return the canary that was published last; None where none was, since `CANARY_MINUTES` is 0, say."""
    kept = deployment.reports.last(KIND)
    if not kept:
        return None
    published_at = datetime.fromisoformat(kept["publishedAt"])
    return _look(deployment, kept["date"], published_at, datetime.now(UTC))


def run(
    deployment: Deployment,
    *,
    seconds: float,
    say: Callable[[Canary], None],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Canary:
    """Publish a canary now, and follow it until it has arrived, for `seconds` at most.

    `say` is told of each look.
    """
    published_at = datetime.fromtimestamp(clock(), UTC)
    name = canary.name(published_at)
    with audited(deployment, "canary", why="asked for", order=f"{ORDER_PREFIX}{name}") as done:
        sources.publish_event(deployment.orders_topic, message(name))
        while True:
            now = datetime.fromtimestamp(clock(), UTC)
            seen = _look(deployment, name, published_at, now)
            say(seen)
            if seen.state == canary.ARRIVED or (now - published_at).total_seconds() >= seconds:
                done["arrived"] = seen.state == canary.ARRIVED
                return seen
            sleep(PAUSE)


def _look(deployment: Deployment, name: str, published_at: datetime, now: datetime) -> Canary:
    record = record_of(name, deployment.ledger)
    state = canary.state(published_at, record, now)
    place = canary.Place(
        environment=deployment.env,
        orders_topic=deployment.orders_topic,
        dashboard="",
    )
    return Canary(
        order_id=f"{ORDER_PREFIX}{name}",
        published_at=iso(published_at.timestamp()),
        state=state,
        seen=canary.last_seen(record),
        advice="" if state == canary.ARRIVED else canary.advice(record, place),
    )
