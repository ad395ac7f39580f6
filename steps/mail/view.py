"""What a mail shows: an order event's fields as lines, counts, dates, an address, and header fields."""

from __future__ import annotations

import functools
import hashlib
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from steps.mail import addresses, structured, sums
from steps.mail.localise import BUILT
from steps.mail.rest import rest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.mail.brand import Brand
    from steps.mail.localise import Language

TEXT_MAX, NAME_MAX = 200, 60
"""Characters shown of a text and of the customer's name; a longer one ends in an ellipsis."""

NOTE_MAX = 500
"""Likewise of what somebody wrote to be read: a gift note, how to pay."""

ID_MAX = 40
"""Of an order id in a subject, of which a phone shows about as much in all."""

NAME_BESIDE_MAX, AMOUNT_BESIDE_MAX = 70, 17
"""A name and an amount of so many characters stand beside each other; a longer one has the line for itself."""


class Fields(dict[str, Any]):
    """The event's fields as templates see them: an optional one that is not given is None.

    Misspelt names cannot hide here: a test holds each template to its kind's fields.
    """

    def __missing__(self, _name: str) -> None:
        return None


class Line(NamedTuple):
    """An item as shown: pieces of a parcel have no price, and their quantity as the amount.

    details: its options and its sku.
    """

    name: str
    quantity: str
    price: str
    regular_price: str
    amount: str
    details: list[str]
    url: str
    image_url: str

    @property
    def stacked(self) -> bool:
        """Whether the amount stands below."""
        return len(self.name) > NAME_BESIDE_MAX or stacks(self.amount)


def stacks(amount: str) -> bool:
    """Whether an amount leaves no room beside itself."""
    return len(amount) > AMOUNT_BESIDE_MAX


class Listed(NamedTuple):
    """A list as shown: its first lines, how many more pieces there are, and whether a line has a picture."""

    lines: list[Line]
    more: int
    pictures: bool

    @property
    def columns(self) -> int:
        """How many columns it takes: a picture, the name, a gap and the amount."""
        return 4 if self.pictures else 3

    @property
    def stacked(self) -> bool:
        """Whether an amount stands below its name."""
        return any(line.stacked for line in self.lines)


class Arrival(NamedTuple):
    """When a parcel is expected, as shown; `days`: on one of several days. Empty where nobody says."""

    text: str = ""
    days: bool = False

    def __bool__(self) -> bool:
        return bool(self.text)


def shown_fields(order: Mapping[str, Any]) -> Fields:
    """Return a validated event's fields, their own fields alike: texts clipped, links whole."""
    return Fields((name, _shown(name, value)) for name, value in order.items())


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return shown_fields(value)
    if not isinstance(value, str) or name.lower().endswith("url"):
        return value
    return clip(value, NOTE_MAX if name in _NOTES else TEXT_MAX)


_NOTES = {"giftNote", "customerNote", "instructions"}


@functools.cache
def _items_fields() -> dict[str, str]:
    """By kind: the event's field with the items that its mails are about, see `infra.mail`."""
    fields: dict[str, str] = json.loads((BUILT / "items.json").read_text("utf-8"))
    return fields


def _own_items(event: Fields) -> list[dict[str, Any]] | None:
    field = _items_fields().get(event["eventType"])
    return event[field] if field else None


def _goods(event: Fields) -> list[dict[str, Any]]:
    """Return the order's lines without those that are discounts, if any other is there."""
    ordered: list[dict[str, Any]] = event["orderItems"]
    return [line for line in ordered if Decimal(line["price"]) >= 0] or ordered


def items(event: Fields) -> list[dict[str, Any]]:
    """Return what the mail is about: the parcel's pieces, the refund's, or all that was ordered."""
    if _items_fields().get(event["eventType"]):
        return _own_items(event) or _goods(event)
    ordered: list[dict[str, Any]] = event["orderItems"]
    return ordered


def rest_of_the_order(event: Fields) -> list[dict[str, Any]]:
    """Return the ordered pieces that the mail is not about. What a refund is of, its amount tells."""
    own = _own_items(event)
    return rest(event["orderItems"], own) if own and not event["refundAmount"] else []


def _refunds_a_part(event: Fields) -> bool:
    amount = event["refundAmount"]
    return amount is not None and Decimal(amount) < Decimal(event["orderTotal"])


def pieces(lines: list[dict[str, Any]]) -> int:
    """Count pieces; what is measured (2.5 m of rope) is one of them, and a discount's line is none."""
    quantities = [Decimal(line["quantity"]) for line in lines if Decimal(line.get("price", 0)) >= 0]
    return sum(int(q) if q == q.to_integral_value() else 1 for q in quantities)


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
        "short_id": clip(event["orderId"], ID_MAX),
        "name": _addressed(clip(event["customerName"], NAME_MAX), language),
        "brand": brand,
        "unsubscribe_url": unsubscribe_url,
        "texts": language.texts,
        "lang": language.tag,
        "texts_lang": language.texts_tag,
        "dir": language.direction,
        "start": "right" if rtl else "left",
        "end": "left" if rtl else "right",
        "money": money,
        "stacks": stacks,
        "date": language.date,
        "isolate": language.isolate,
        "colon": language.texts.gettext(": "),
        "arrival": _arrival(event, language),
        "count": pieces(items(event)),
        "partial": bool(rest_of_it) or _refunds_a_part(event),
        "sums": sums.to_the_total(event, language),
        "included_taxes": sums.included_taxes(event, language),
        "gift_cards": sums.gift_cards(event, language),
        "payment_state": sums.payment_state(event, language),
        "payment_open": (event["payment"] or Fields())["state"] in ("pending", "due"),
        "address": addresses.lines(event["shippingAddress"] or {}, language.locale),
        "billing_address": _billing_address(event["billingAddress"] or {}, language),
        "pickup_address": addresses.lines(
            (event["pickupPoint"] or Fields())["address"] or {}, language.locale
        ),
        "json_ld": structured.json_ld,
    }


def in_brief(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what templates are told of an order with more to say than a mail may hold, besides its items.

    What stays is bounded: no text of it is longer than `NOTE_MAX`, and few have a link.
    """
    order = Fields(context["order"])
    for name in ("giftNote", "customerNote"):
        order.pop(name, None)
    if point := order["pickupPoint"]:
        order["pickupPoint"] = Fields(point, url=None)
    return {
        "order": order,
        "sums": [],
        "included_taxes": [],
        "gift_cards": [],
        "billing_address": [],
        "pickup_address": [],
        "documents": [document._replace(url="") for document in context["documents"]],
        "json_ld": lambda _: structured.json_ld({}),
    }


def _addressed(name: str, language: Language) -> str:
    """Return a name as texts put it: Japanese ones say 様 themselves."""
    return name.removesuffix("様").rstrip() or name if language.tag.startswith("ja") else name


def of_the_items(
    event: Fields,
    rest_of_it: list[dict[str, Any]],
    brand: Brand,
    language: Language,
    most: int,
) -> dict[str, Any]:
    """Return what templates are told of the items and of the order's rest; the mail lists `most` of each."""

    def listed(all_: list[dict[str, Any]], shown: list[dict[str, Any]]) -> Listed:
        lines = [_line(piece, event["currency"], language) for piece in shown]
        pictures = any("imageUrl" in piece for piece in shown)
        return Listed(lines, pieces(all_[len(shown) :]), pictures)

    about = items(event)
    shown, rest_shown = _clipped(about[:most]), _clipped(rest_of_it[:most])
    ordered = _clipped(_goods(event)[: most or 1])
    source = structured.Source(event, brand, ordered, language.texts.gettext("View your order"))
    return {
        "listed": listed(about, shown),
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
    def money(amount: str | Decimal) -> str:
        return language.money(amount, currency)

    price, regular = item.get("price"), item.get("compareAtPrice")
    was = money(regular) if price and regular and Decimal(regular) > Decimal(price) else ""
    quantity = language.number(item["quantity"])
    details = [*item.get("options", []), *filter(None, [item.get("sku")])]
    if price and Decimal(price):
        amount = money(sums.line_total(item, currency))
    elif price:
        price, amount = None, language.texts.gettext("Free")
        instead = language.texts.gettext("instead of %(price)s") % {"price": language.isolate(was)}
        details = [f"× {quantity}", *filter(None, [was and instead]), *details]
    elif paid_back := item.get("amount"):
        amount, details = money(paid_back), [f"× {quantity}", *details]
    else:
        amount = f"× {quantity}"
    return Line(
        name=item["name"],
        quantity=quantity,
        price=money(price) if price else "",
        regular_price=was,
        amount=amount,
        details=[clip(detail, NAME_MAX) for detail in details],
        url=item.get("url", ""),
        image_url=item.get("imageUrl", ""),
    )


def _arrival(event: Fields, language: Language) -> Arrival:
    first, last = structured.arrival(event)
    if first and last:
        return Arrival(language.dates(first, last), days=True)
    return Arrival(language.date(last)) if last else Arrival()


def _billing_address(address: Mapping[str, str], language: Language) -> list[str]:
    vat_id = address.get("vatId")
    shown = (
        language.texts.gettext("VAT ID: %(id)s") % {"id": language.isolate(vat_id)}
        if vat_id
        else ""
    )
    return [*addresses.lines(address, language.locale), *filter(None, [shown])]


def headers(thread: str, brand: Brand, unsubscribe_url: str) -> dict[str, str]:
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
        # Clients thread by References: mails of one order together, different orders never. Gmail's
        # X-Entity-Ref-ID would take each of them out again.
        "References": f"<{conversation}@{domain}>",
    }
    if unsubscribe_url:
        fields["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        fields["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return fields
