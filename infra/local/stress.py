"""Events that strain a mail, derived from a kind's sample: next to nothing, and far too much of everything.

For the preview and for tests. A sample that a kind's folder has is an ordinary order; these are not.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from infra.local.events import Event, Place, kind_of, places
from steps.contract import limits

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_ITEMS, LONG_TEXT = 60, 300
"""Lines of a long order, and characters of each text, of which a mail shows 200."""
LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
"""80 letters without a place to break."""
VAT = {"19": Decimal("0.8"), "7": Decimal("0.2")}
"""Rates in percent, and the share of the total that each is in."""


def minimal(event: Event) -> Event:
    """Return an event with its required fields alone, in each item, too."""
    kept = _only_required(event, places(kind_of(event)))
    return {"eventType": kind_of(event), **kept}


def _only_required(value: Any, place: Place) -> Any:
    if isinstance(value, dict) and place.fields:
        return {
            n: _only_required(v, place.fields[n]) for n, v in value.items() if n in place.required
        }
    if isinstance(value, list) and place.entries:
        return [_only_required(entry, place.entries) for entry in value]
    return value


def long(event: Event) -> Event:
    """Return an event with long texts, ids of 128 characters and 60 items, whose total fits them."""
    longer: Event = _lengthened(event, places(kind_of(event)))
    more = _subtotal(longer) - _subtotal(event)
    return longer | {"orderTotal": str(_amount(event["orderTotal"]) + more)}


def _lengthened(value: Any, place: Place) -> Any:
    if isinstance(value, dict):
        return {n: _lengthened(v, place.fields.get(n, Place())) for n, v in value.items()}
    if isinstance(value, list) and place.entries:
        is_pieces = "quantity" in place.entries.fields
        entries = islice(cycle(value), LONG_ITEMS) if is_pieces else value
        return [_lengthened(entry, place.entries) for entry in entries]
    if isinstance(value, str) and place.longest == limits.ID_MAX_LENGTH:
        return (value * limits.ID_MAX_LENGTH)[: limits.ID_MAX_LENGTH]
    if isinstance(value, str) and place.longest == limits.TEXT_MAX_LENGTH:
        return (f"{value} {LONG_WORD} " * LONG_TEXT)[:LONG_TEXT].rstrip()
    return value


def _subtotal(event: Event) -> Decimal:
    return sum(
        (_amount(item["price"]) * _amount(item["quantity"]) for item in event["orderItems"]),
        Decimal(),
    )


def without_images(event: Event) -> Event:
    """Return an event whose items have no pictures."""
    return {
        name: [_without_picture(piece) for piece in value] if name.endswith("Items") else value
        for name, value in event.items()
    }


def _without_picture(piece: Event) -> Event:
    return {name: value for name, value in piece.items() if name != "imageUrl"}


def tax_included(event: Event) -> Event:
    """Return an event whose prices hold its taxes, as in Europe: two rates, no tax on top."""
    total = _amount(event["orderTotal"]) - _taxes_on_top(event)
    taxes = [
        {
            "label": "VAT",
            "rate": rate,
            "amount": f"{total * share * int(rate) / (100 + int(rate)):.2f}",
        }
        for rate, share in VAT.items()
    ]
    rest = {name: value for name, value in event.items() if name != "tax"}
    return rest | {"orderTotal": str(total), "taxes": taxes, "taxIncluded": True}


def _taxes_on_top(event: Event) -> Decimal:
    if event.get("taxIncluded"):
        return Decimal()
    if taxes := event.get("taxes"):
        return sum((_amount(tax["amount"]) for tax in taxes), Decimal())
    return _amount(event.get("tax") or 0)


def _amount(value: str | float) -> Decimal:
    return Decimal(str(value))


CASES: dict[str, Callable[[Event], Event]] = {
    "minimal": minimal,
    "long": long,
    "no-images": without_images,
    "tax-included": tax_included,
}


def with_cases(samples: dict[str, Event]) -> dict[str, Event]:
    """Return samples by name with what is derived of them, kind by kind: `order.shipped-long`, ...

    A sample that has the name of a derived one is in its place.
    """
    derived = {
        f"{name}-{case}": event
        for name, sample in samples.items()
        if name == kind_of(sample)
        for case, event in cases(sample).items()
    }
    return dict(sorted((samples | derived | samples).items(), key=lambda e: kind_of(e[1])))


def cases(event: Event) -> dict[str, Event]:
    """Derive the cases of a sample by their names, but for those that are the sample itself."""
    derived = {case: derive(event) for case, derive in CASES.items()}
    return {case: changed for case, changed in derived.items() if changed != event}
