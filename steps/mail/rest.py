"""What an order holds besides a parcel. Pure; its time grows with the number of lines, not their product."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Piece = dict[str, Any]
"""A line of an order or a parcel, as in the event: `name`, `quantity` and maybe `sku`."""


@dataclass
class _Open:
    """A line, and how much of it is not matched yet."""

    piece: Mapping[str, Any]
    left: Decimal


def rest(ordered: Sequence[Mapping[str, Any]], parcel: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """Return the ordered pieces that a parcel does not hold, each with the quantity that is missing.

    Two lines are of one product by their `sku` where both have one, else by their name; of several such lines
    the one with the same `options` is meant. What a parcel holds beyond the order takes nothing from other
    lines. A line with a negative price is a discount, and travels in no parcel.

    Returns:
        Pieces without prices, in the order's order; none where the parcel holds everything.
    """
    lines = _opened(line for line in ordered if Decimal(line["price"]) >= 0)
    pieces = _opened(parcel)
    by_sku, by_name = (
        [p for p in pieces if ("sku" in p.piece) is given] for given in (True, False)
    )
    with_sku, without = (
        [p for p in lines if ("sku" in p.piece) is given] for given in (True, False)
    )
    # A sku tells more than a name, and who has none takes what those with one leave.
    for field, some, others in (
        ("sku", with_sku, by_sku),
        ("name", without, by_sku),
        ("name", lines, by_name),
    ):
        _match(some, others, field, "options")
        _match(some, others, field)
    return [
        {name: value for name, value in line.piece.items() if name != "price"}
        | {"quantity": str(line.left)}
        for line in lines
        if line.left
    ]


def _opened(pieces: Iterable[Mapping[str, Any]]) -> list[_Open]:
    return [_Open(piece, Decimal(piece["quantity"])) for piece in pieces]


def _match(lines: Iterable[_Open], pieces: Sequence[_Open], *fields: str) -> None:
    """Take from lines and pieces what they have in common of what is the same in all `fields`."""

    def key(open_: _Open) -> str:
        return json.dumps([open_.piece.get(field) for field in fields])

    waiting: dict[str, list[_Open]] = {}
    for piece in pieces:
        if piece.left:
            waiting.setdefault(key(piece), []).append(piece)
    for line in lines:
        same = waiting.get(key(line), [])
        while line.left and same:
            both = min(line.left, same[-1].left)
            line.left -= both
            same[-1].left -= both
            if not same[-1].left:
                same.pop()
