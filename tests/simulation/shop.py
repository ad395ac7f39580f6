"""What the shop publishes: an order event each, now and then again, broken, or hardly in time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from steps.contract import limits
from steps.ledger.rules import iso

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.world import World

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Shop:
    """Publishes one order's event."""

    def __init__(self, world: World, life: Life) -> None:
        self.world, self.life = world, life

    def publish(self) -> None:
        """Publish the order's event, and whatever else the dice say of it."""
        life, dice = self.life, self.life.dice
        kind = dice.strike("body")
        life.valid = kind in (None, "goes-stale", "surrogate-in-name")
        life.poisoned = (kind or "").startswith("surrogate")
        receives = {
            "few-left-for-a-bug": limits.UNEXPECTED_MAX_ATTEMPTS - 1,
            "few-left": limits.QUEUE_MAX_RECEIVES - 4,
            "the-last": limits.QUEUE_MAX_RECEIVES - 1,
        }.get(dice.strike("receives") or "", 0)
        refusal = dice.strike("refusal")
        life.refused = refusal is not None
        body = self.body(kind)
        self.world.queue.publish(life, body, receives)
        if refusal == "until-mended":
            # One that has become too old meanwhile is not sent, and need not be.
            self._later(
                dice.long(MINUTE, 2 * DAY), body, mended=kind != "goes-stale" and not life.resend
            )
        self._erased_some_day(dice.strike("erasure"))
        match dice.strike("again"):
            case "at-once":
                self._later(0.01, body)
            case "within-minutes":
                self._later(dice.long(1, 10 * MINUTE), body)
            case "hours-later":
                self._later(dice.long(HOUR, 12 * HOUR), body)
            case "days-later":
                self._later(dice.long(DAY, 5 * DAY), body)
            case "broken-copy":
                self._later(dice.long(0.01, HOUR), self.body("malformed"))
            case "months-later":
                self._later(limits.RECORD_TTL + dice.long(HOUR, 10 * DAY), body, expired=True)

    def _later(
        self, seconds: float, body: str, *, mended: bool = False, expired: bool = False
    ) -> None:
        world, life = self.world, self.life

        def publish() -> None:
            life.mended = life.mended or mended
            if expired and life.dice.share() < 0.5:  # DynamoDB deletes within days.
                world.delete(life, expired=True)
            world.queue.publish(life, body)

        world.time.at(world.time.now + seconds, publish)

    def _erased_some_day(self, when: str | None) -> None:
        spans = {
            "within-seconds": (0.05, 20),
            "within-hours": (20, 12 * HOUR),
            "days-later": (DAY, 5 * DAY),
        }
        if when:
            moment = self.world.time.now + self.life.dice.long(*spans[when])
            self.world.time.at(moment, lambda: self.world.erase(self.life))

    def body(self, kind: str | None) -> str:
        """Return the order's event as it is published."""
        life = self.life
        event: dict[str, object] = {
            "orderId": life.order_id,
            "customerEmail": life.address,
            "customerName": "Maya",
            "orderItems": [{"name": "Mug", "quantity": 1, "price": "18.50"}],
            "orderTotal": "18.50",
            "orderTimestamp": "2026-10-08T12:00:00Z",
        }
        if life.resend:
            event["resend"] = life.resend | {"at": iso(self.world.time.now)}
        match kind:
            case "surrogate-in-id":
                event["orderId"] = f"{life.order_id}\ud800"
            case "surrogate-in-address":
                event["customerEmail"] = f"\ud800{life.address}"
            case "surrogate-in-name":
                event["customerName"] = "Ma\ud800ya"
            case "oversized":
                event["customerName"] = "M" * limits.STATE_MAX_BYTES
            case "malformed":
                event["orderTotal"] = "a lot"
            case "goes-stale":
                now = self.world.time.now
                event["eventTimestamp"] = iso(now - 7 * DAY + life.dice.long(1, 2 * HOUR))
        return json.dumps(event)
