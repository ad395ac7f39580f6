"""Cost: what the mails cost, per service and mail, against budget, last month and each SES plan.

Pure. Money is Decimal inside and a decimal string in every dict; days are UTC, as Cost Explorer's are.
Cost Explorer lags a day, and asking it costs a cent: the days after its last answer are estimated from our own
counters and list prices. The report says from which day on.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NotRequired, TypedDict, final

from steps.contract.report_tasks import Alert, Gap, Previous, ReportBase
from steps.reports.list_prices import overhead, prices, ses_price
from steps.reports.tasks import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_ce.type_defs import ResultByTimeTypeDef

SES = "Amazon Simple Email Service"
"""SES's name in Cost Explorer."""

RISE = Decimal("1.5")
RISE_FLOOR = Decimal(5)
"""The cost rose when it is up by half on the same days of last month, and by more than this, in USD."""

TREND_DAYS = 7
"""The forecast goes on as the last complete days went: a week, since shops have weekdays."""

SERVES = timedelta(days=7)
"""So long the report goes on from an answer of Cost Explorer's where nothing asks for another."""

CLOSE = Decimal("0.5")
"""From more than this share of the budget on, Cost Explorer is asked every day."""

OVER_BUDGET, FORECAST_OVER_BUDGET, COST_ROSE = "OVER_BUDGET", "FORECAST_OVER_BUDGET", "COST_ROSE"

Days = dict[date, dict[str, Decimal]]
"""Costs in USD by day and service."""


@final
class Costs(TypedDict):
    """Cost Explorer's answer, kept until the next.

    date: the day on which it was asked; it has the days before, from the first of the month before.
    days: ISO date -> service -> USD. gaps: sentences.
    """

    date: str
    days: dict[str, dict[str, str]]
    gaps: list[str]


@final
class MailsSent(TypedDict):
    """Our counters' answer. `days`: ISO date -> mails that SES accepted."""

    days: dict[str, int]


@final
class SesPlan(TypedDict):
    """SES's answer. `plan` is one of `sesPlans`; None where SES does not tell."""

    plan: str | None


class OtherInputs(TypedDict):
    """What the sources gave that cost nothing."""

    mails: MailsSent | Gap
    account: SesPlan | Gap
    previous: Previous | Gap


class Inputs(OtherInputs):
    """What the sources gave."""

    costs: Costs | Gap


class Change(TypedDict):
    """The month to date against the same days of last month, in USD, and the service that moved most.

    `rose`: by half, and by more than `RISE_FLOOR`.
    """

    usd: str
    before: str
    percent: str | None
    service: str
    serviceUsd: str
    rose: bool


class LastMonth(TypedDict):
    """The whole month before, in USD."""

    total: str
    mails: int | None
    costPerEmail: str | None
    services: dict[str, str]


class Report(ReportBase, TypedDict):
    """One day's report; amounts in USD, month to date unless they say otherwise.

    `total` is Cost Explorer's days before `estimatedFrom` and `estimate`, None without Cost Explorer.
    `estimate` is what the mails of the days from then on cost at list price, today's included.
    `services` are Cost Explorer's, and so without the estimate.
    `listPrice` is the same month from our counters and list prices alone, a check on the total.
    `breaches` are those of this month so far; `alert` is there when one of them is new.
    """

    currency: str
    total: str | None
    estimatedFrom: str
    estimate: str
    listPrice: str | None
    mails: int | None
    costPerEmail: str | None
    services: dict[str, str]
    forecast: str | None
    budget: str
    budgetUsed: str | None
    previousMonth: LastMonth | None
    change: Change | None
    plan: str
    plans: dict[str, str]
    breaches: NotRequired[list[str]]


@dataclass(frozen=True)
class _Calendar:
    """The days that a report of `today` is about; Cost Explorer has those before `asked`."""

    today: date
    asked: date

    @property
    def first(self) -> date:
        return self.today.replace(day=1)

    @property
    def last_month(self) -> date:
        return (self.first - timedelta(days=1)).replace(day=1)

    @property
    def estimated_from(self) -> date:
        """The first day of this month that Cost Explorer does not have."""
        return max(self.first, self.asked)

    @property
    def same_days_end(self) -> date:
        """The day of last month before which lie as many days as Cost Explorer has of this one."""
        days = min((self.estimated_from - self.first).days, _length(self.last_month))
        return self.last_month + timedelta(days=days)

    @property
    def days_left(self) -> int:
        """How many days the month has from today on, today included."""
        return _length(self.first) - self.today.day + 1


# --- Cost Explorer --------------------------------------------------------------------------------


def is_due(last: Costs, others: OtherInputs, *, today: date, budget: Decimal) -> bool:
    """Whether Cost Explorer is to be asked anew, after its `last` answer.

    It is when that is a week old; when it has no day of this month, and so not all of the last; while it has
    nothing but SES, since the cost-allocation tag may be active by now; while the month has cost more than half
    of the budget; and before an alert. Never twice a day: it has complete days only.
    """
    asked = date.fromisoformat(last["date"])
    if asked >= today:
        return False
    services = {service for day in last["days"].values() for service in day}
    if today - asked >= SERVES or asked <= today.replace(day=1) < today or services <= {SES}:
        return True
    so_far = report({**others, "costs": last}, today=today, budget=budget, dashboard="")
    return "alert" in so_far or Decimal(so_far["budgetUsed"] or 0) > CLOSE


def from_cost_explorer(results: Iterable[ResultByTimeTypeDef], system: str, asked: date) -> Costs:
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
    gaps = [f"costs in {unit}: they are left out" for unit in sorted(foreign)]
    tagged = any(ours.values())
    if not tagged:
        gaps.append(
            "Cost Explorer knows no cost tagged `app`: activate that cost-allocation tag in Billing "
            "(it takes a day); until then only SES is counted"
        )
    if untagged_ses and not any(SES in services for services in ours.values()):
        for day, amount in untagged_ses.items():
            ours[day][SES] = amount
        gaps.append("SES is counted for the whole account: no SES identity carries the tag `app`")
    days = {day: {s: str(a) for s, a in services.items()} for day, services in ours.items()}
    return {"date": asked.isoformat(), "days": days, "gaps": gaps}


# --- the report -----------------------------------------------------------------------------------


def report(inputs: Inputs, *, today: date, budget: Decimal, dashboard: str) -> Report:
    """Put the day's report together from what the sources gave, and say what it lacks."""
    gaps: list[str] = []
    of_today = _figures(
        _costs(inputs["costs"], gaps),
        _mails(inputs["mails"], gaps),
        _Calendar(today, _asked(inputs["costs"], today)),
        plan=_plan(inputs["account"], gaps),
        budget=budget,
        gaps=gaps,
    )
    told = _told_this_month(inputs["previous"], today, gaps)
    breaches = _breaches(of_today)
    of_today["breaches"] = sorted({*told, *breaches})
    if new := [b for b in breaches if b not in told]:
        of_today["alert"] = alert(of_today, new, dashboard)
    return of_today


def _figures(
    costs: Days | None,
    mails: dict[date, int] | None,
    days: _Calendar,
    *,
    plan: str,
    budget: Decimal,
    gaps: list[str],
) -> Report:
    tomorrow = days.today + timedelta(days=1)
    sent = None if mails is None else _mails_in(mails, days.first, tomorrow)
    since, before_today = (
        _variable(_mails_in(mails or {}, days.estimated_from, end), plan)
        for end in (tomorrow, days.today)
    )
    listed = None if sent is None else _variable(sent, plan)
    services = _by_service(costs, days.first, days.asked)
    total = sum(services.values(), since) if costs else None
    forecast = None
    if costs and total is not None:
        complete = sum(services.values(), before_today)
        # Today may have taken more than an ordinary day already.
        forecast = max(complete + _trend(costs, days.asked) * days.days_left, total)
    known = total if total is not None else listed
    change = _change_on_last_month(costs, services, days, gaps)
    if sent == 0:
        gaps.append("the cost per mail: no mail was sent this month")
    return {
        "date": days.today.isoformat(),
        "currency": prices()["currency"],
        "total": _money(total),
        "estimatedFrom": days.estimated_from.isoformat(),
        "estimate": str(_round(since)),
        "listPrice": _money(listed),
        "mails": sent,
        "costPerEmail": str(_round(total / sent, 8)) if sent and total is not None else None,
        "services": _largest_first(services),
        "forecast": _money(forecast),
        "budget": str(budget),
        "budgetUsed": None if known is None else str(_round(known / budget)),
        "previousMonth": _last_month(costs, mails, days, gaps),
        "change": change,
        "plan": plan,
        "plans": {p: str(_round(ses_price(sent or 0, p))) for p in prices()["sesPlans"]},
        "gaps": gaps,
    }


def alert(of_today: Report, new: list[str], dashboard: str) -> Alert:
    """Write the message for breaches that are new: figures, what changed, where to look."""
    total = of_today["total"] or of_today["listPrice"]
    headline = {
        OVER_BUDGET: f"USD {_usd(total)} spent, the budget is {_usd(of_today['budget'])}",
        FORECAST_OVER_BUDGET: (
            f"USD {_usd(of_today['forecast'])} forecast, the budget is {_usd(of_today['budget'])}"
        ),
        COST_ROSE: "USD {} more than on the same days of last month".format(
            _usd(of_today["change"] and of_today["change"]["usd"])
        ),
    }
    lines = [f"Order mails: {headline[breach]}." for breach in new]
    lines += [
        "",
        f"Month to date  USD {_usd(total)}"
        + (
            f" (from {of_today['estimatedFrom']} on at list prices)"
            if of_today["total"]
            else " (list prices; Cost Explorer did not answer)"
        ),
        f"Forecast       USD {_usd(of_today['forecast'])}",
        f"Budget         USD {_usd(of_today['budget'])}",
        f"Mails          {of_today['mails'] if of_today['mails'] is not None else 'unknown'}",
        f"Cost per mail  USD {of_today['costPerEmail'] or 'unknown'}",
        "",
        f"By service, before {of_today['estimatedFrom']}:",
        *(f"  {service}: USD {_usd(amount)}" for service, amount in of_today["services"].items()),
    ]
    if of_today["change"] and Decimal(of_today["change"]["usd"]):
        change = of_today["change"]
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
    if of_today["gaps"]:
        lines += ["", "Not known:", *(f"  {gap}" for gap in of_today["gaps"])]
    return {"subject": f"Order mails: {headline[new[0]]}"[:100], "message": "\n".join(lines)}


def _asked(answer: Costs | Gap, today: date) -> date:
    return today.replace(day=1) if "Error" in answer else date.fromisoformat(answer["date"])


def _costs(answer: Costs | Gap, gaps: list[str]) -> Days | None:
    if "Error" in answer:
        gaps.append(f"costs: {reason(answer)}")
        return None
    gaps += answer["gaps"]
    days = {
        date.fromisoformat(day): {s: Decimal(a) for s, a in services.items()}
        for day, services in answer["days"].items()
    }
    if not days:
        gaps.append("costs: Cost Explorer has none for these two months")
    return days or None


def _mails(answer: MailsSent | Gap, gaps: list[str]) -> dict[date, int] | None:
    if "Error" in answer:
        gaps.append(f"mails sent, and so the cost per mail and of today: {reason(answer)}")
        return None
    return {date.fromisoformat(day): mails for day, mails in answer["days"].items()}


def _plan(answer: SesPlan | Gap, gaps: list[str]) -> str:
    plan = None if "Error" in answer else answer["plan"]
    if plan is not None and plan in prices()["sesPlans"]:
        return plan
    cause = reason(answer) if "Error" in answer else "SES does not tell"
    gaps.append(f"the account's SES plan: {cause}; a la carte is assumed")
    return "NONE"


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _mails_in(mails: Mapping[date, int], start: date, end: date) -> int:
    return sum(n for day, n in mails.items() if start <= day < end)


def _variable(mails: int, plan: str) -> Decimal:
    """What `mails` add to the bill: SES without the plan's monthly fee, and all other services."""
    per_mail = ses_price(mails, plan) - ses_price(0, plan)
    return sum(overhead(mails).values(), per_mail)


def _by_service(costs: Days | None, start: date, end: date) -> dict[str, Decimal]:
    services: dict[str, Decimal] = defaultdict(Decimal)
    for day, amounts in (costs or {}).items():
        if start <= day < end:
            for service, amount in amounts.items():
                services[service] += amount
    return dict(services)


def _trend(costs: Days, asked: date) -> Decimal:
    """Return the average of Cost Explorer's last days, USD a day; days before the first cost do not count."""
    start = max(asked - timedelta(days=TREND_DAYS), min(costs))
    days = max((asked - start).days, 1)
    return sum(_by_service(costs, start, asked).values(), Decimal(0)) / days


def _change_on_last_month(
    costs: Days | None, services: Mapping[str, Decimal], days: _Calendar, gaps: list[str]
) -> Change | None:
    if not costs:
        return None
    if days.estimated_from == days.first:
        gaps.append("the change on last month: no complete day of this month is known yet")
        return None
    before = _by_service(costs, days.last_month, days.same_days_end)
    if not before:
        gaps.append("the change on last month: no costs are known for the same days of it")
        return None
    return _change(services, before)


def _change(services: Mapping[str, Decimal], before: Mapping[str, Decimal]) -> Change:
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


def _breaches(of_today: Report) -> list[str]:
    spent, forecast = of_today["total"] or of_today["listPrice"], of_today["forecast"]
    budget, change = Decimal(of_today["budget"]), of_today["change"]
    breaches = []
    if spent is not None and Decimal(spent) > budget:
        breaches.append(OVER_BUDGET)
    elif forecast is not None and Decimal(forecast) > budget:
        breaches.append(FORECAST_OVER_BUDGET)
    if change and change["rose"]:
        breaches.append(COST_ROSE)
    return breaches


def _last_month(
    costs: Days | None, mails: dict[date, int] | None, days: _Calendar, gaps: list[str]
) -> LastMonth | None:
    if costs and days.asked < days.first:
        gaps.append(f"last month as a whole: Cost Explorer was last asked on {days.asked}")
        return None
    services = _by_service(costs, days.last_month, days.first)
    if not services:
        return None
    sent = None if mails is None else _mails_in(mails, days.last_month, days.first)
    total = sum(services.values(), Decimal(0))
    return {
        "total": str(_round(total)),
        "mails": sent,
        "costPerEmail": str(_round(total / sent, 8)) if sent else None,
        "services": _largest_first(services),
    }


def _told_this_month(answer: Previous | Gap, today: date, gaps: list[str]) -> list[str]:
    """Return the breaches that were alerted this month already."""
    if "Error" in answer:
        gaps.append(f"the last report: {reason(answer)}; an alert may be repeated")
        return []
    previous = answer["report"]
    same_month = str(previous.get("date", ""))[:7] == today.isoformat()[:7]
    told: list[str] = previous.get("breaches", []) if same_month else []
    return told


def _largest_first(services: Mapping[str, Decimal]) -> dict[str, str]:
    ordered = sorted(services.items(), key=lambda item: (-item[1], item[0]))
    return {service: str(_round(amount)) for service, amount in ordered}


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
