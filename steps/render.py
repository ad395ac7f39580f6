"""Render: the event as a mail, HTML and text, in the customer's language. Pure.

Templates come composed and with their styles inlined from `built/`, see `infra.mail`.
"""

from __future__ import annotations

import functools
import hashlib
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape
from markupsafe import Markup

from steps import brand as brands
from steps import localise, structured
from steps.function import StepEvent, step

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from jinja2 import Template
    from jinja2.runtime import Context

    from steps.brand import Brand
    from steps.localise import Language
    from steps.model import Email, State

PART_MAX = 100_000
"""Bytes of each part. Gmail clips a mail at 102,400, and a state with both fits an execution's 256 KiB."""

LINES_SHOWN = (60, 30, 15, 7, 3, 1, 0)
"""How many items a mail lists: as many of these as fit, in this order."""

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


@functools.cache
def environment() -> Environment:
    """Return the template environment: HTML autoescaped, undefined names are errors."""
    found = Environment(
        loader=FileSystemLoader(localise.BUILT),
        autoescape=select_autoescape(enabled_extensions=("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    found.globals |= {"_": _gettext, "ngettext": _ngettext}
    return found


# One environment serves all languages, since the catalogue travels in the context. Texts are trusted
# and are markup; what is put into them is not, and is escaped by `Markup.__mod__`.
@pass_context
def _gettext(context: Context, text: str, **values: Any) -> str:
    translated: str = context["texts"].gettext(text)
    return (Markup(translated) if context.eval_ctx.autoescape else translated) % values  # noqa: S704


@pass_context
def _ngettext(context: Context, singular: str, plural: str, number: int, **values: Any) -> str:
    translated: str = context["texts"].ngettext(singular, plural, number)
    text = Markup(translated) if context.eval_ctx.autoescape else translated  # noqa: S704
    return text % (values | {"num": number})


def render(order: dict[str, Any], brand: Brand, notification_id: str) -> Email:
    """Render the mail of a validated event (`steps.model.OrderEvent` as JSON, camel case)."""
    language = localise.language(order["locale"])
    event = Fields(
        (k, clip(v, TEXT_MAX) if isinstance(v, str) and not k.endswith("Url") else v)
        for k, v in order.items()
    )
    items = event["parcelItems"] or event["refundItems"] or event["orderItems"]
    unsubscribe_url = brand.unsubscribe_url.replace("{notificationId}", notification_id)

    def money(amount: str) -> str:
        return language.money(amount, event["currency"])

    context: dict[str, Any] = {
        "order": event,
        "order_id": event["orderId"],
        "name": clip(event["customerName"], NAME_MAX),
        "brand": brand,
        "unsubscribe_url": unsubscribe_url,
        "texts": language.texts,
        "lang": language.tag,
        "dir": language.direction,
        "start": "right" if language.direction == "rtl" else "left",
        "end": "left" if language.direction == "rtl" else "right",
        "money": money,
        "date": language.date,
        "count": len(items),
        "sums": _sums(event, language),
        "address": _address(event["shippingAddress"] or {}, language),
        "json_ld": structured.json_ld,
    }
    html = text = ""
    for shown in LINES_SHOWN:
        part = [item | {"name": clip(item["name"], TEXT_MAX)} for item in items[:shown]]
        context |= {
            "lines": [_line(item, event["currency"], language) for item in part],
            "more": len(items) - len(part),
            "pictures": any("imageUrl" in item for item in part),
            "order_ld": functools.partial(structured.order, event, brand, part),
            "parcel_ld": functools.partial(structured.parcel, event, brand, part),
            "refund_ld": functools.partial(structured.refund, event, brand),
        }
        html = _template(event, "html").render(context)
        text = re.sub(r"\n{3,}", "\n\n", _template(event, "txt").render(context)).strip() + "\n"
        if max(len(html.encode()), len(text.encode())) <= PART_MAX:
            break
    return {
        "to": order["customerEmail"],
        "fromName": brand.name,
        "replyTo": brand.support_email,
        "subject": " ".join(_template(event, "subject.txt").render(context).split()),
        "html": html,
        "text": text,
        "headers": _headers(event["orderId"], brand, notification_id, unsubscribe_url),
    }


def clip(text: str, limit: int) -> str:
    """Shorten a text to `limit` characters, ending in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _template(event: Fields, part: str) -> Template:
    return environment().get_template(f"{event['eventType']}.{part}")


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
    """What leads from the items to the total, as far as the event says; else the total stands alone."""
    _ = language.texts.gettext
    given = [
        # A discount lowers the total, whichever sign the shop gives it.
        (_("Discount"), event["discount"] and -abs(Decimal(event["discount"]))),
        (_("Shipping"), event["shipping"]),
        (_("Tax"), event["tax"]),
    ]
    sums = [
        (label, language.money(amount, event["currency"]))
        for label, amount in given
        if amount is not None
    ]
    if not sums:
        return []
    subtotal = sum(
        (Decimal(i["price"]) * Decimal(i["quantity"]) for i in event["orderItems"]), Decimal()
    )
    return [(_("Subtotal"), language.money(subtotal, event["currency"], rounded=True)), *sums]


def _address(address: dict[str, str], language: Language) -> list[str]:
    """An address, line by line, in the order of the customer's territory."""
    given = Fields((k, clip(v, TEXT_MAX)) for k, v in address.items())
    city, region, code = given["city"], given["region"], given["postalCode"]
    if language.locale.territory in CITY_FIRST:
        place = [", ".join(filter(None, (city, " ".join(filter(None, (region, code))))))]
    else:
        place = [" ".join(filter(None, (code, city))), region]
    lines = [given["name"], given["line1"], given["line2"], *place, given["country"]]
    return [line for line in lines if line]


def _headers(
    order_id: str, brand: Brand, notification_id: str, unsubscribe_url: str
) -> dict[str, str]:
    """Header fields besides those that SES sets itself. Printable ASCII, as SES demands."""
    domain = brand.support_email.rpartition("@")[2]
    order = hashlib.sha256(order_id.encode()).hexdigest()[:32]
    headers = {
        # RFC 3834, and Exchange's own: no out-of-office answers to a machine.
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        # Clients thread by References: mails of one order together, different orders never.
        "References": f"<{order}@{domain}>",
        "X-Entity-Ref-ID": notification_id,
    }
    if unsubscribe_url:
        headers["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


@step
def handler(event: StepEvent, _context: LambdaContext) -> State:
    """Take `{state: {order, ...}}`, return the state with `email` in the order's place.

    A mail and its order together could pass the 256 KiB that a state may have.
    """
    state = event["state"]
    email = render(state.pop("order"), brands.from_environment(), state["notificationId"])
    return {**state, "email": email}
