"""Events that strain a mail: valid, as extreme as they say, and each one a mail that can be sent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from infra.local import stress
from infra.local.events import Event, EventError, validated
from steps import kinds, render
from steps.contract import limits
from steps.mail import localise
from tests.support.sample_mails import BRAND, NOTIFICATION_ID

DERIVED = [(kind, case) for kind in kinds.names() for case in stress.cases(kinds.sample(kind))]


def subtotal(event: Event) -> Decimal:
    return sum(
        (Decimal(i["price"]) * Decimal(str(i["quantity"])) for i in event["orderItems"]), Decimal()
    )


@pytest.mark.parametrize(("kind", "case"), DERIVED)
def test_each_is_a_mail_that_can_be_sent(kind: str, case: str) -> None:
    event = stress.cases(kinds.sample(kind))[case]
    for language in localise.languages():
        order = validated(event | {"locale": language}, case)
        email = render.render(order, BRAND, NOTIFICATION_ID)
        assert max(len(email[p].encode()) for p in ("html", "text")) <= limits.MAIL_PART_MAX_BYTES


def test_the_cases_are_there_for_every_kind() -> None:
    for kind in kinds.names():
        assert {"minimal", "long", "tax-included"} <= {case for k, case in DERIVED if k == kind}


@pytest.mark.parametrize("kind", kinds.names())
def test_a_minimal_event_has_nothing_that_could_be_left_out(kind: str) -> None:
    event = stress.minimal(kinds.sample(kind))
    for name in event.keys() - {"eventType"}:
        with pytest.raises(EventError, match=f"{name}: is required"):
            validated({n: value for n, value in event.items() if n != name}, "minimal")
    assert event["orderItems"][0].keys() == {"name", "quantity", "price"}


@pytest.mark.parametrize("kind", kinds.names())
def test_a_long_event_is_long_in_every_place(kind: str) -> None:
    sample = kinds.sample(kind)
    event = stress.long(sample)
    assert len(event["orderId"]) == 128
    assert len(event["orderItems"]) == 60
    assert len(event["customerName"]) > 200
    address = event.get("shippingAddress") or event["pickupPoint"]["address"]
    assert len(address["line1"]) > 200
    assert {len(item["name"]) > 200 for item in event["orderItems"]} == {True}
    assert Decimal(event["orderTotal"]) - Decimal(sample["orderTotal"]) == subtotal(
        event
    ) - subtotal(sample)
    if (identity := kinds.kind(kind).identity) in sample:
        assert identity is not None
        assert len(event[identity]) == 128
    assert (event["eventType"], event["locale"]) == (sample["eventType"], sample["locale"])


@pytest.mark.parametrize(
    ("more", "total"),
    [
        ({"tax": "10.00"}, "90.00"),
        ({"taxes": [{"amount": "4.00"}, {"amount": "5.00"}], "tax": "9.00"}, "91.00"),
        ({"taxes": [{"amount": "4.00"}], "taxIncluded": True}, "100.00"),
        ({}, "100.00"),
    ],
)
def test_an_event_that_includes_its_taxes_has_none_on_top(more: Event, total: str) -> None:
    event = stress.tax_included({"orderTotal": "100.00"} | more)
    assert event["orderTotal"] == total
    assert event["taxIncluded"] is True
    assert "tax" not in event
    rates = {tax["rate"]: Decimal(tax["amount"]) for tax in event["taxes"]}
    net = Decimal(total) * Decimal("0.8") / Decimal("1.19")
    assert rates["19"] == (Decimal(total) * Decimal("0.8") - net).quantize(Decimal("0.01"))
    assert set(rates) == {"19", "7"}


def test_an_event_without_images_has_none_and_all_else() -> None:
    sample = stress.without_images(kinds.sample("order.shipped"))
    pictured = {
        name: [piece | {"imageUrl": "https://shop.example/i.png"} for piece in value]
        if name.endswith("Items")
        else value
        for name, value in sample.items()
    }
    assert stress.cases(pictured)["no-images"] == sample
    assert "no-images" not in stress.cases(sample)
