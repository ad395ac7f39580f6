"""List prices: what AWS charges for usage, and for mails on each SES plan."""

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


@pytest.mark.parametrize(
    ("unit", "amount", "usd"),
    [
        ("writeUnits", 1_000_000, "0.625"),
        ("kmsRequests", 20_000, "0.06"),
        ("cloudWatchRequests", 5_000, "0.05"),
        ("logGbMonths", 10, "0.30"),
        ("lambdaGbSeconds", 1_000_000, "13.3334"),
    ],
)
def test_a_unit_has_a_price_for_so_many(unit: str, amount: int, usd: str) -> None:
    assert list_prices.unit_price(unit, Decimal(amount)) == Decimal(usd)


def test_usage_is_priced_by_service() -> None:
    used = {"writeUnits": Decimal(10**6), "readUnits": Decimal(10**6), "metrics": Decimal(10)}
    assert list_prices.list_price(used) == {"DynamoDB": Decimal("0.75"), "CloudWatch": Decimal(3)}


def test_each_unit_of_a_mail_has_a_price() -> None:
    assert set(list_prices.usage()["perMail"]) <= set(list_prices.prices()["units"])


@given(mails=st.integers(0, 10**9))
def test_what_mails_cost_beside_ses_grows_with_them(mails: int) -> None:
    one, more = list_prices.overhead(1), list_prices.overhead(mails)
    for service, cost in one.items():
        assert more[service] <= cost * mails
        assert more[service] > 0 or not mails
