"""List prices: what usage costs by AWS's price list, without Cost Explorer's delay of a day.

`prices.json` has the prices: of each unit of usage how much it is, per how many, what the unit is in words,
whose it is, what of it is always free in a month, and where AWS says so. `usage.json` has what a mail uses, as
counted in a local run. Money is Decimal, in US dollars. The whole month's model, with every figure's origin, is
`make costs`; what runs in Lambda needs no more of it than a mail's price.
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
    """Return the counted usage."""
    return _data("usage.json")


def _data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text())
    return data


def ses_price(mails: int, plan: str) -> Decimal:
    """Return what SES asks for `mails` in one month on a plan, data transfer aside."""
    chosen = prices()["sesPlans"][plan]
    return Decimal(chosen["monthly"]) + Decimal(chosen["per1000"]) * mails / 1000


def list_price(used: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Price one month's usage (the units of `prices.json`) without free tiers, by service."""
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for name, amount in used.items():
        costs[prices()["units"][name]["service"]] += unit_price(name, amount)
    return dict(costs)


def unit_price(name: str, amount: Decimal) -> Decimal:
    """Return what an amount of a unit costs in a month."""
    unit = prices()["units"][name]
    if "tiers" in unit:
        return _tiered(amount, unit["tiers"])
    return amount * Decimal(unit["price"]) / Decimal(unit["per"])


def _tiered(amount: Decimal, tiers: Iterable[Mapping[str, Any]]) -> Decimal:
    cost, below = Decimal(0), Decimal(0)
    for tier in tiers:
        top = amount if tier["upTo"] is None else min(amount, Decimal(tier["upTo"]))
        cost += max(top - below, Decimal(0)) * Decimal(tier["price"])
        below = max(top, below)
    return cost


def overhead(mails: int) -> dict[str, Decimal]:
    """Price what `mails` use beside SES, by service, without what an idle system costs.

    Each mail as if it came alone, its outcomes, its 90 days in the table and their nightly reading included:
    that is never too little.
    """
    return list_price({name: Decimal(each) * mails for name, each in usage()["perMail"].items()})
