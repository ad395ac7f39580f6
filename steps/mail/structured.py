"""What mail clients read instead of people: schema.org data that agrees with what is shown.

It has all that Gmail asks of a type (https://developers.google.com/workspace/gmail/markup/reference), or is of
another type: `tests/unit/mail/google_markup.json` has the table. Google's pages disagree on three names; where
they do, both are given. Each function returns a JSON-LD object; what is None is left out when it is written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2.utils import htmlsafe_json_dumps

from steps.mail import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from steps.mail.brand import Brand

Json = dict[str, Any]


class Source(NamedTuple):
    """What the data is drawn from.

    ordered: lines of the order, of which Gmail wants one at least. view: the label of the link to the order,
    which it shows as a button.
    """

    event: Mapping[str, Any]
    brand: Brand
    ordered: list[Json]
    view: str


def json_ld(data: Json) -> Markup:
    """Write JSON-LD for a `<script>`: nothing in it can end the element."""
    full = {"@context": "https://schema.org", **data}
    return htmlsafe_json_dumps(_given(full), dumps=json.dumps, ensure_ascii=False)


def order(source: Source, status: str | None) -> Json:
    """Return an `Order` with what was ordered; also for a refund, which no type is for.

    status: schema.org's OrderStatus; None where the event does not tell in which one the whole order is, as
    after a refund of a part.
    """
    event = source.event
    return _order(source, status) | {
        "potentialAction": _action("ViewAction", source.view, event["orderUrl"]),
        "acceptedOffer": [
            {
                "@type": "Offer",
                "itemOffered": _product(line),
                "price": line["price"],
                "priceCurrency": event["currency"],
                "eligibleQuantity": {"@type": "QuantitativeValue", "value": line["quantity"]},
            }
            for line in source.ordered
        ],
    }


def parcel(
    source: Source, pieces: list[Json], status: str, *, track: str = "", arrived: str = ""
) -> Json:
    """Return a `ParcelDelivery` of the pieces that the mail shows; where it would not be whole, the `Order`.

    status: of the whole order. track: the label of the link that follows the parcel; without one the link is
    the order's. arrived: the moment, once it has.
    """
    event = source.event
    address = _address(event["shippingAddress"] or {})
    first, last = (None, arrived.partition("T")[0]) if arrived else arrival(event)
    action = _action("TrackAction", track, event["trackingUrl"]) if track else None
    needed = {
        "carrier": _organization(event["carrier"]),
        "deliveryAddress": address,
        "expectedArrivalUntil": last,
        "itemShipped": [_product(piece) for piece in pieces],
    }
    if not all((*needed.values(), *(address.get(part) for part in NEEDED_OF_AN_ADDRESS))):
        return order(source, status)
    return {
        "@type": "ParcelDelivery",
        "partOfOrder": _order(source, status),
        **needed,
        "expectedArrivalFrom": first,
        "trackingNumber": event["trackingNumber"],
        "trackingUrl": event["trackingUrl"],
        "potentialAction": action or _action("ViewAction", source.view, event["orderUrl"]),
    }


def arrival(event: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the first and the last day on which a parcel is expected, the first only where there are several.

    What is known of the parcel itself counts before what the order was promised.
    """
    if event["estimatedDelivery"]:
        return None, event["estimatedDelivery"]
    first, last = event["expectedArrivalFrom"], event["expectedArrivalUntil"]
    return (first, last) if first and last and first < last else (None, last or first)


NEEDED_OF_AN_ADDRESS = (
    "streetAddress",
    "postalCode",
    "addressLocality",
    "addressRegion",
    "addressCountry",
)


def _order(source: Source, status: str | None) -> Json:
    event = source.event
    shop = _organization(source.brand.name, source.brand.website_url)
    return {
        "@type": "Order",
        "merchant": shop,
        "seller": shop,
        "orderNumber": event["orderId"],
        "orderStatus": f"https://schema.org/{status}" if status else None,
        "orderDate": event["orderTimestamp"],
        "price": event["orderTotal"],
        "priceCurrency": event["currency"],
        "url": event["orderUrl"],
    }


def _organization(name: str | None, url: str | None = None) -> Json | None:
    return {"@type": "Organization", "name": name, "url": url} if name else None


def _action(kind: str, name: str, url: str | None) -> Json | None:
    return {"@type": kind, "name": name, "target": url, "url": url} if url else None


def _address(address: Mapping[str, str]) -> Json:
    return {
        "@type": "PostalAddress",
        "name": address.get("name"),
        "streetAddress": ", ".join(address[part] for part in ("line1", "line2") if part in address),
        "postalCode": address.get("postalCode"),
        "addressLocality": address.get("city"),
        "addressRegion": address.get("region"),
        "addressCountry": addresses.country_code(address) or address.get("country"),
    }


def _product(line: Json) -> Json:
    return {
        "@type": "Product",
        "name": line["name"],
        "sku": line.get("sku"),
        "image": line.get("imageUrl"),
        "url": line.get("url"),
    }


def _given(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _given(v) for k, v in value.items() if v not in (None, "", [])}
    return [_given(v) for v in value] if isinstance(value, list) else value
