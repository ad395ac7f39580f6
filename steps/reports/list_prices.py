"""List prices: what usage costs by AWS's price list, without Cost Explorer's delay of a day.

`prices.json` has the prices, with their date and sources; `usage.json` what was counted of a mail's and
a month's usage. Money is Decimal, in US dollars.

What tells the shop of outcomes is counted by itself, since `OUTCOME_EVENTS=false` saves it. As long as less
than an outcome a second comes, each is taken to be told alone; those beyond are told together, as many at a
time as in the counted run. So are canaries, since `CANARY_MINUTES=0` saves them.

The nightly reconciliation reads the records of 90 days, so `usage.json` has what a mail takes in all the nights
of its record's life.
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

OUTCOMES_PER_MAIL = 2
"""SENT and DELIVERED."""
TOLD_ALONE = 365 * 24 * 60 * 60 // 12 // OUTCOMES_PER_MAIL
"""Mails of a month that make an outcome a second; Lambda gathers outcomes for a second."""

CANARIES_A_MONTH = 730
"""One an hour, as `CANARY_MINUTES` has it by default."""


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
    """Price what `mails` use beside SES, by service, without what an idle system costs.

    Outcomes are included, all of them told alone, and the reconciliations of the 90 days to come: that is never
    too little.
    """
    scanned = _times(usage()["reconciliation"]["perMail"], mails)
    return list_price(_sum(_times(usage()["perMail"], mails), _told("alone", mails), scanned))


def outcomes(mails: int) -> dict[str, Decimal]:
    """Price what tells the shop of the outcomes of a month's `mails`, by service."""
    return list_price(_outcomes_use(mails))


def reconciliation(mails: int) -> dict[str, Decimal]:
    """Price a month's nightly reconciliations where each month has `mails`, by service."""
    return list_price(_reconciliation_use(mails))


def canaries(runs: int = CANARIES_A_MONTH) -> dict[str, Decimal]:
    """Price a month's canaries, by service: their mails through the whole path, and what makes them."""
    return {"SES": ses_price(runs, "NONE")} | list_price(_canaries_use(runs))


def month(
    mails: int,
    plan: str = "NONE",
    *,
    free_tiers: bool = False,
    outcome_events: bool = True,
    canary_runs: int = CANARIES_A_MONTH,
    reconciled: bool = True,
) -> dict[str, Decimal]:
    """Price a whole month of `mails` at list price, by service, SES and the idle system included.

    `free_tiers` takes off what AWS gives every account for ever, as if no other system used it.
    `canary_runs` are mails besides. What tells outcomes, and the reconciliation, can be left out.
    """
    used = _sum(
        _times(usage()["perMail"], mails),
        _times(usage()["monthly"], 1),
        _outcomes_use(mails) if outcome_events else {},
        _canaries_use(canary_runs),
        _reconciliation_use(mails) if reconciled else {},
    )
    if free_tiers:
        for name, amount in prices()["alwaysFree"].items():
            used[name] = max(used[name] - Decimal(amount), Decimal(0))
    return {"SES": ses_price(mails + canary_runs, plan)} | list_price(used)


def _canaries_use(runs: int) -> dict[str, Decimal]:
    return _sum(_times(usage()["perMail"], runs), _times(usage()["perCanary"], runs))


def _outcomes_use(mails: int) -> dict[str, Decimal]:
    alone = min(mails, TOLD_ALONE)
    return _sum(_told("alone", alone), _told("together", mails - alone))


def _reconciliation_use(mails: int) -> dict[str, Decimal]:
    nightly = usage()["reconciliation"]
    return _sum(_times(nightly["perMail"], mails), _times(nightly["monthly"], 1))


def _told(how: str, mails: int) -> dict[str, Decimal]:
    return _times(usage()["outcomesPerMail"][how], mails)


def _times(each: Mapping[str, str], count: int) -> dict[str, Decimal]:
    return {name: Decimal(amount) * count for name, amount in each.items()}


def _sum(*uses: Mapping[str, Decimal]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for use in uses:
        for name, amount in use.items():
            total[name] += amount
    return total
