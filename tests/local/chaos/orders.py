"""What is published: orders, some of them several times, and a few that are poison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.ledger.rules import notification_id, rejected_id

if TYPE_CHECKING:
    import random

PUBLISHED_AGAIN = 0.2
"""The share of orders that is published twice to four times."""

RECIPIENTS = {"bounce": 0.03, "complaint": 0.02, "ooto": 0.02}
"""Mailboxes of the simulator, and the share of orders that go to each."""

INVALID, TOO_LARGE, GROWING = 0.03, 0.01, 0.01
"""The share of orders that are poison, by kind; at least one each."""

SNS_MAX = 256 * 1024
"""Bytes that SNS takes; SQS takes four times as much."""


class Kind(StrEnum):
    """What an order must come to.

    VALID: one mail. INVALID: a REJECTED record with reasons. TOO_LARGE for an execution's input: a dead letter
    or a REJECTED record. GROWING, whose state may outgrow an execution: any of the three.
    """

    VALID = "valid"
    INVALID = "invalid"
    TOO_LARGE = "too large"
    GROWING = "growing"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One distinct order event; `box` is the simulator's mailbox that it goes to, if any."""

    order_id: str
    message: str
    recipient: str
    kind: Kind = Kind.VALID
    box: str = ""

    @property
    def key(self) -> str:
        """The key of its notification's record, were it valid."""
        return notification_id(self.order_id, DEFAULT_EVENT_TYPE, self.recipient)

    @property
    def rejected_key(self) -> str:
        """The key of its record as a rejected event."""
        return rejected_id(self.message)

    @property
    def shown(self) -> str:
        """The order id as a terminal takes it."""
        return self.order_id.encode("ascii", "backslashreplace").decode()

    @property
    def by_sqs(self) -> bool:
        """Whether it is too large for SNS."""
        return len(self.message) > SNS_MAX


def orders(count: int, dice: random.Random) -> list[Order]:
    """Return `count` distinct orders in random order; a few go to the simulator's mailboxes."""
    kinds = [
        kind
        for kind, share in (
            (Kind.INVALID, INVALID),
            (Kind.TOO_LARGE, TOO_LARGE),
            (Kind.GROWING, GROWING),
        )
        for _ in range(max(1, round(count * share)))
    ]
    made = [
        _order(number, kinds[number] if number < len(kinds) else Kind.VALID, dice)
        for number in range(count)
    ]
    dice.shuffle(made)
    return made


def publications(made: list[Order], dice: random.Random) -> list[Order]:
    """Return the orders as they are published: all, a fifth of them two to four times, mixed."""
    again = dice.sample(made, round(len(made) * PUBLISHED_AGAIN))
    published = [*made, *(order for order in again for _ in range(dice.randint(1, 3)))]
    dice.shuffle(published)
    return published


def _order(number: int, kind: Kind, dice: random.Random) -> Order:
    event = _event(number, dice)
    box = ""
    match kind:
        case Kind.VALID:
            names, weights = zip(*RECIPIENTS.items(), strict=True)
            (box,) = dice.choices([*names, ""], [*weights, 1 - sum(weights)])
            if box:
                event["customerEmail"] = f"{box}+{number}@simulator.amazonses.com"
        case Kind.INVALID:
            _spoil(event, number)
        case Kind.TOO_LARGE:
            event["orderItems"] = _items(SNS_MAX + 20_000)
        case Kind.GROWING:
            event["orderItems"] = _items(SNS_MAX - 6_000)
    return Order(
        order_id=event["orderId"],
        # A lone surrogate travels as an escape: as it is, no transport would take it.
        message=json.dumps(event, separators=(",", ":")),
        recipient=event["customerEmail"],
        kind=kind,
        box=box,
    )


def _event(number: int, dice: random.Random) -> dict[str, Any]:
    price = f"{dice.randrange(100, 100_000) / 100:.2f}"
    return {
        "orderId": f"CHAOS-{number:05}",
        "customerEmail": f"customer{number}@example.com",
        "customerName": "A Customer",
        "orderItems": [{"name": "A thing", "quantity": 1, "price": price}],
        "orderTotal": price,
        "orderTimestamp": "2026-11-24T08:00:00Z",
    }


def _items(size: int) -> list[dict[str, Any]]:
    """Return items that take `size` bytes of JSON; decimals come out of Validate longer than they went in."""
    item = {"name": "x", "quantity": 1, "price": 1}
    return [item] * (size // (len(json.dumps(item, separators=(",", ":"))) + 1))


def _spoil(event: dict[str, Any], number: int) -> None:
    """Put a lone surrogate (no character: half of one in UTF-16) into one of the fields."""
    match number % 4:
        case 0:
            event["orderId"] += "\ud800"
        case 1:
            event["customerEmail"] = f"customer\udfff{number}@example.com"
        case 2:
            event["customerName"] += "\ud83d"
        case 3:
            event["orderItems"][0]["name"] += "\ude00"
