"""List prices: what usage costs by AWS's price list, without Cost Explorer's delay of a day.

`prices.json` has the prices, with their date and sources; `usage.json` what was counted of a mail's and
a month's usage. Money is Decimal, in US dollars.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@functools.cache
def prices() -> dict[str, Any]:
    """Return the list prices."""
    return _data("prices.json")


@functools.cache
def usage() -> dict[str, Any]:
    """Return the counted usage per mail and per month."""
    return _data("usage.json")


def _data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text())
    return data


def ses_price(mails: int, plan: str) -> Decimal:
    """Return what SES asks for `mails` in one month on a plan, data transfer aside."""
    chosen = prices()["sesPlans"][plan]
    return Decimal(chosen["monthly"]) + Decimal(chosen["per1000"]) * mails / 1000


def list_price(used: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Price one month's usage (the names of `prices.json`) without free tiers, by service."""
    table = prices()
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for name, amount in used.items():
        if name == "expressGbHours":
            cost = _tiered(amount, table["expressGbHours"])
        elif name in table["perMillion"]:
            cost = amount * Decimal(table["perMillion"][name]) / 1_000_000
        else:
            cost = amount * Decimal(table["each"][name])
        costs[table["service"][name]] += cost
    return dict(costs)


def _tiered(amount: Decimal, tiers: Iterable[Mapping[str, Any]]) -> Decimal:
    cost, below = Decimal(0), Decimal(0)
    for tier in tiers:
        top = amount if tier["upTo"] is None else min(amount, Decimal(tier["upTo"]))
        cost += max(top - below, Decimal(0)) * Decimal(tier["price"])
        below = max(top, below)
    return cost


def overhead(mails: int) -> dict[str, Decimal]:
    """Price what `mails` use beside SES, by service, without what an idle system costs."""
    return list_price({k: Decimal(v) * mails for k, v in usage()["perMail"].items()})


def month(mails: int, plan: str = "NONE", *, free_tiers: bool = False) -> dict[str, Decimal]:
    """Price a whole month of `mails` at list price, by service, SES and the idle system included.

    `free_tiers` takes off what AWS gives every account for ever, as if no other system used it.
    """
    used: dict[str, Decimal] = defaultdict(Decimal)
    for name, each in usage()["perMail"].items():
        used[name] += Decimal(each) * mails
    for name, amount in usage()["monthly"].items():
        used[name] += Decimal(amount)
    if free_tiers:
        for name, amount in prices()["alwaysFree"].items():
            used[name] = max(used[name] - Decimal(amount), Decimal(0))
    return {"SES": ses_price(mails, plan)} | list_price(used)
