"""Mails rendered a second and cold start of the render step: `python -m tests.bench.rendering`.

The yardstick is bare jinja2 in the same run: the same templates with the same orders, but amounts,
numbers and dates as the event has them and no translation. Every order has amounts of its own.
"""

from __future__ import annotations

import functools
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from infra import mail
from steps import kinds, render
from steps.kinds.parsing import parse
from steps.mail import localise, structured, view
from steps.mail.view import Fields, Line, Listed
from tests.support.sample_mails import BRAND, NOTIFICATION_ID

ORDERS, ROUNDS = 300, 7
PARTS = ("html", "txt", "subject.txt")
YARDSTICK = "bare jinja2"

Order = dict[str, Any]
"""A validated event, as the render step gets it."""

Render = Callable[[Order], object]


def orders(locale: str, seed: int = 20418) -> list[Order]:
    """Make confirmations with three items each, no two with the same amounts."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable sample
    sample = kinds.sample("order.confirmed") | {"locale": locale}

    def amount(least: float, most: float) -> str:
        return f"{dice.uniform(least, most):.2f}"

    def order(number: int) -> Order:
        event = sample | {
            "orderId": f"NW-{number}",
            "orderTotal": amount(20, 900),
            **{part: amount(1, 30) for part in ("shipping", "tax", "discount")},
            "orderItems": [item | {"price": amount(5, 300)} for item in sample["orderItems"]],
        }
        parsed = parse(json.dumps(event), datetime.now(UTC))
        valid: Order = json.loads(parsed.model_dump_json(by_alias=True, exclude_none=True))
        return valid

    return [order(number) for number in range(ORDERS)]


def bare() -> Render:
    """Return a renderer of the same three templates, with nothing that knows a language."""
    environment = Environment(
        loader=FileSystemLoader(localise.BUILT),
        autoescape=select_autoescape(enabled_extensions=("html",)),
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_null_translations(newstyle=True)  # type: ignore[attr-defined]

    def render_bare(order: Order) -> None:
        context = bare_context(order)
        for part in PARTS:
            environment.get_template(f"order.confirmed.{part}").render(context)

    return render_bare


@functools.cache
def what_templates_want() -> dict[str, object]:
    """Return all that templates are told, of some order: the yardstick takes what says nothing of an order."""
    event = Fields(orders("en-US")[0])
    return view.of_the_order(event, [], BRAND, localise.language("en-US"), "") | {
        "documents": [],
        "documents_attached": False,
    }


def bare_context(order: Order) -> dict[str, object]:
    """Return what the templates want, as the event has it."""
    event, items = Fields(order), order["orderItems"]
    source = structured.Source(event, BRAND, items, "View your order")
    return what_templates_want() | {
        "order": event,
        "order_id": event["orderId"],
        "short_id": event["orderId"],
        "name": event["customerName"],
        "isolate": str,
        "money": str,
        "date": str,
        "count": len(items),
        "sums": [(part, event[part]) for part in ("discount", "shipping", "tax")],
        "address": list(event["shippingAddress"].values()),
        "order_ld": functools.partial(structured.order, source),
        "listed": Listed(
            lines=[
                Line(
                    name=item["name"],
                    quantity=item["quantity"],
                    price=item["price"],
                    regular_price="",
                    amount=item["price"],
                    details=[item["sku"]] if "sku" in item else [],
                    url=item.get("url", ""),
                    image_url="",
                )
                for item in items
            ],
            more=0,
            pictures=False,
        ),
    }


def rate(render_order: Render, sample: list[Order]) -> float:
    """Return how many of the orders are rendered in a second of processor time."""
    begin = time.process_time()
    for order in sample:
        render_order(order)
    return len(sample) / (time.process_time() - begin)


def cold(code: str) -> float:
    """Return the milliseconds of processor time that `code` takes in a fresh interpreter."""
    program = (
        f"import time; b = time.process_time()\n{code}\nprint((time.process_time() - b) * 1e3)"
    )
    command = [sys.executable, "-c", program]
    runs = [float(subprocess.check_output(command)) for _ in range(ROUNDS)]
    return statistics.median(runs)


def print_rates() -> None:
    """Print how many mails a second we render, beside bare jinja2."""

    def render_mail(order: Order) -> object:
        return render.render(order, BRAND, NOTIFICATION_ID)

    contenders: dict[str, tuple[Render, list[Order]]] = {YARDSTICK: (bare(), orders("en-US"))}
    for locale in ("en-US", "de-AT", "ar"):
        contenders[f"render, {locale}"] = (render_mail, orders(locale))
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (render_order, sample) in contenders.items():
            rates[name].append(rate(render_order, sample))
    medians = {name: statistics.median(of_each_round) for name, of_each_round in rates.items()}
    for name, median in medians.items():
        share = median / medians[YARDSTICK]
        print(f"{name:15} {median:7.0f} mails/s   {share:5.2f} of {YARDSTICK}")


def print_cold_starts() -> None:
    """Print what a fresh interpreter takes until it can render, ours beside bare jinja2's."""
    bare_templates = (
        "import jinja2; e = jinja2.Environment(autoescape=True, extensions=['jinja2.ext.i18n'], "
        f"loader=jinja2.FileSystemLoader({str(localise.BUILT)!r}))\n"
        f"for p in {PARTS}: e.get_template('order.confirmed.' + p)"
    )
    our_templates = (
        "from steps import render\n"
        f"for p in {PARTS}: render.environment().get_template('order.confirmed.' + p)"
    )
    for name, code in (
        ("import jinja2", "import jinja2"),
        ("  + templates", bare_templates),
        ("import steps.render", "import steps.render"),
        ("  + templates", our_templates),
    ):
        print(f"{name:20} {cold(code):6.0f} ms")


def main() -> None:
    """Print both measurements."""
    mail.build()
    print_rates()
    print()
    print_cold_starts()


if __name__ == "__main__":
    main()
