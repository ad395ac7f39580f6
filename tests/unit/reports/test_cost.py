"""The cost report: totals, forecast, gaps and alerts, for any day and any cost."""

from __future__ import annotations

import calendar
import json
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.local.cost_explorer import sample_costs
from steps.reports import cost, list_prices
from tests.support.reports import SYSTEM

if TYPE_CHECKING:
    from mypy_boto3_ce.type_defs import GroupTypeDef, MetricValueTypeDef, ResultByTimeTypeDef

    from steps.contract.report_tasks import Gap, Previous

BUDGET = Decimal(100)
MISSING: Gap = {
    "Error": "SourceUnavailable",
    "Cause": json.dumps({"errorMessage": "Cost Explorer answered AccessDeniedException"}),
}


def costs(asked: date, daily: Decimal | str = "1", *, since: int = 70) -> cost.Costs:
    """Return the same cost every day for `since` days before `asked`, three quarters of it SES's."""
    usd = Decimal(daily)
    services = {cost.SES: str(usd * 3 / 4), "AWS Lambda": str(usd / 4)}
    return {
        "date": asked.isoformat(),
        "days": {
            (asked - timedelta(days=age)).isoformat(): dict(services) for age in range(1, since + 1)
        },
        "gaps": [],
    }


class InputChanges(TypedDict, total=False):
    """What some of the sources gave instead."""

    costs: cost.Costs | Gap
    mails: cost.MailsSent | Gap
    account: cost.SesPlan | Gap
    previous: Previous | Gap


def inputs(today: date, **changes: Unpack[InputChanges]) -> cost.Inputs:
    """Return what the sources gave: a dollar and a thousand mails a day, today too."""
    mails = {(today - timedelta(days=age)).isoformat(): 1000 for age in range(70)}
    return {
        "costs": costs(today),
        "mails": {"days": mails},
        "account": {"plan": "NONE"},
        "previous": {"report": {}},
        **changes,
    }


def make_report(
    today: date, budget: Decimal = BUDGET, **changes: Unpack[InputChanges]
) -> cost.Report:
    return cost.report(inputs(today, **changes), today=today, budget=budget, dashboard="https://x")


def kept(report: cost.Report) -> Previous:
    """Return a report as it comes back from the table of reports."""
    return {"report": json.loads(json.dumps(report))}


def test_a_day_in_mid_month() -> None:
    report = make_report(date(2026, 11, 24))
    assert report["gaps"] == []
    assert report["mails"] == 24_000
    estimate = Decimal(report["estimate"])
    assert report["estimatedFrom"] == "2026-11-24"
    assert estimate == round(sum(list_prices.overhead(1000).values(), Decimal("0.10")), 4)
    assert report["total"] == str(23 + estimate)
    assert Decimal(report["costPerEmail"] or 0) == pytest.approx(
        (23 + estimate) / 24_000, abs=Decimal("1e-8")
    )
    assert report["services"] == {cost.SES: "17.2500", "AWS Lambda": "5.7500"}
    assert report["forecast"] == "30.0000"
    assert report["budgetUsed"] == str(round((23 + estimate) / BUDGET, 4))
    assert report["previousMonth"] is not None
    assert report["previousMonth"]["total"] == "31.0000"
    assert report["change"] is not None
    assert report["change"]["usd"] == "0.0000"
    assert "alert" not in report


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
def test_months_of_any_length_are_compared_day_by_day(today: date, same_days: int | None) -> None:
    report = make_report(today)
    length = calendar.monthrange(today.year, today.month)[1]
    assert report["forecast"] == f"{length}.0000"
    if same_days is None:
        assert report["change"] is None
        assert any("no complete day" in gap for gap in report["gaps"])
        assert report["services"] == {}
    else:
        assert report["change"] is not None
        assert report["change"]["before"] == f"{same_days}.0000"


@pytest.mark.parametrize("source", ["costs", "mails", "account", "previous"])
def test_a_missing_source_is_named_and_the_rest_is_reported(source: str) -> None:
    missing = cast("InputChanges", {source: MISSING})
    report = make_report(date(2026, 11, 24), **missing)
    assert any("Cost Explorer answered AccessDeniedException" in gap for gap in report["gaps"])
    if source == "costs":
        assert report["total"] is None
        assert Decimal(report["listPrice"] or 0) > 2
    else:
        assert report["total"] is not None


def test_without_costs_and_mails_there_is_still_a_report() -> None:
    report = make_report(
        date(2026, 11, 24),
        costs={"date": "2026-11-24", "days": {}, "gaps": []},
        mails=MISSING,
        account={"plan": None},
        previous=MISSING,
    )
    assert report["total"] is None
    assert report["listPrice"] is None
    assert report["costPerEmail"] is None
    assert len(report["gaps"]) == 4


def test_without_mails_there_is_no_cost_per_mail() -> None:
    report = make_report(date(2026, 11, 24), mails={"days": {}})
    assert report["costPerEmail"] is None
    assert report["gaps"] == ["the cost per mail: no mail was sent this month"]


def test_an_exceeded_budget_is_alerted_once_a_month() -> None:
    today, budget = date(2026, 11, 24), Decimal("0.01")
    first = make_report(today, budget)
    assert first["breaches"] == [cost.OVER_BUDGET]
    message = first["alert"]
    spent = Decimal(first["total"] or 0)
    assert message["subject"] == f"Order mails: USD {spent:.2f} spent, the budget is 0.01"
    assert f"{cost.SES}: USD 17.25" in message["message"]
    assert "https://x" in message["message"]
    again = make_report(today, budget, previous=kept(first))
    assert "alert" not in again
    tomorrow = make_report(today + timedelta(days=1), budget, previous=kept(again))
    assert "alert" not in tomorrow
    next_month = make_report(date(2026, 12, 2), budget, previous=kept(tomorrow))
    assert "alert" in next_month


def test_a_forecast_above_the_budget_is_alerted_before_it_comes_true() -> None:
    report = make_report(date(2026, 11, 10), Decimal(25))
    assert report["breaches"] == [cost.FORECAST_OVER_BUDGET]
    assert "USD 30.00 forecast" in report["alert"]["subject"]
    later = make_report(date(2026, 11, 27), Decimal(25), previous=kept(report))
    assert "spent" in later["alert"]["subject"]
    assert later["breaches"] == [cost.FORECAST_OVER_BUDGET, cost.OVER_BUDGET]


@pytest.mark.parametrize(
    ("before", "now", "rose"), [(1, 2, True), (2, 2.9, False), (0.1, 0.5, False)]
)
def test_a_rise_by_half_is_alerted_and_a_rise_of_pennies_is_not(
    before: float, now: float, *, rose: bool
) -> None:
    today = date(2026, 11, 11)
    both_months = costs(today, str(before))
    risen = costs(today, str(now))["days"].items()
    both_months["days"] |= {day: services for day, services in risen if day >= "2026-11-01"}
    report = make_report(today, Decimal(1000), costs=both_months)
    assert (cost.COST_ROSE in report["breaches"]) is rose
    if rose:
        assert f"most of the change is {cost.SES}, USD 7.50" in report["alert"]["message"]


# --- going on from an earlier answer --------------------------------------------------------------


def list_price_of(days: int) -> Decimal:
    """What the mails of some days cost, a thousand a day."""
    return sum(list_prices.overhead(1000 * days).values(), Decimal(days) / 10)


def test_the_days_after_cost_explorer_s_last_answer_are_at_list_price() -> None:
    today, asked = date(2026, 11, 24), date(2026, 11, 20)
    report = make_report(today, costs=costs(asked))
    assert report["gaps"] == []
    assert report["estimatedFrom"] == "2026-11-20"
    assert report["estimate"] == str(round(list_price_of(5), 4))
    assert report["total"] == str(19 + Decimal(report["estimate"]))
    assert report["services"] == {cost.SES: "14.2500", "AWS Lambda": "4.7500"}
    assert report["forecast"] == str(round(19 + list_price_of(4) + 7, 4))
    assert report["change"] is not None
    assert (report["change"]["usd"], report["change"]["before"]) == ("0.0000", "19.0000")
    alert = make_report(today, Decimal(1), costs=costs(asked))["alert"]["message"]
    assert "(from 2026-11-20 on at list prices)" in alert
    assert "By service, before 2026-11-20:" in alert


def test_an_answer_of_last_month_serves_for_a_day_and_last_month_is_not_known_to_its_end() -> None:
    report = make_report(date(2026, 12, 1), costs=costs(date(2026, 11, 30)))
    assert report["total"] == report["estimate"] == str(round(list_price_of(1), 4))
    assert report["services"] == {}
    assert report["previousMonth"] is None
    assert report["gaps"] == [
        "the change on last month: no complete day of this month is known yet",
        "last month as a whole: Cost Explorer was last asked on 2026-11-30",
    ]


def is_due(
    last: cost.Costs, today: date, budget: Decimal = BUDGET, **changes: Unpack[InputChanges]
) -> bool:
    return cost.is_due(last, inputs(today, **changes), today=today, budget=budget)


def test_five_answers_serve_for_a_month_in_which_all_is_well() -> None:
    last, asked = costs(date(2026, 10, 30)), []
    for n in range(31 + 31):
        today = date(2026, 10, 31) + timedelta(days=n)
        if is_due(last, today):
            last = costs(today)
            asked.append((today.month, today.day))
    assert asked == [(m, d) for m in (11, 12) for d in (2, 9, 16, 23, 30)][: len(asked)]
    assert len(asked) == 10


def test_cost_explorer_is_asked_every_day_and_never_twice_while_half_of_the_budget_is_spent() -> (
    None
):
    today = date(2026, 11, 24)
    yesterday = costs(today - timedelta(days=1))
    assert not is_due(yesterday, today)
    assert is_due(yesterday, today, Decimal(44))
    assert not is_due(costs(today), today, Decimal(44))


def test_cost_explorer_is_asked_before_an_alert() -> None:
    today = date(2026, 11, 11)
    risen = costs(today - timedelta(days=1), "2.9")
    for day in risen["days"]:
        risen["days"][day] |= {} if day >= "2026-11-01" else {cost.SES: "0.5"}
    assert is_due(risen, today, Decimal(1000))
    told = kept(make_report(today, Decimal(1000), costs=risen))
    assert not is_due(risen, today, Decimal(1000), previous=told)


def test_cost_explorer_is_asked_every_day_until_it_knows_the_tag() -> None:
    today = date(2026, 11, 24)
    answer = costs(today - timedelta(days=1))
    for services in answer["days"].values():
        del services["AWS Lambda"]
    assert is_due(answer, today)
    assert is_due({**answer, "days": {}}, today)


def test_without_our_own_counters_half_of_the_budget_is_judged_by_cost_explorer_alone() -> None:
    today = date(2026, 11, 24)
    yesterday = costs(today - timedelta(days=1))
    assert is_due(yesterday, today, Decimal(30), mails=MISSING)
    assert not is_due(yesterday, today, mails=MISSING)


def cost_explorer_group(service: str, tag: str, amount: str, unit: str = "USD") -> GroupTypeDef:
    metrics: dict[str, MetricValueTypeDef] = {"UnblendedCost": {"Amount": amount, "Unit": unit}}
    return {"Keys": [service, tag], "Metrics": metrics}


def test_costs_with_our_tag_are_ours_and_all_of_ses_is() -> None:
    groups = [
        cost_explorer_group("AWS Lambda", "app$order-mail-dev", "0.20"),
        cost_explorer_group("AWS Lambda", "app$", "9"),
        cost_explorer_group("AWS Lambda", "app$order-mail-prod", "8"),
        cost_explorer_group(cost.SES, "app$", "1.5"),
        cost_explorer_group("Tax", "app$order-mail-dev", "1", "EUR"),
    ]
    results: list[ResultByTimeTypeDef] = [
        {"TimePeriod": {"Start": "2026-11-01", "End": "2026-11-02"}, "Groups": groups}
    ]
    read = cost.from_cost_explorer(results, SYSTEM, date(2026, 11, 2))
    assert read["date"] == "2026-11-02"
    assert read["days"] == {"2026-11-01": {"AWS Lambda": "0.20", cost.SES: "1.5"}}
    assert [gap.split(":")[0] for gap in read["gaps"]] == [
        "costs in EUR",
        "SES is counted for the whole account",
    ]
    groups.append(cost_explorer_group(cost.SES, "app$order-mail-dev", "1.0"))
    with_ses_tagged = cost.from_cost_explorer(results, SYSTEM, date(2026, 11, 2))
    assert with_ses_tagged["days"]["2026-11-01"][cost.SES] == "1.0"
    untagged = cost.from_cost_explorer(results, "order-mail-test", date(2026, 11, 2))
    assert "activate" in untagged["gaps"][1]


def test_the_laptop_s_sample_costs_are_read_like_cost_explorer_s() -> None:
    today = date(2026, 11, 24)
    samples = sample_costs(today, SYSTEM)
    days = cost.from_cost_explorer(samples["ResultsByTime"], SYSTEM, today)["days"]
    assert min(days) == "2026-10-01"
    assert max(days) == "2026-11-23"


DAYS = st.dates(date(2024, 1, 1), date(2032, 12, 31))
AMOUNTS = st.decimals(-1000, 100_000, places=6)  # refunds and credits are negative


@given(today=DAYS, daily=AMOUNTS, mails=st.integers(0, 10**9), since=st.integers(1, 70))
def test_the_arithmetic_holds_for_any_cost_and_day(
    today: date, daily: Decimal, mails: int, since: int
) -> None:
    report = make_report(
        today,
        costs=costs(today, daily, since=since),
        mails={"days": {today.isoformat(): mails}},
    )
    services = sum(Decimal(amount) for amount in report["services"].values())
    complete = min(since, today.day - 1)
    assert abs(services - daily * complete) < Decimal("0.001")
    total = Decimal(report["total"] or "NaN")
    assert abs(total - services - Decimal(report["estimate"])) < Decimal("0.001")
    assert (report["costPerEmail"] is None) == (mails == 0)
    if mails:
        assert abs(Decimal(report["costPerEmail"] or 0) * mails - total) < Decimal(
            "0.0001"
        ) + mails * Decimal("1e-8")
    assert report == json.loads(json.dumps(report)), "no Decimal and no float may be in it"


@given(today=DAYS, daily=st.decimals(1, 1000, places=2))
def test_the_forecast_of_steady_costs_is_a_day_s_cost_times_the_month_s_days(
    today: date, daily: Decimal
) -> None:
    report = make_report(today, costs=costs(today, daily))
    length = calendar.monthrange(today.year, today.month)[1]
    assert Decimal(report["forecast"] or 0) == round(daily * length, 4)


@given(today=DAYS, sent=st.integers(0, 10**8))
def test_no_forecast_is_less_than_what_is_spent_already(today: date, sent: int) -> None:
    mails = inputs(today)["mails"]
    assert "days" in mails
    mails["days"][today.isoformat()] = sent
    report = make_report(today, costs=costs(today, Decimal("0.01")), mails=mails)
    assert Decimal(report["forecast"] or 0) >= Decimal(report["total"] or 0)


@given(budget=st.decimals("0.01", 10_000, places=2), daily=AMOUNTS, today=DAYS)
def test_a_breach_is_alerted_exactly_when_it_is_new(
    budget: Decimal, daily: Decimal, today: date
) -> None:
    assume(today.day > 1)
    report = make_report(today, budget, costs=costs(today, daily))
    assert ("alert" in report) == bool(report["breaches"])
    assert "alert" not in make_report(
        today, budget, costs=costs(today, daily), previous=kept(report)
    )
