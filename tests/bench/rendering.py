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
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from infra import mail
from steps import kinds, render
from steps.kinds.parsing import parse
from steps.mail import localise, structured
from steps.mail.view import Fields
from tests.support.sample_mails import BRAND, NOTIFICATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable

ORDERS, ROUNDS = 300, 7


def orders(locale: str, seed: int = 20418) -> list[dict[str, Any]]:
    """Make confirmations with three items each, no two with the same amounts."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable sample
    sample = kinds.sample("order.confirmed") | {"locale": locale}
    found = []
    for number in range(ORDERS):
        event = sample | {
            "orderId": f"NW-{number}",
            "orderTotal": f"{dice.uniform(20, 900):.2f}",
            **{part: f"{dice.uniform(1, 30):.2f}" for part in ("shipping", "tax", "discount")},
            "orderItems": [
                item | {"price": f"{dice.uniform(5, 300):.2f}"} for item in sample["orderItems"]
            ],
        }
        order = parse(json.dumps(event), datetime.now(UTC))
        found.append(json.loads(order.model_dump_json(by_alias=True, exclude_none=True)))
    return found


def bare() -> Callable[[dict[str, Any]], None]:
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

    def one(order: dict[str, Any]) -> None:
        event = Fields(order)
        items = order["orderItems"]
        context = {
            "order": event,
            "order_id": event["orderId"],
            "name": event["customerName"],
            "brand": BRAND,
            "unsubscribe_url": "",
            "lang": "en",
            "dir": "ltr",
            "start": "left",
            "end": "right",
            "money": str,
            "date": str,
            "count": len(items),
            "sums": [(part, event[part]) for part in ("discount", "shipping", "tax")],
            "address": list(event["shippingAddress"].values()),
            "json_ld": structured.json_ld,
            "order_ld": functools.partial(structured.order, event, BRAND, items),
            "lines": [SimpleNamespace(**i, total=i["price"], image_url="") for i in items],
            "more": 0,
            "pictures": False,
        }
        for part in ("html", "txt", "subject.txt"):
            environment.get_template(f"order.confirmed.{part}").render(context)

    return one


def rate(run: Callable[[dict[str, Any]], object], sample: list[dict[str, Any]]) -> float:
    """Return how many of the orders `run` takes in a second of processor time."""
    begin = time.process_time()
    for order in sample:
        run(order)
    return len(sample) / (time.process_time() - begin)


def cold(code: str) -> float:
    """Return the milliseconds of processor time that `code` takes in a fresh interpreter."""
    program = (
        f"import time; b = time.process_time()\n{code}\nprint((time.process_time() - b) * 1e3)"
    )
    command = [sys.executable, "-c", program]
    runs = [float(subprocess.check_output(command)) for _ in range(ROUNDS)]
    return statistics.median(runs)


def main() -> None:
    """Print both measurements, ours beside bare jinja2's, and their ratio."""
    mail.build()

    def ours(order: dict[str, Any]) -> object:
        return render.render(order, BRAND, NOTIFICATION_ID)

    contenders: dict[str, Callable[[dict[str, Any]], object]] = {"bare jinja2": bare()} | {
        f"render, {locale}": ours for locale in ("en-US", "de-AT", "ar")
    }
    samples = {name: orders(name.rpartition(" ")[2]) for name in contenders if "," in name}
    samples["bare jinja2"] = orders("en-US")
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            rates[name].append(rate(run, samples[name]))
    yardstick = statistics.median(rates["bare jinja2"])
    for name, found in rates.items():
        median = statistics.median(found)
        print(f"{name:15} {median:7.0f} mails/s   {median / yardstick:5.2f} of bare jinja2")

    templates = (
        "import jinja2; e = jinja2.Environment(autoescape=True, extensions=['jinja2.ext.i18n'], "
    )
    templates += f"loader=jinja2.FileSystemLoader({str(localise.BUILT)!r}))\n"
    templates += "for p in ('html', 'txt', 'subject.txt'): e.get_template('order.confirmed.' + p)"
    step = "from steps import render\n"
    step += "for p in ('html', 'txt', 'subject.txt'): render.environment().get_template('order.confirmed.' + p)"
    for name, code in (
        ("import jinja2", "import jinja2"),
        ("  + templates", templates),
        ("import steps.render", "import steps.render"),
        ("  + templates", step),
    ):
        print(f"{name:20} {cold(code):6.0f} ms")


if __name__ == "__main__":
    main()
