"""A mail about a part of an order never says that it is about the whole."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from steps import kinds, render
from steps.mail import localise
from tests.support.sample_mails import BRAND, ITEM, NOTIFICATION_ID, email, order
from tests.support.shown_mail import ShownMail, in_one_line, order_in

if TYPE_CHECKING:
    from steps.contract.state import Email

PARTS = [
    (sample.removesuffix("-part"), language)
    for sample in kinds.samples()
    if sample.endswith("-part")
    for language in localise.languages()
]
PARCELS = ["order.delivered", "order.shipped"]
BED, MUG = ({"name": name, "quantity": 1} for name in ("Linen bed set", "Stoneware mug"))
ORDERED = [piece | {"price": "18.50"} for piece in (BED, MUG)]


def claims(mail: Email) -> list[str]:
    """Return what a mail says at first sight: subject, title, headline, and how far the order is."""
    shown = r'<title>(.*?)</title>|<h1.*?>(.*?)</h1>|<td class="progress-cell.*?>(.*?)</td>'
    found = ["".join(groups) for groups in re.findall(shown, mail["html"])]
    return [in_one_line(claim) for claim in (mail["subject"], *found) if claim]


def lines(mail: Email) -> set[str]:
    """Return all that a mail says, line by line."""
    of_the_text = re.split(r"\n|\[[x ]\]", mail["text"])
    return {in_one_line(t) for t in (*ShownMail(mail["html"]).texts, *of_the_text)}


def is_whole(mail: Email, whole: Email) -> bool:
    return claims(mail) == claims(whole)


@pytest.mark.parametrize(("kind", "language"), PARTS)
def test_a_mail_of_a_part_says_nothing_that_the_mail_of_the_whole_says_of_the_order(
    kind: str, language: str
) -> None:
    ordered = localise.language(language).texts.gettext("Ordered")
    whole, part = (email(name, locale=language) for name in (kind, f"{kind}-part"))
    of_the_whole = set(claims(whole)) - {ordered}
    # A part that is ready has no progress bar: it would be the order's.
    assert len(claims(part)) in (len(claims(whole)), len(claims(whole)) - 3)
    assert len(claims(part)) >= 3
    assert not of_the_whole & {*claims(part), *lines(part)}
    assert set(claims(whole)[2:]) <= lines(whole), "this test looks in the wrong place"


@pytest.mark.parametrize("kind", PARCELS)
def test_a_parcel_of_a_part_lists_what_is_in_it_and_then_the_rest(kind: str) -> None:
    text = email(f"{kind}-part")["text"]
    inside, rest = text.index("In this package\n"), text.index("Not in this package\n")
    mugs = "* Stoneware mug, speckled: × 2"
    assert inside < text.index(mugs) < rest < text.rindex(mugs)
    assert text.index("Linen bed set") < rest < text.index("* Beeswax candle, set of two: × 1")
    assert "The rest of your order is sent separately.\n" in text[rest:]
    assert "$" not in text[inside:]


@pytest.mark.parametrize("kind", PARCELS)
@pytest.mark.parametrize(
    "parcel",
    [
        pytest.param(None, id="unsaid"),
        pytest.param([BED, MUG], id="everything"),
        pytest.param([MUG, MUG, BED, {"name": "A gift", "quantity": 1}], id="more"),
    ],
)
def test_a_parcel_with_everything_is_the_whole_order(kind: str, parcel: Any) -> None:
    mail = email(kind, orderItems=ORDERED, parcelItems=parcel)
    assert is_whole(mail, email(kind))
    assert "Not in this package" not in mail["html"] + mail["text"]


@pytest.mark.parametrize("kind", PARCELS)
def test_a_parcel_with_none_of_the_order_never_brings_the_whole(kind: str) -> None:
    mail = email(kind, orderItems=ORDERED, parcelItems=[{"name": "A gift", "quantity": 1}])
    assert not is_whole(mail, email(kind))


@pytest.mark.parametrize(
    ("amount", "is_part"), [("244.96", True), ("244.97", False), ("244.970", False), ("300", False)]
)
def test_a_refund_is_of_a_part_where_it_is_less_than_the_order(
    amount: str, *, is_part: bool
) -> None:
    mail = email("order.refunded", refundAmount=amount)
    assert mail["subject"].startswith("Your partial refund") == is_part
    assert f"${Decimal(amount):.2f}" in mail["html"]
    assert "$244.97" in mail["html"]


@pytest.mark.parametrize(
    ("sample", "status"),
    [
        ("order.shipped", "OrderInTransit"),
        ("order.shipped-part", "OrderInTransit"),
        ("order.delivered", "OrderDelivered"),
        ("order.delivered-part", None),
        ("order.refunded", "OrderReturned"),
        ("order.refunded-part", None),
    ],
)
def test_the_data_for_machines_claims_the_whole_order_only_of_the_whole(
    sample: str, status: str | None
) -> None:
    said = order_in(ShownMail(email(sample)["html"]).json_ld).get("orderStatus")
    assert said == (status and f"https://schema.org/{status}")


def test_both_lists_shrink_until_the_mail_fits() -> None:
    long = {"quantity": "2", "url": "https://shop.example/" + "u" * 1_900}
    ordered = [ITEM | long | {"name": f"{n} {'M' * 190}"} for n in range(400)]
    parcel = [{k: v for k, v in item.items() if k != "price"} for item in ordered[:200]]
    valid = order("order.shipped") | {"orderItems": ordered, "parcelItems": parcel}
    mail = render.render(valid, BRAND, NOTIFICATION_ID)
    assert len(mail["html"].encode()) < 102_400
    listed = {"html": mail["html"].count('<p class="name"'), "text": mail["text"].count("\n* ")}
    for part in ("html", "text"):
        of_the_parcel, of_the_rest = map(int, re.findall(r"and (\d+) more items", mail[part]))
        assert of_the_parcel == of_the_rest < 2 * 200
        assert of_the_parcel + of_the_rest + 2 * listed[part] == 2 * 400
