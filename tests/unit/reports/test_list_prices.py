"""List prices: what AWS charges for a month of mails, on each SES plan, with and without free tiers."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steps.contract import limits
from steps.reports import list_prices


@pytest.mark.parametrize(
    ("mails", "plan", "usd"),
    [(60_000, "NONE", "6"), (60_000, "ESSENTIALS", "9.6"), (0, "PRO", "105")],
)
def test_each_ses_plan_has_a_price_of_its_own(mails: int, plan: str, usd: str) -> None:
    assert list_prices.ses_price(mails, plan) == Decimal(usd)


def test_express_executions_are_priced_in_tiers() -> None:
    assert list_prices.list_price({"expressGbHours": Decimal(6000)}) == {
        "Step Functions": 1000 * Decimal("0.06") + 4000 * Decimal("0.03") + 1000 * Decimal("0.01642")
    }  # fmt: skip


def test_everything_that_is_used_has_a_price() -> None:
    usage = list_prices.usage()
    used = [usage["perMail"], usage["monthly"], usage["perCanary"]]
    used += [*usage["outcomesPerMail"].values(), *usage["reconciliation"].values()]
    assert set().union(*used) <= set(list_prices.prices()["service"])


@given(
    mails=st.integers(0, 10**9), more=st.integers(1, 10**9), plan=st.sampled_from(["NONE", "PRO"])
)
def test_more_mails_cost_more(mails: int, more: int, plan: str) -> None:
    before, after = list_prices.month(mails, plan), list_prices.month(mails + more, plan)
    assert all(after[service] >= amount for service, amount in before.items())
    assert after["SES"] > before["SES"]


def test_free_tiers_lower_a_price_and_never_below_zero() -> None:
    assert set(list_prices.prices()["alwaysFree"]) <= set(list_prices.prices()["service"])
    for mails in (0, 60_000, 30_000_000):
        full, free = list_prices.month(mails), list_prices.month(mails, free_tiers=True)
        assert all(0 <= free[service] <= full[service] for service in full)
        assert free["SES"] == full["SES"]


def total(costs: dict[str, Decimal]) -> Decimal:
    return sum(costs.values(), Decimal(0))


def test_sixty_thousand_mails_cost_less_than_promised() -> None:
    assert total(list_prices.month(60_000, free_tiers=True)) < Decimal("9.26")


@given(mails=st.integers(1, 10**9))
@example(60_000)
@example(30_000_000)
@example(300_000_000)
def test_outcomes_cost_less_than_a_fiftieth_of_what_ses_takes(mails: int) -> None:
    assert total(list_prices.outcomes(mails)) < list_prices.ses_price(mails, "NONE") / 50


@given(mails=st.integers(0, 10**9))
def test_a_month_without_outcome_events_costs_that_much_less(mails: int) -> None:
    without = list_prices.month(mails, outcome_events=False)
    told = total(list_prices.month(mails)) - total(without)
    assert told == total(list_prices.outcomes(mails))


@pytest.mark.parametrize("mails", [0, 60_000, 30_000_000])
def test_a_month_without_canaries_costs_that_much_less(mails: int) -> None:
    without = list_prices.month(mails, canary_runs=0)
    saved = total(list_prices.month(mails)) - total(without)
    assert saved == total(list_prices.canaries())


def test_a_canary_is_a_mail_and_a_run_of_its_function() -> None:
    an_hour = list_prices.canaries()
    assert an_hour["SES"] == Decimal("0.073")
    assert Decimal("0.073") < total(an_hour) < Decimal("0.15")
    assert total(list_prices.canaries(12 * list_prices.CANARIES_A_MONTH)) == 12 * total(an_hour)
    assert total(list_prices.canaries(0)) == 0


def test_outcomes_of_few_mails_are_told_one_by_one() -> None:
    """One invocation and one publish for each: none is gathered with another, as long as one a second comes."""
    alone = list_prices.usage()["outcomesPerMail"]["alone"]
    assert (alone["lambdaRequests"], alone["snsPublishes"]) == ("2", "2")
    one, few = list_prices.outcomes(1), list_prices.outcomes(list_prices.TOLD_ALONE)
    assert few == {service: cost * list_prices.TOLD_ALONE for service, cost in one.items()}
    many = list_prices.outcomes(list_prices.TOLD_ALONE + 1)
    assert 0 < total(many) - total(few) < total(one)


def test_what_mails_use_includes_their_outcomes() -> None:
    """The daily report estimates by it: never less than a whole month is priced at."""
    for mails in (1, 60_000, 30_000_000):
        month = total(list_prices.month(mails)) - total(list_prices.month(0))
        assert total(list_prices.overhead(mails)) + list_prices.ses_price(mails, "NONE") >= month


ENTRY = 0.25
"""KB of a record in OrderIdIndex, at most: `tests/unit/test_record_size.py`."""


def test_a_mail_is_read_every_night_of_its_record_s_life() -> None:
    used = {n: float(a) for n, a in list_prices.usage()["reconciliation"]["perMail"].items()}
    read = limits.RECORD_TTL / limits.DAY * ENTRY
    seconds = read / 1024 / 10
    assert used["readUnits"] == pytest.approx(read / 4 / 2, rel=0.01)
    assert used["lambdaGbSeconds"] == pytest.approx(seconds / 4, rel=0.01)
    assert used["lambdaRequests"] == pytest.approx(seconds / limits.SCAN_BUDGET, rel=0.01)
    assert used["standardTransitions"] == pytest.approx(2 * used["lambdaRequests"], rel=0.01)


@pytest.mark.parametrize("mails", [60_000, 30_000_000, 300_000_000])
def test_a_reconciliation_costs_less_than_an_index_of_what_is_unsettled(mails: int) -> None:
    """A mail would be written into one and out of it again. And less than a hundredth of what SES takes."""
    reading = total(list_prices.reconciliation(mails)) - total(list_prices.reconciliation(0))
    index = total(list_prices.list_price({"writeUnits": Decimal(2 * mails)}))
    assert reading < index / 3
    assert total(list_prices.reconciliation(mails)) < list_prices.ses_price(mails, "NONE") / 100


@given(mails=st.integers(0, 10**9))
def test_a_month_without_the_reconciliation_costs_that_much_less(mails: int) -> None:
    without = list_prices.month(mails, reconciled=False)
    nightly = total(list_prices.month(mails)) - total(without)
    assert nightly == total(list_prices.reconciliation(mails))
