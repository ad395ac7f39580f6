"""Cost: what the mails cost, per service and mail, against budget, last month and each SES plan.

Pure. Money is Decimal inside and a decimal string in every dict; days are UTC, as Cost Explorer's are.
Cost Explorer lags a day, so today is estimated from our own counters and list prices
(`steps/prices.json`, with their date and sources) for counted usage (`steps/usage.json`).
"""

from __future__ import annotations

import calendar
import functools
import json
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SES = "Amazon Simple Email Service"
"""SES's name in Cost Explorer."""

RISE = Decimal("1.5")
RISE_FLOOR = Decimal(5)
"""The cost rose when it is up by half on the same days of last month, and by more than this, in USD."""

TREND_DAYS = 7
"""The forecast goes on as the last complete days went: a week, since shops have weekdays."""

OVER_BUDGET, FORECAST_OVER_BUDGET, COST_ROSE = "OVER_BUDGET", "FORECAST_OVER_BUDGET", "COST_ROSE"


@final
class Missing(TypedDict):
    """What a source gave that did not answer: the error's name, and a sentence."""

    Error: str
    Cause: str


@final
class Costs(TypedDict):
    """Cost Explorer's answer. `days`: ISO date -> service -> USD; `lacks`: sentences."""

    days: dict[str, dict[str, str]]
    lacks: list[str]


@final
class Mails(TypedDict):
    """Our counters' answer. `days`: ISO date -> mails that SES accepted."""

    days: dict[str, int]


@final
class Account(TypedDict):
    """SES's answer. `plan` is one of `sesPlans`; None where SES does not tell."""

    plan: str | None


@final
class Previous(TypedDict):
    """The last report that was kept, `{}` before the first."""

    report: dict[str, Any]


class Message(TypedDict):
    """An alert: `subject` is one line of at most 100 ASCII characters (SNS, Publish)."""

    subject: str
    message: str


class Found(TypedDict):
    """What the sources gave."""

    costs: Costs | Missing
    mails: Mails | Missing
    account: Account | Missing
    previous: Previous | Missing


class Report(TypedDict):
    """One day's report; amounts in USD, month to date unless they say otherwise.

    `total` is Cost Explorer's complete days and the estimate of today, None without Cost Explorer.
    `listPrice` is the same month from our counters and list prices alone, a check on the total.
    `breaches` are those of this month so far; `alert` is there when one of them is new.
    """

    date: str
    currency: str
    total: str | None
    estimateOfToday: str
    listPrice: str | None
    mails: int | None
    costPerEmail: str | None
    services: dict[str, str]
    forecast: str | None
    budget: str
    budgetUsed: str | None
    previousMonth: dict[str, Any] | None
    change: dict[str, Any] | None
    plan: str
    plans: dict[str, str]
    lacks: list[str]
    breaches: list[str]
    alert: NotRequired[Message]


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


def why(missing: Missing) -> str:
    """Return the sentence in a cause; a function's error arrives as JSON with its message inside."""
    try:
        return str(json.loads(missing["Cause"])["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return missing["Cause"]


# --- list prices ----------------------------------------------------------------------------------


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


# --- Cost Explorer --------------------------------------------------------------------------------


def from_cost_explorer(results: Iterable[Mapping[str, Any]], system: str) -> Costs:
    """Read `ResultsByTime`, grouped by SERVICE and the tag `app`; `system` is the tag's value.

    SES is counted whole where it carries no tag of ours: its identity belongs to the shop.
    """
    ours: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    untagged_ses: dict[str, Decimal] = defaultdict(Decimal)
    foreign: set[str] = set()
    for result in results:
        day = result["TimePeriod"]["Start"]
        for group in result["Groups"]:
            (service, tag), cost = group["Keys"], group["Metrics"]["UnblendedCost"]
            if cost["Unit"] != prices()["currency"]:
                foreign.add(cost["Unit"])
            elif tag == f"app${system}":
                ours[day][service] += Decimal(cost["Amount"])
            elif service == SES:
                untagged_ses[day] += Decimal(cost["Amount"])
    lacks = [f"costs in {unit}: they are left out" for unit in sorted(foreign)]
    tagged = any(ours.values())
    if not tagged:
        lacks.append(
            "Cost Explorer knows no cost tagged `app`: activate that cost-allocation tag in Billing "
            "(it takes a day); until then only SES is counted"
        )
    if untagged_ses and not any(SES in services for services in ours.values()):
        for day, amount in untagged_ses.items():
            ours[day][SES] = amount
        lacks.append("SES is counted for the whole account: no SES identity carries the tag `app`")
    days = {day: {s: str(a) for s, a in services.items()} for day, services in ours.items()}
    return {"days": days, "lacks": lacks}


# --- the report -----------------------------------------------------------------------------------


def report(found: Found, *, today: date, budget: Decimal, dashboard: str) -> Report:
    """Put the day's report together from what was found, and say what it lacks."""
    lacks: list[str] = []
    costs = _costs(found["costs"], lacks)
    mails = _mails(found["mails"], lacks)
    plan = _plan(found["account"], lacks)
    previous: dict[str, Any] = {}
    if "Error" in found["previous"]:
        lacks.append(f"the last report: {why(found['previous'])}; an alert may be repeated")
    else:
        previous = found["previous"]["report"]

    first = today.replace(day=1)
    last_month = (first - timedelta(days=1)).replace(day=1)
    same_days = last_month + timedelta(days=min(today.day - 1, _length(last_month)))

    sent = None if mails is None else _mails_in(mails, first, today + timedelta(days=1))
    sent_today = 0 if mails is None else mails.get(today, 0)
    estimate = _variable(sent_today, plan)
    listed = None if sent is None else _variable(sent, plan)

    services = _by_service(costs, first, today) if costs else {}
    total = sum(services.values(), estimate) if costs else None
    trend = _trend(costs, today) if costs else None
    rest = _length(first) - today.day + 1
    forecast = None if total is None or trend is None else total - estimate + trend * rest

    change = None
    before = _by_service(costs, last_month, same_days) if costs else {}
    if not costs:
        pass
    elif today == first:
        lacks.append("the change on last month: the month has no complete day yet")
    elif not before:
        lacks.append("the change on last month: no costs are known for the same days of it")
    else:
        change = _change(services, before)
    if sent == 0:
        lacks.append("the cost per mail: no mail was sent this month")

    known = total if total is not None else listed
    breaches = _breaches(known, forecast, budget, change)
    told = previous.get("breaches", []) if _same_month(previous, today) else []
    made: Report = {
        "date": today.isoformat(),
        "currency": prices()["currency"],
        "total": _money(total),
        "estimateOfToday": str(_round(estimate)),
        "listPrice": _money(listed),
        "mails": sent,
        "costPerEmail": str(_round(total / sent, 8)) if sent and total is not None else None,
        "services": {s: str(_round(a)) for s, a in _largest_first(services)},
        "forecast": _money(forecast),
        "budget": str(budget),
        "budgetUsed": None if known is None else str(_round(known / budget)),
        "previousMonth": _previous_month(costs, mails, last_month, first),
        "change": change,
        "plan": plan,
        "plans": {p: str(_round(ses_price(sent or 0, p))) for p in prices()["sesPlans"]},
        "lacks": lacks,
        "breaches": sorted({*told, *breaches}),
    }
    if new := [b for b in breaches if b not in told]:
        made["alert"] = alert(made, new, dashboard)
    return made


def alert(made: Report, new: list[str], dashboard: str) -> Message:
    """Write the message for breaches that are new: figures, what changed, where to look."""
    total = made["total"] or made["listPrice"]
    headline = {
        OVER_BUDGET: f"USD {_usd(total)} spent, the budget is {_usd(made['budget'])}",
        FORECAST_OVER_BUDGET: (
            f"USD {_usd(made['forecast'])} forecast, the budget is {_usd(made['budget'])}"
        ),
        COST_ROSE: "USD {} more than on the same days of last month".format(
            _usd((made["change"] or {}).get("usd"))
        ),
    }
    lines = [f"Order mails: {headline[breach]}." for breach in new]
    lines += [
        "",
        f"Month to date  USD {_usd(total)}"
        + ("" if made["total"] else " (list prices; Cost Explorer did not answer)"),
        f"Forecast       USD {_usd(made['forecast'])}",
        f"Budget         USD {_usd(made['budget'])}",
        f"Mails          {made['mails'] if made['mails'] is not None else 'unknown'}",
        f"Cost per mail  USD {made['costPerEmail'] or 'unknown'}",
        "",
        "By service, month to date:",
        *(f"  {service}: USD {_usd(amount)}" for service, amount in made["services"].items()),
    ]
    if made["change"] and Decimal(made["change"]["usd"]):
        change = made["change"]
        lines += ["", (f"On the same days of last month: USD {_usd(change['before'])}; most of the "
                  f"change is {change['service']}, USD {_usd(change['serviceUsd'])}.")]  # fmt: skip
    lines += [
        "",
        (
            "What to do: look at the largest service first. SES grows with the mails sent: compare them "
            "with the orders. If it is not SES, something retries or logs too much."
        ),
        dashboard,
    ]
    if made["lacks"]:
        lines += ["", "Not known:", *(f"  {lack}" for lack in made["lacks"])]
    return {"subject": f"Order mails: {headline[new[0]]}"[:100], "message": "\n".join(lines)}


def _costs(found: Costs | Missing, lacks: list[str]) -> dict[date, dict[str, Decimal]] | None:
    if "Error" in found:
        lacks.append(f"costs: {why(found)}")
        return None
    lacks += found["lacks"]
    days = {
        date.fromisoformat(day): {s: Decimal(a) for s, a in services.items()}
        for day, services in found["days"].items()
    }
    if not days:
        lacks.append("costs: Cost Explorer has none for these two months")
    return days or None


def _mails(found: Mails | Missing, lacks: list[str]) -> dict[date, int] | None:
    if "Error" in found:
        lacks.append(f"mails sent, and so the cost per mail and of today: {why(found)}")
        return None
    return {date.fromisoformat(day): mails for day, mails in found["days"].items()}


def _plan(found: Account | Missing, lacks: list[str]) -> str:
    plan = None if "Error" in found else found["plan"]
    if plan is not None and plan in prices()["sesPlans"]:
        return plan
    cause = why(found) if "Error" in found else "SES does not tell"
    lacks.append(f"the account's SES plan: {cause}; a la carte is assumed")
    return "NONE"


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _mails_in(mails: Mapping[date, int], start: date, end: date) -> int:
    return sum(n for day, n in mails.items() if start <= day < end)


def _variable(mails: int, plan: str) -> Decimal:
    """What `mails` add to the bill: SES without the plan's monthly fee, and all other services."""
    per_mail = ses_price(mails, plan) - ses_price(0, plan)
    return sum(overhead(mails).values(), per_mail)


def _by_service(
    costs: Mapping[date, Mapping[str, Decimal]], start: date, end: date
) -> dict[str, Decimal]:
    services: dict[str, Decimal] = defaultdict(Decimal)
    for day, amounts in costs.items():
        if start <= day < end:
            for service, amount in amounts.items():
                services[service] += amount
    return dict(services)


def _trend(costs: Mapping[date, Mapping[str, Decimal]], today: date) -> Decimal:
    """The last complete days' average, USD a day; days before the first cost do not count."""
    start = max(today - timedelta(days=TREND_DAYS), min(costs))
    days = max((today - start).days, 1)
    return sum(_by_service(costs, start, today).values(), Decimal(0)) / days


def _change(services: Mapping[str, Decimal], before: Mapping[str, Decimal]) -> dict[str, Any]:
    zero = Decimal(0)
    now, then = sum(services.values(), zero), sum(before.values(), zero)
    moved = {s: services.get(s, zero) - before.get(s, zero) for s in sorted({*services, *before})}
    service = max(moved, key=lambda s: abs(moved[s]))
    return {
        "usd": str(_round(now - then)),
        "before": str(_round(then)),
        "percent": str(_round((now - then) / then * 100, 1)) if then > 0 else None,
        "service": service,
        "serviceUsd": str(_round(moved[service])),
        "rose": now > then * RISE and now - then > RISE_FLOOR,
    }


def _breaches(
    known: Decimal | None,
    forecast: Decimal | None,
    budget: Decimal,
    change: Mapping[str, Any] | None,
) -> list[str]:
    breaches = []
    if known is not None and known > budget:
        breaches.append(OVER_BUDGET)
    elif forecast is not None and forecast > budget:
        breaches.append(FORECAST_OVER_BUDGET)
    if change and change["rose"]:
        breaches.append(COST_ROSE)
    return breaches


def _previous_month(
    costs: dict[date, dict[str, Decimal]] | None,
    mails: dict[date, int] | None,
    start: date,
    end: date,
) -> dict[str, Any] | None:
    services = _by_service(costs, start, end) if costs else {}
    if not services:
        return None
    sent = None if mails is None else _mails_in(mails, start, end)
    total = sum(services.values(), Decimal(0))
    return {
        "total": str(_round(total)),
        "mails": sent,
        "costPerEmail": str(_round(total / sent, 8)) if sent else None,
        "services": {s: str(_round(a)) for s, a in _largest_first(services)},
    }


def _same_month(previous: Mapping[str, Any], today: date) -> bool:
    return str(previous.get("date", ""))[:7] == today.isoformat()[:7]


def _largest_first(services: Mapping[str, Decimal]) -> list[tuple[str, Decimal]]:
    return sorted(services.items(), key=lambda item: (-item[1], item[0]))


def _round(amount: Decimal, digits: int = 4) -> Decimal:
    return round(amount, digits)


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(_round(amount))


def _usd(amount: str | None) -> str:
    """Show cents, and smaller parts of amounts that have nothing else."""
    if amount is None:
        return "unknown"
    value = Decimal(amount)
    return f"{value:,.2f}" if value == round(value, 2) or abs(value) >= 1 else f"{value:.4f}"
