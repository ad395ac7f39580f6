"""The amounts of an order, each as the event says it: what leads to the total, what is in it, who pays it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.sample_mails import ITEM, email

ALONE: dict[str, Any] = dict.fromkeys(("shipping", "tax", "discount"))


def rows(**fields: Any) -> list[str]:
    """Return the text part's lines from the items' end to the next section."""
    text = email(
        "order.confirmed", **ALONE | {"orderItems": [ITEM], "orderTotal": "18.50"} | fields
    )
    found = re.search(r"\n\n((?:.+\n)*Total: (?:.+\n)*)", text["text"])
    assert found
    return found[1].splitlines()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, ["Total: $18.50"], id="the total alone"),
        pytest.param(
            {"taxIncluded": True, "tax": "2.95"},
            ["Total: $18.50", "Includes $2.95 in taxes"],
            id="prices with tax: nothing stands above the total",
        ),
        pytest.param(
            {"taxIncluded": True, "taxes": [{"label": "VAT", "rate": "19.0", "amount": "2.95"}]},
            ["Total: $18.50", "Includes $2.95 VAT (19%)"],
            id="with its label and rate",
        ),
        pytest.param(
            {"taxes": [{"rate": "6.125", "amount": "1.13"}, {"label": "City", "amount": "0.10"}]},
            ["Subtotal: $18.50", "Tax (6.125%): $1.13", "City: $0.10", "Total: $18.50"],
            id="taxes are told one by one",
        ),
        pytest.param(
            {"tax": "9.99", "taxes": [{"amount": "1.13"}]},
            ["Subtotal: $18.50", "Tax: $1.13", "Total: $18.50"],
            id="taxes stand in the place of tax",
        ),
        pytest.param(
            {"discount": "9", "discounts": [{"code": "HI"}, {"label": "Sale", "code": "X"}]},
            ["Subtotal: $18.50", "Discount (HI): -$1.00", "Sale (X): -$1.00", "Total: $18.50"],
            id="discounts with their codes",
        ),
        pytest.param(
            {"fees": [{"label": "Gift wrapping", "amount": "4.95"}]},
            ["Subtotal: $18.50", "Gift wrapping: $4.95", "Total: $18.50"],
            id="a fee",
        ),
        pytest.param(
            {"shipping": "0.00"},
            ["Subtotal: $18.50", "Shipping: Free", "Total: $18.50"],
            id="nothing to pay is free",
        ),
        pytest.param(
            {"giftCards": [{"code": "7Q4M", "amount": "-10"}, {"amount": "5"}]},
            ["Total: $18.50", "Paid by gift card 7Q4M: $10.00", "Paid by gift card: $5.00"],
            id="a gift card pays, and lowers no total",
        ),
        pytest.param(
            {"taxes": [], "fees": [], "discounts": []}, ["Total: $18.50"], id="empty lists"
        ),
    ],
)
def test_the_sums_are_the_event_s(fields: dict[str, Any], expected: list[str]) -> None:
    for discount in fields.get("discounts", []):
        discount.setdefault("amount", "1.00")
    assert rows(**fields) == expected


@pytest.mark.parametrize(
    ("payment", "shown"),
    [
        ({}, "Payment: Visa"),
        ({"state": "paid"}, "Payment: Visa · Paid"),
        ({"state": "pending"}, "Payment: Visa · Payment pending"),
        ({"state": "due"}, "Payment: Visa · Payment due"),
        ({"state": "due", "due": "2026-10-15"}, "Payment: Visa · Please pay by October 15, 2026"),
    ],
)
def test_the_mail_says_how_far_the_payment_is(payment: dict[str, str], shown: str) -> None:
    mail = email("order.confirmed", payment={"method": "Visa"} | payment)
    assert shown in mail["text"].splitlines()
