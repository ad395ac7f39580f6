"""What a mail shows of an order: its header fields, its sums, names of any length."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from steps import kinds, render
from steps.contract import limits
from steps.contract.state import encoded_size
from steps.mail import localise
from steps.mail.brand import Brand, OrderWording
from steps.mail.view import clip
from tests.support.sample_mails import BRAND, ITEM, NOTIFICATION_ID, email, order
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


COUPON = {"name": "Coupon", "quantity": 1, "price": "-5.00"}


def test_a_discount_among_the_items_is_no_piece_and_travels_in_no_parcel() -> None:
    items = [ITEM, COUPON]
    confirmed = email("order.confirmed", orderItems=items, orderTotal="13.50")
    assert ">1 item, $13.50 in total" in confirmed["html"]
    assert "Coupon" in confirmed["text"]
    shipped = email("order.shipped", orderItems=items, parcelItems=None)
    assert ">1 item, sent with UPS" in shipped["html"]
    assert "Coupon" not in shipped["text"]


def test_the_lines_add_up_to_the_subtotal() -> None:
    items = [
        ITEM | {"name": str(n), "quantity": quantity, "price": price}
        for n, (quantity, price) in enumerate([("2.5", "1.05"), ("1.5", "0.99"), ("1.5", "0.99")])
    ]
    text = email("order.confirmed", orderItems=items)["text"]
    assert re.findall(r"= (\$[\d.]+)", text) == ["$2.63", "$1.49", "$1.49"]
    assert "Subtotal: $5.61" in text


def test_what_is_free_says_what_it_was() -> None:
    item = ITEM | {"price": "0.00", "compareAtPrice": "18.50"}
    text = email("order.confirmed", orderItems=[item])["text"]
    assert "* Stoneware mug: Free\n  × 1 · instead of $18.50\n" in text


@pytest.mark.parametrize("name", ["山田太郎", "山田太郎様", "山田太郎 様"])
def test_a_japanese_name_has_one_honorific(name: str) -> None:
    mail = email("order.confirmed", locale="ja", customerName=name)
    assert "\n山田太郎 様、" in mail["text"]
    assert "\n様 様、" in email("order.confirmed", locale="ja", customerName="様")["text"]


def test_a_label_of_another_direction_stays_in_its_place() -> None:
    fields: dict[str, Any] = {
        "fees": [{"label": "(هدية)!", "amount": "1"}],
        "taxes": [{"label": "ضريبة", "amount": "1"}],
    }
    text = email("order.confirmed", **fields)["text"]
    assert "\u2068(هدية)!\u2069: $1.00" in text
    assert "\u2068ضريبة\u2069: $1.00" in text
    assert (
        "\u2068Gift!\u2069: "
        in email("order.confirmed", locale="ar", fees=[{"label": "Gift!", "amount": "1"}])["text"]
    )


@pytest.mark.parametrize("kind", ["order.shipped", "order.delivered", "order.backordered"])
def test_a_parcel_for_a_pickup_point_says_where_that_is_and_nothing_of_being_ready(
    kind: str,
) -> None:
    point = {"name": "Packshop 7", "address": {"city": "Würzburg"}}
    mail = email(kind, pickupPoint=point, shippingAddress=None)
    assert "Packshop 7" in mail["text"]
    assert "Ready for pickup" not in mail["html"] + mail["text"]
    assert "Picked up" not in mail["html"] + mail["text"]


def test_who_pays_on_delivery_is_not_asked_to_pay_before() -> None:
    def lead(**payment: str) -> str:
        text = email("order.confirmed", payment={"method": "Cash"} | payment)["text"]
        return text.split("\n\n")[2]

    assert lead(state="due") == lead(state="pending") != lead(state="paid") == lead()
    assert lead(state="on_delivery") == lead()


URL = "https://shop.example/?" + "&" * 2_000


def fullest(kind: str, character: str) -> dict[str, Any]:
    """Return all that an event may say, as long as a mail shows it."""
    text = character * 500
    address = dict.fromkeys(
        ("name", "company", "line1", "line2", "postalCode", "city", "region", "country"), text
    )
    item = {"name": text, "quantity": 1, "sku": text, "options": [text] * 10, "url": URL}
    sums = [{"label": text, "code": text, "amount": "1", "rate": "5"}] * limits.SUMS_MAX
    items = kinds.kind(kind).items
    links = ("orderUrl", "trackingUrl")
    texts = (
        *(
            "customerName",
            "shippingMethod",
            "giftNote",
            "customerNote",
            "carrier",
            "trackingNumber",
        ),
        *("deliveredTo", "cancellationReason", "refundMethod", "pickupCode"),
    )
    return {
        **dict.fromkeys(texts, text),
        **dict.fromkeys(links, URL),
        **dict.fromkeys(("taxes", "discounts", "fees", "giftCards"), sums),
        "orderId": character * 128,
        "orderItems": [item | {"price": "5", "compareAtPrice": "9", "imageUrl": URL}] * 3,
        "payment": {"method": text, "state": "due", "due": "2026-12-01", "instructions": text},
        "shippingAddress": address,
        "billingAddress": address | {"vatId": text},
        "pickupPoint": {"name": text, "address": address, "openingHours": text, "url": URL},
        **({items: [item]} if items else {}),
        "attachments": [
            {
                "uri": "s3://bucket/key",
                "sha256": "0a" * 32,
                "fileName": f"{number}{character * 200}.pdf",
                "url": URL,
            }
            for number in range(5)
        ],
    }


@pytest.mark.parametrize("kind", kinds.names())
@pytest.mark.parametrize("character", ['"', "&", "ن", "\U0001fad6"])
def test_all_that_an_event_may_say_fits_into_a_mail(kind: str, character: str) -> None:
    for locale, linked in (("en", True), ("ar", False)):
        valid = order(kind, locale=locale, **fullest(kind, character))
        mail = render.render(valid, BRAND, NOTIFICATION_ID, linked=linked)
        assert max(len(mail[part].encode()) for part in ("html", "text")) <= 100_000
        assert encoded_size(mail) <= limits.ANSWER_MAX_BYTES
        assert clip(valid["customerName"], 60) in mail["text"]


@pytest.mark.parametrize("number", [None, "1Z 999"])
def test_a_delivered_parcel_shows_the_link_that_it_takes(number: str | None) -> None:
    url = "https://carrier.example/track/1"
    others: dict[str, Any] = {"deliveredTo": None, "carrier": None}
    mail = email("order.delivered", trackingUrl=url, trackingNumber=number, **others)
    assert url in mail["text"]
    assert f'href="{url}"' in mail["html"]


def test_received_is_all_that_is_said_where_a_shop_asks_for_it() -> None:
    brand = replace(BRAND, order_wording=OrderWording.RECEIVED)
    due = {"method": "Transfer", "state": "due"}
    leads = {
        email("order.confirmed", brand=brand, payment=payment)["text"].split("\n\n")[2]
        for payment in (None, due)
    }
    assert leads == {"We have received your order and will email you about the next steps."}
