"""List prices: what AWS charges for a month of mails, on each SES plan, with and without free tiers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    used = set(list_prices.usage()["perMail"]) | set(list_prices.usage()["monthly"])
    assert used <= set(list_prices.prices()["service"])


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


def test_sixty_thousand_mails_cost_less_than_promised() -> None:
    assert sum(list_prices.month(60_000, free_tiers=True).values()) < Decimal("9.26")
