"""Render: the order as a mail, HTML and text, in the customer's language conventions. Pure."""

from __future__ import annotations

import functools
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from steps.function import StepEvent, step

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.model import Email, State


@functools.cache
def environment() -> Environment:
    """Return the template environment: HTML and XML autoescaped, undefined names are errors."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@functools.cache
def locale_of(tag: str) -> Locale:
    """Find the locale of a BCP 47 tag: itself, else its language, else English."""
    for candidate in (tag, tag.split("-", maxsplit=1)[0]):
        try:
            return Locale.parse(candidate, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en", "US")


def render(order: dict[str, Any]) -> Email:
    """Render the mail of a validated order (`steps.model.OrderEvent` as JSON, camel case).

    Amounts and dates follow the order's locale; the subject is one line whatever the order holds.
    """
    locale = locale_of(order["locale"])

    def money(amount: str) -> str:
        return format_currency(Decimal(amount), order["currency"], locale=locale)

    context = {
        "order": order,
        "lang": str(locale).replace("_", "-"),
        "dir": locale.text_direction,
        "money": money,
        "line_total": lambda item: money(str(Decimal(item["price"]) * Decimal(item["quantity"]))),
        "number": lambda value: format_decimal(Decimal(value), locale=locale),
        "date": format_date(datetime.fromisoformat(order["orderTimestamp"]), "long", locale=locale),
    }
    html, text, subject = (
        environment().get_template(f"{order['eventType']}/{part}").render(context)
        for part in ("mail.html.j2", "mail.txt.j2", "subject.txt.j2")
    )
    return {
        "to": order["customerEmail"],
        "subject": " ".join(subject.split()),
        "html": html,
        "text": text,
    }


@step
def handler(event: StepEvent, _context: LambdaContext) -> State:
    """Take `{state: {order, ...}}`, return the state with `email` in the order's place.

    A mail and its order together could pass the 256 KiB that a state may have.
    """
    state = event["state"]
    email = render(state.pop("order"))
    return {**state, "email": email}
