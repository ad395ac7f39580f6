"""What a mail shows of an order: its header fields, its sums, names of any length."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from steps import kinds
from steps.mail import localise
from steps.mail.brand import Brand
from tests.support.sample_mails import ITEM, NOTIFICATION_ID, email
from tests.support.shown_mail import in_one_line


def test_mails_of_one_order_are_one_thread_and_are_automatic_not_bulk() -> None:
    headers = email("order.confirmed")["headers"]
    assert headers["Auto-Submitted"] == "auto-generated"
    assert "X-Entity-Ref-ID" not in headers, "Gmail would take each mail out of its order's thread"
    assert not any(name.startswith("List-") for name in headers), "order mails are transactional"
    threads = {email(kind)["headers"]["References"] for kind in kinds.samples()}
    assert len(threads) == 1
    assert email("order.confirmed", orderId="other")["headers"]["References"] not in threads


def test_unsubscribing_takes_one_click_where_a_shop_asks_for_it() -> None:
    brand = Brand(
        name="Shop",
        support_email="a@b.example",
        unsubscribe_url="https://b.example/u/{notificationId}",
    )
    mail = email("order.confirmed", brand=brand)
    assert mail["headers"]["List-Unsubscribe"] == f"<https://b.example/u/{NOTIFICATION_ID}>"
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"https://b.example/u/{NOTIFICATION_ID}" in mail["html"]
    assert f"https://b.example/u/{NOTIFICATION_ID}" in mail["text"]


def test_the_subtotal_is_the_sum_of_all_items_listed_or_not() -> None:
    items = [ITEM | {"name": str(number)} for number in range(200)]
    subtotal = localise.language("en-US").money(Decimal("18.50") * 200, "USD")
    assert subtotal in email("order.confirmed", orderItems=items)["html"]


def test_a_long_name_ends_in_an_ellipsis() -> None:
    mail = email(
        "order.confirmed", customerName="x" * 2_000, orderItems=[ITEM | {"name": "y" * 2_000}]
    )
    assert "x" * 59 + "…" in mail["html"]
    assert "x" * 60 not in mail["html"]
    assert "y" * 199 + "…" in mail["text"]


def test_the_total_is_the_event_s_and_a_discount_lowers_it_whatever_its_sign() -> None:
    total_alone = email(
        "order.confirmed", orderTotal="1.00", shipping=None, tax=None, discount=None
    )
    assert "Subtotal" not in total_alone["html"]
    assert "$1.00" in total_alone["html"]
    positive, negative = (
        email("order.confirmed", discount=discount) for discount in ("24.60", "-24.60")
    )
    assert "-$24.60" in positive["html"]
    assert positive["html"] == negative["html"]


@pytest.mark.parametrize(
    ("quantities", "count"),
    [(["1"], 1), (["4", "2"], 6), (["2.5"], 1), (["2.50", "3.0"], 4), (["1000000"], 1_000_000)],
)
def test_a_count_is_of_pieces_and_what_is_measured_is_one(
    quantities: list[str], count: int
) -> None:
    items = [ITEM | {"quantity": quantity} for quantity in quantities]
    mail = email("order.confirmed", orderItems=items, orderTotal="5")
    word = "item" if count == 1 else "items"
    assert f">{count} {word}, $5.00 in total" in mail["html"]


def test_what_is_not_listed_is_counted_in_pieces() -> None:
    items = [ITEM | {"name": str(n), "quantity": 2} for n in range(70)]
    assert "and 20 more items" in email("order.confirmed", orderItems=items)["text"]


def test_an_order_id_of_any_length_leaves_the_subject_its_words() -> None:
    mail = email("order.confirmed", orderId="X" * 128)
    assert mail["subject"] == f"Your order {'X' * 39}… is confirmed"
    assert "X" * 128 in mail["html"]
    assert "X" * 128 in mail["text"]
    assert email("order.confirmed", orderId="Y" * 40)["subject"].count("Y" * 40) == 1


def test_a_reduced_price_stands_beside_the_regular_one() -> None:
    def shown(price: str, regular: str) -> bool:
        item = ITEM | {"price": price, "compareAtPrice": regular}
        mails = email("order.confirmed", orderItems=[item])
        assert ("instead of" in mails["text"]) == ("<s " in mails["html"])
        return "instead of $20.00" in mails["text"]

    assert shown("18.50", "20.00")
    assert not shown("20.00", "20.00")
    assert not shown("21.00", "20.00")


def test_options_tell_an_item_from_its_like() -> None:
    item = ITEM | {"options": ["Size M", "Blue"], "sku": "MUG-M"}
    assert "  Size M · Blue · MUG-M\n" in email("order.confirmed", orderItems=[item])["text"]
    pieces = [{"name": "Mug", "quantity": 1, "options": ["Size M"]}]
    assert "  Size M\n" in email("order.shipped", parcelItems=pieces)["text"]


def test_a_refund_says_what_is_paid_back_for_an_item() -> None:
    pieces = [{"name": "Mug", "quantity": 2, "amount": "37.00"}, {"name": "Bed", "quantity": 1}]
    text = email("order.refunded", refundItems=pieces)["text"]
    assert "* Mug: $37.00\n  × 2\n* Bed: × 1\n" in text


@pytest.mark.parametrize(
    ("fields", "lead"),
    [
        ({"estimatedDelivery": "2026-10-12"}, "We expect it to arrive on October 12, 2026."),
        ({"expectedArrivalUntil": "2026-10-13"}, "We expect it to arrive on October 13, 2026."),
        (
            {"expectedArrivalFrom": "2026-10-12", "expectedArrivalUntil": "2026-10-14"},
            "Expected delivery: October 12 – 14, 2026.",
        ),
        (
            {"expectedArrivalFrom": "2026-10-12", "expectedArrivalUntil": "2026-10-12"},
            "We expect it to arrive on October 12, 2026.",
        ),
        ({}, "It has been handed over to UPS."),
    ],
)
def test_a_parcel_is_expected_on_a_day_or_in_a_window(fields: dict[str, Any], lead: str) -> None:
    fields = {"estimatedDelivery": None} | fields
    mail = email("order.shipped", **fields)
    assert lead in in_one_line(mail["text"].replace("\u2009", " "))


def test_without_a_tracking_link_the_button_leads_to_the_order() -> None:
    mail = email("order.shipped", trackingUrl=None)
    assert "View your order" in mail["html"]
    assert "Track your package" not in mail["html"]
    delivered = email("order.delivered")
    assert 'href="https://carrier.example/track/' in delivered["html"]


def test_the_long_has_the_line_for_itself() -> None:
    def stacked(**item: str) -> bool:
        return 'class="stacked"' in email("order.confirmed", orderItems=[ITEM | item])["html"]

    assert not stacked()
    assert stacked(name="y" * 71)
    assert stacked(price="999999999999.00")
