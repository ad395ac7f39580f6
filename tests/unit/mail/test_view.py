"""What a mail shows of an order: its header fields, its sums, names of any length."""

from __future__ import annotations

from decimal import Decimal

from steps import kinds
from steps.mail import localise
from steps.mail.brand import Brand
from tests.support.sample_mails import ITEM, NOTIFICATION_ID, email


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
