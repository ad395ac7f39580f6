"""What mail clients read instead of people: schema.org data that agrees with what is shown.

`Order` follows Google's e-mail markup reference, which asks for `price` and `priceCurrency` on it.
Each function returns a JSON-LD object; what is None is left out when it is written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jinja2.utils import htmlsafe_json_dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from steps.mail.brand import Brand

Json = dict[str, Any]


def json_ld(data: Json) -> Markup:
    """Write JSON-LD for a `<script>`: nothing in it can end the element."""
    full = {"@context": "https://schema.org", **data}
    return htmlsafe_json_dumps(_given(full), dumps=json.dumps, ensure_ascii=False)


def order(event: Mapping[str, Any], brand: Brand, lines: list[Json], status: str | None) -> Json:
    """Return an `Order` in `status` (schema.org OrderStatus) with the lines that the mail shows.

    None where the event does not tell in which status the whole order is.
    """
    return {
        "@type": "Order",
        "merchant": {"@type": "Organization", "name": brand.name, "url": brand.website_url},
        "orderNumber": event["orderId"],
        "orderStatus": f"https://schema.org/{status}" if status else None,
        "orderDate": event["orderTimestamp"],
        "price": event["orderTotal"],
        "priceCurrency": event["currency"],
        "url": event["orderUrl"],
        "acceptedOffer": [
            {
                "@type": "Offer",
                "itemOffered": _product(line),
                "price": line["price"],
                "priceCurrency": event["currency"],
                "eligibleQuantity": {"@type": "QuantitativeValue", "value": line["quantity"]},
            }
            for line in lines
        ],
    }


def parcel(event: Mapping[str, Any], brand: Brand, lines: list[Json], status: str) -> Json:
    """Return a `ParcelDelivery` of the lines that the mail shows; `status` is the whole order's."""
    address = event["shippingAddress"] or {}
    return {
        "@type": "ParcelDelivery",
        "partOfOrder": order(event, brand, [], status),
        "itemShipped": [_product(line) for line in lines],
        "carrier": {"@type": "Organization", "name": event["carrier"]}
        if event["carrier"]
        else None,
        "trackingNumber": event["trackingNumber"],
        "trackingUrl": event["trackingUrl"],
        "expectedArrivalUntil": event["estimatedDelivery"],
        "deliveryAddress": {
            "@type": "PostalAddress",
            "name": address.get("name"),
            "streetAddress": ", ".join(
                address[part] for part in ("line1", "line2") if part in address
            ),
            "postalCode": address.get("postalCode"),
            "addressLocality": address.get("city"),
            "addressRegion": address.get("region"),
            "addressCountry": address.get("country"),
        }
        if address
        else None,
    }


def refund(event: Mapping[str, Any], brand: Brand, status: str | None) -> Json:
    """Return an `Invoice` over what is owed: less than nothing, the refund; `status` is the whole order's."""
    return {
        "@type": "Invoice",
        "description": "Refund",
        "provider": {"@type": "Organization", "name": brand.name, "url": brand.website_url},
        "totalPaymentDue": {
            "@type": "PriceSpecification",
            "price": f"-{event['refundAmount']}",
            "priceCurrency": event["currency"],
        },
        "paymentStatus": "https://schema.org/PaymentComplete",
        "referencesOrder": order(event, brand, [], status),
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
