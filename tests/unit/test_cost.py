from __future__ import annotations

import calendar
import json
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.local.cost_explorer import sample_costs
from steps.reports import cost, list_prices

if TYPE_CHECKING:
    from steps.contract.report_tasks import Gap

BUDGET = Decimal(100)
MISSING: Gap = {
    "Error": "SourceUnavailable",
    "Cause": json.dumps({"errorMessage": "Cost Explorer answered AccessDeniedException"}),
}


def costs(today: date, daily: Decimal | str = "1", *, since: int = 70) -> cost.Costs:
    """The same cost every day for `since` days up to yesterday, three quarters of it SES's."""
    each = Decimal(daily)
    return {
        "days": {
            (today - timedelta(days=n)).isoformat(): {
                cost.SES: str(each * 3 / 4),
                "AWS Lambda": str(each / 4),
            }
            for n in range(1, since + 1)
        },
        "gaps": [],
    }


def inputs(today: date, **other: Any) -> cost.Inputs:
    """What the sources gave: a dollar and a thousand mails a day, today too."""
    days = {(today - timedelta(days=n)).isoformat(): 1000 for n in range(70)}
    whole: dict[str, Any] = {
        "costs": costs(today),
        "mails": {"days": days},
        "account": {"plan": "NONE"},
        "previous": {"report": {}},
    }
    return whole | other  # type: ignore[return-value]


def report(today: date, budget: Decimal = BUDGET, **other: Any) -> cost.Report:
    return cost.report(inputs(today, **other), today=today, budget=budget, dashboard="https://x")


def test_a_day_in_mid_month() -> None:
    made = report(date(2026, 11, 24))
    assert made["gaps"] == []
    assert made["mails"] == 24_000
    estimate = Decimal(made["estimateOfToday"])
    assert estimate == round(sum(list_prices.overhead(1000).values(), Decimal("0.10")), 4)
    assert made["total"] == str(23 + estimate)
    assert Decimal(made["costPerEmail"] or 0) == pytest.approx(
        (23 + estimate) / 24_000, abs=Decimal("1e-8")
    )
    assert made["services"] == {cost.SES: "17.2500", "AWS Lambda": "5.7500"}
    assert made["forecast"] == "30.0000"
    assert made["budgetUsed"] == str(round((23 + estimate) / BUDGET, 4))
    assert made["previousMonth"]["total"] == "31.0000"  # type: ignore[index]
    assert made["change"]["usd"] == "0.0000"  # type: ignore[index]
    assert "alert" not in made


@pytest.mark.parametrize(
    ("today", "same_days"),
    [
        (date(2026, 3, 31), 28),  # 30 complete days against a February of 28
        (date(2028, 3, 31), 29),
        (date(2028, 2, 29), 28),
        (date(2028, 3, 1), None),
        (date(2027, 1, 1), None),
        (date(2027, 1, 2), 1),
    ],
)
def test_month_lengths(today: date, same_days: int | None) -> None:
    made = report(today)
    length = calendar.monthrange(today.year, today.month)[1]
    assert made["forecast"] == f"{length}.0000"
    if same_days is None:
        assert made["change"] is None
        assert any("no complete day" in gap for gap in made["gaps"])
        assert made["services"] == {}
    else:
        assert made["change"]["before"] == f"{same_days}.0000"  # type: ignore[index]


@pytest.mark.parametrize("source", ["costs", "mails", "account", "previous"])
def test_a_source_that_is_missing_is_named_and_the_rest_stands(source: str) -> None:
    missing: dict[str, Any] = {source: MISSING}
    made = report(date(2026, 11, 24), **missing)
    assert any("Cost Explorer answered AccessDeniedException" in gap for gap in made["gaps"])
    if source == "costs":
        assert made["total"] is None
        assert Decimal(made["listPrice"] or 0) > 2
    else:
        assert made["total"] is not None


def test_without_costs_and_mails_there_is_still_a_report() -> None:
    made = report(
        date(2026, 11, 24),
        costs={"days": {}, "gaps": []},
        mails=MISSING,
        account={"plan": None},
        previous=MISSING,
    )
    assert made["total"] is None
    assert made["listPrice"] is None
    assert made["costPerEmail"] is None
    assert len(made["gaps"]) == 4


def test_no_mails() -> None:
    made = report(date(2026, 11, 24), mails={"days": {}})
    assert made["costPerEmail"] is None
    assert made["gaps"] == ["the cost per mail: no mail was sent this month"]


def test_a_budget_that_is_exceeded_is_told_once_a_month() -> None:
    today, budget = date(2026, 11, 24), Decimal("0.01")
    first = report(today, budget)
    assert first["breaches"] == [cost.OVER_BUDGET]
    message = first["alert"]
    spent = Decimal(first["total"] or 0)
    assert message["subject"] == f"Order mails: USD {spent:.2f} spent, the budget is 0.01"
    assert f"{cost.SES}: USD 17.25" in message["message"]
    assert "https://x" in message["message"]
    again = report(today, budget, previous={"report": first})
    assert "alert" not in again
    tomorrow = report(today + timedelta(days=1), budget, previous={"report": again})
    assert "alert" not in tomorrow
    next_month = report(date(2026, 12, 2), budget, previous={"report": tomorrow})
    assert "alert" in next_month


def test_a_forecast_above_budget_is_told_before_it_happens() -> None:
    made = report(date(2026, 11, 10), Decimal(25))
    assert made["breaches"] == [cost.FORECAST_OVER_BUDGET]
    assert "USD 30.00 forecast" in made["alert"]["subject"]
    later = report(date(2026, 11, 27), Decimal(25), previous={"report": made})
    assert "spent" in later["alert"]["subject"]
    assert later["breaches"] == [cost.FORECAST_OVER_BUDGET, cost.OVER_BUDGET]


@pytest.mark.parametrize(
    ("before", "now", "rose"), [(1, 2, True), (2, 2.9, False), (0.1, 0.5, False)]
)
def test_a_rise_by_half_alarms_and_pennies_do_not(before: float, now: float, *, rose: bool) -> None:
    today = date(2026, 11, 11)
    two = costs(today, str(before))
    risen = costs(today, str(now))["days"].items()
    two["days"] |= {day: services for day, services in risen if day >= "2026-11-01"}
    made = report(today, Decimal(1000), costs=two)
    assert (cost.COST_ROSE in made["breaches"]) is rose
    if rose:
        assert f"most of the change is {cost.SES}, USD 7.50" in made["alert"]["message"]


def test_only_what_carries_our_tag_is_ours_and_ses_is_counted_whole() -> None:
    def group(service: str, tag: str, amount: str, unit: str = "USD") -> dict[str, Any]:
        metrics = {"UnblendedCost": {"Amount": amount, "Unit": unit}}
        return {"Keys": [service, tag], "Metrics": metrics}

    groups = [
        group("AWS Lambda", "app$order-mail-dev", "0.20"),
        group("AWS Lambda", "app$", "9"),
        group("AWS Lambda", "app$order-mail-prod", "8"),
        group(cost.SES, "app$", "1.5"),
        group("Tax", "app$order-mail-dev", "1", "EUR"),
    ]
    results: list[Any] = [
        {"TimePeriod": {"Start": "2026-11-01", "End": "2026-11-02"}, "Groups": groups}
    ]
    made = cost.from_cost_explorer(results, "order-mail-dev")
    assert made["days"] == {"2026-11-01": {"AWS Lambda": "0.20", cost.SES: "1.5"}}
    assert [gap.split(":")[0] for gap in made["gaps"]] == [
        "costs in EUR",
        "SES is counted for the whole account",
    ]
    groups.append(group(cost.SES, "app$order-mail-dev", "1.0"))
    assert (
        cost.from_cost_explorer(results, "order-mail-dev")["days"]["2026-11-01"][cost.SES] == "1.0"
    )
    untagged = cost.from_cost_explorer(results, "order-mail-test")
    assert "activate" in untagged["gaps"][1]


def test_the_laptop_s_sample_costs_are_read_like_cost_explorer_s() -> None:
    today = date(2026, 11, 24)
    made = cost.from_cost_explorer(
        sample_costs(today, "order-mail-dev")["ResultsByTime"], "order-mail-dev"
    )
    assert min(made["days"]) == "2026-10-01"
    assert max(made["days"]) == "2026-11-23"


def test_plans_and_prices() -> None:
    assert list_prices.ses_price(60_000, "NONE") == 6
    assert list_prices.ses_price(60_000, "ESSENTIALS") == Decimal("9.6")
    assert list_prices.ses_price(0, "PRO") == 105
    assert list_prices.list_price({"expressGbHours": Decimal(6000)}) == {
        "Step Functions": 1000 * Decimal("0.06") + 4000 * Decimal("0.03") + 1000 * Decimal("0.01642")
    }  # fmt: skip
    assert set(list_prices.usage()["perMail"]) | set(list_prices.usage()["monthly"]) <= set(
        list_prices.prices()["service"]
    )


days = st.dates(date(2024, 1, 1), date(2032, 12, 31))
amounts = st.decimals(-1000, 100_000, places=6)  # refunds and credits are negative


@given(today=days, daily=amounts, mails=st.integers(0, 10**9), since=st.integers(1, 70))
def test_the_arithmetic_holds_for_any_cost_and_day(
    today: date, daily: Decimal, mails: int, since: int
) -> None:
    made = report(
        today,
        costs=costs(today, daily, since=since),
        mails={"days": {today.isoformat(): mails}},
    )
    services = sum(Decimal(a) for a in made["services"].values())
    complete = min(since, today.day - 1)
    assert abs(services - daily * complete) < Decimal("0.001")
    total = Decimal(made["total"] or "NaN")
    assert abs(total - services - Decimal(made["estimateOfToday"])) < Decimal("0.001")
    assert (made["costPerEmail"] is None) == (mails == 0)
    if mails:
        assert abs(Decimal(made["costPerEmail"] or 0) * mails - total) < Decimal(
            "0.0001"
        ) + mails * Decimal("1e-8")
    assert made == json.loads(json.dumps(made)), "no Decimal and no float may be in it"


@given(today=days, daily=st.decimals("0.01", 1000, places=2))
def test_a_steady_month_s_forecast_is_its_days(today: date, daily: Decimal) -> None:
    made = report(today, costs=costs(today, daily))
    length = calendar.monthrange(today.year, today.month)[1]
    assert Decimal(made["forecast"] or 0) == round(daily * length, 4)


@given(
    mails=st.integers(0, 10**9), more=st.integers(1, 10**9), plan=st.sampled_from(["NONE", "PRO"])
)
def test_more_mails_cost_more(mails: int, more: int, plan: str) -> None:
    before, after = list_prices.month(mails, plan), list_prices.month(mails + more, plan)
    assert all(after[service] >= amount for service, amount in before.items())
    assert after["SES"] > before["SES"]


@given(budget=st.decimals("0.01", 10_000, places=2), daily=amounts, today=days)
def test_a_breach_is_alerted_exactly_when_it_is_new(
    budget: Decimal, daily: Decimal, today: date
) -> None:
    assume(today.day > 1)
    made = report(today, budget, costs=costs(today, daily))
    assert ("alert" in made) == bool(made["breaches"])
    assert "alert" not in report(
        today, budget, costs=costs(today, daily), previous={"report": made}
    )


def test_free_tiers_take_off_and_never_give() -> None:
    assert set(list_prices.prices()["alwaysFree"]) <= set(list_prices.prices()["service"])
    for mails in (0, 60_000, 30_000_000):
        full, free = list_prices.month(mails), list_prices.month(mails, free_tiers=True)
        assert all(0 <= free[service] <= full[service] for service in full)
        assert free["SES"] == full["SES"]


def test_sixty_thousand_mails_cost_less_than_promised() -> None:
    assert sum(list_prices.month(60_000, free_tiers=True).values()) < Decimal("9.26")
