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

CUT_EVERY = 10
"""One in so many valid orders has a text that was cut through an emoji."""

SNS_MAX = 256 * 1024
"""Bytes that SNS takes; SQS takes four times as much."""


class Kind(StrEnum):
    """What an order must come to.

    VALID: one mail, though the name or a title may be cut through an emoji. INVALID, and GROWING, whose state
    would outgrow an execution: a REJECTED record with reasons. TOO_LARGE for an execution's input: a dead
    letter or a REJECTED record.
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
            if number % CUT_EVERY == 0:
                _cut(event, number)
            if box:
                event["customerEmail"] = f"{box}+{number}@simulator.amazonses.com"
        case Kind.INVALID:
            _spoil(event, number)
        case Kind.TOO_LARGE:
            event["orderItems"] = _items(SNS_MAX + 20_000)
        case Kind.GROWING:
            event["orderItems"] = _growing_items(SNS_MAX - 60_000)
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
    """Return items that take `size` bytes of JSON."""
    return _repeated({"name": "x", "quantity": 1, "price": 1}, size)


def _growing_items(size: int) -> list[dict[str, Any]]:
    """Return items that take `size` bytes of JSON, and half as much more with their links in ASCII."""
    link = "https://shop.example/" + "\u5546\u54c1" * 100
    return _repeated({"name": "x", "quantity": 1, "price": 1, "url": link}, size)


def _repeated(item: dict[str, Any], size: int) -> list[dict[str, Any]]:
    return [item] * (size // (len(json.dumps(item, separators=(",", ":"))) + 1))


def _spoil(event: dict[str, Any], number: int) -> None:
    """Put a lone surrogate (no character: half of one in UTF-16) where none can be dropped."""
    if number % 2:
        event["customerEmail"] = f"customer\udfff{number}@example.com"
    else:
        event["orderId"] += "\ud800"


def _cut(event: dict[str, Any], number: int) -> None:
    """Cut a text that the mail shows through an emoji."""
    if number % (2 * CUT_EVERY):
        event["customerName"] += " \ud83d"
    else:
        event["orderItems"][0]["name"] += "\ude00"
