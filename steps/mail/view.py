"""What a mail shows: an order event's fields as lines, sums, an address, and header fields."""

from __future__ import annotations

import functools
import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from steps.mail import structured
from steps.mail.rest import rest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.mail.brand import Brand
    from steps.mail.localise import Language

TEXT_MAX, NAME_MAX = 200, 60
"""Characters shown of a text and of the customer's name; a longer one ends in an ellipsis."""

CITY_FIRST = {"US", "CA", "AU", "GB", "IE", "NZ", "IN"}
"""Where an address says "city, region, postal code"; elsewhere the code precedes the city."""


class Fields(dict[str, Any]):
    """The event's fields as templates see them: an optional one that is not given is None.

    Misspelt names cannot hide here: a test holds each template to its kind's fields.
    """

    def __missing__(self, _name: str) -> None:
        return None


class Line(NamedTuple):
    """An item as shown. Pieces of a parcel or a refund have no price."""

    name: str
    quantity: str
    price: str
    total: str
    sku: str
    url: str
    image_url: str


class Listed(NamedTuple):
    """A list as shown: its first lines, how many more there are, and whether a line has a picture."""

    lines: list[Line]
    more: int
    pictures: bool


def shown_fields(order: Mapping[str, Any]) -> Fields:
    """Return a validated event's fields, texts clipped, links whole."""
    return Fields(
        (
            name,
            clip(value, TEXT_MAX) if isinstance(value, str) and not name.endswith("Url") else value,
        )
        for name, value in order.items()
    )


def items(event: Fields) -> list[dict[str, Any]]:
    """Return what the mail is about: the parcel's pieces, the refund's, or all that was ordered."""
    pieces: list[dict[str, Any]] = (
        event["parcelItems"] or event["refundItems"] or event["orderItems"]
    )
    return pieces


def rest_of_the_order(event: Fields) -> list[dict[str, Any]]:
    """Return the ordered pieces that are not in the parcel, where the mail is about one."""
    return rest(event["orderItems"], event["parcelItems"]) if event["parcelItems"] else []


def _refunds_a_part(event: Fields) -> bool:
    amount = event["refundAmount"]
    return amount is not None and Decimal(amount) < Decimal(event["orderTotal"])


def of_the_order(
    event: Fields,
    rest_of_it: list[dict[str, Any]],
    brand: Brand,
    language: Language,
    unsubscribe_url: str,
) -> dict[str, Any]:
    """Return what templates are told of the order, the shop and the language.

    `partial`: the parcel or the refund is of a part of the order.
    """
    rtl = language.direction == "rtl"

    def money(amount: str) -> str:
        return language.money(amount, event["currency"])

    return {
        "order": event,
        "order_id": event["orderId"],
        "name": clip(event["customerName"], NAME_MAX),
        "brand": brand,
        "unsubscribe_url": unsubscribe_url,
        "texts": language.texts,
        "lang": language.tag,
        "dir": language.direction,
        "start": "right" if rtl else "left",
        "end": "left" if rtl else "right",
        "money": money,
        "date": language.date,
        "count": len(items(event)),
        "partial": bool(rest_of_it) or _refunds_a_part(event),
        "sums": _sums(event, language),
        "address": _address(event["shippingAddress"] or {}, language),
        "json_ld": structured.json_ld,
    }


def of_the_items(
    event: Fields,
    rest_of_it: list[dict[str, Any]],
    brand: Brand,
    language: Language,
    most: int,
) -> dict[str, Any]:
    """Return what templates are told of the items and of the order's rest; the mail lists `most` of each."""

    def listed(pieces: list[dict[str, Any]], shown: list[dict[str, Any]]) -> Listed:
        lines = [_line(piece, event["currency"], language) for piece in shown]
        pictures = any("imageUrl" in piece for piece in shown)
        return Listed(lines, len(pieces) - len(shown), pictures)

    pieces = items(event)
    shown, rest_shown = _clipped(pieces[:most]), _clipped(rest_of_it[:most])
    ordered = _clipped(event["orderItems"][: most or 1])
    source = structured.Source(event, brand, ordered, language.texts.gettext("View your order"))
    return {
        "listed": listed(pieces, shown),
        "rest": listed(rest_of_it, rest_shown),
        "order_ld": functools.partial(structured.order, source),
        "parcel_ld": functools.partial(structured.parcel, source, shown),
    }


def _clipped(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [piece | {"name": clip(piece["name"], TEXT_MAX)} for piece in pieces]


def clip(text: str, limit: int) -> str:
    """Shorten a text to `limit` characters, ending in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _line(item: dict[str, Any], currency: str, language: Language) -> Line:
    price = item.get("price")
    return Line(
        name=item["name"],
        quantity=language.number(item["quantity"]),
        price=language.money(price, currency) if price else "",
        total=language.money(Decimal(price) * Decimal(item["quantity"]), currency, rounded=True)
        if price
        else "",
        sku=clip(item.get("sku", ""), NAME_MAX),
        url=item.get("url", ""),
        image_url=item.get("imageUrl", ""),
    )


def _sums(event: Fields, language: Language) -> list[tuple[str, str]]:
    """Return what leads from the items to the total, as far as the event says; else the total stands alone."""
    _ = language.texts.gettext
    labelled = [
        # A discount lowers the total, whichever sign the shop gives it.
        (_("Discount"), event["discount"] and -abs(Decimal(event["discount"]))),
        (_("Shipping"), event["shipping"]),
        (_("Tax"), event["tax"]),
    ]
    sums = [
        (label, language.money(amount, event["currency"]))
        for label, amount in labelled
        if amount is not None
    ]
    if not sums:
        return []
    subtotal = sum(
        (Decimal(i["price"]) * Decimal(i["quantity"]) for i in event["orderItems"]), Decimal()
    )
    return [(_("Subtotal"), language.money(subtotal, event["currency"], rounded=True)), *sums]


def _address(address: dict[str, str], language: Language) -> list[str]:
    """Return an address, line by line, in the order of the customer's territory."""
    parts = Fields((k, clip(v, TEXT_MAX)) for k, v in address.items())
    city, region, code = parts["city"], parts["region"], parts["postalCode"]
    if language.locale.territory in CITY_FIRST:
        place = [", ".join(filter(None, (city, " ".join(filter(None, (region, code))))))]
    else:
        place = [" ".join(filter(None, (code, city))), region]
    lines = [parts["name"], parts["line1"], parts["line2"], *place, parts["country"]]
    return [line for line in lines if line]


def headers(
    thread: str, brand: Brand, notification_id: str, unsubscribe_url: str
) -> dict[str, str]:
    """Return the header fields besides those that SES sets itself. Printable ASCII, as SES demands.

    thread: what the mail is read together with: the order's id. A mail that is sent again on purpose has one
        of its own, since clients fold away what a conversation has said before.
    """
    domain = brand.support_email.rpartition("@")[2]
    conversation = hashlib.sha256(thread.encode()).hexdigest()[:32]
    fields = {
        # RFC 3834, and Exchange's own: no out-of-office answers to a machine.
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        # Clients thread by References: mails of one order together, different orders never.
        "References": f"<{conversation}@{domain}>",
        "X-Entity-Ref-ID": notification_id,
    }
    if unsubscribe_url:
        fields["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        fields["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return fields
