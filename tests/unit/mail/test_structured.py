"""The data for machines: whole by Google's reference, schema.org's, and in agreement with the mail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps import kinds, render
from steps.mail import localise
from tests.support.sample_mails import email, pairs
from tests.support.shown_mail import JsonLd, ShownMail, order_in

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOGLE: dict[str, Any] = json.loads(Path(__file__).with_name("google_markup.json").read_text())
"""What Gmail's reference asks of each type: the paths of properties, and where it says so."""

SHIPPED = kinds.sample("order.shipped")


def said(sample: str, **fields: Any) -> JsonLd:
    """Return the JSON-LD of a sample's mail with `fields` changed."""
    return ShownMail(email(sample, **fields)["html"]).json_ld


def at(node: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a dotted path; of a list, what each of its entries has there."""
    if isinstance(node, list):
        for entry in node:
            yield from at(entry, path)
    elif not path:
        yield node
    else:
        name, _, rest = path.partition(".")
        yield from at(node.get(name) if isinstance(node, dict) else None, rest)


def lacking(node: JsonLd) -> set[str]:
    """Return what Google's reference asks of a node, and of the action in it, and is not there."""
    wanted = GOOGLE[node["@type"]]["required"]
    lacks = {path for path in wanted if not all((values := list(at(node, path))) and values)}
    if action := node.get("potentialAction"):
        lacks |= {f"potentialAction.{path}" for path in lacking(action)}
    return lacks


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_the_data_has_all_that_google_asks_for(kind: str, language: str) -> None:
    json_ld = said(kind, locale=language)
    assert lacking(json_ld) == set()
    assert json_ld["potentialAction"]["url"] in ShownMail(email(kind)["html"]).links


def test_the_judge_of_the_data_misses_nothing() -> None:
    whole = said("order.shipped")
    for path in GOOGLE["ParcelDelivery"]["required"]:
        broken = json.loads(json.dumps(whole))
        *way, last = path.split(".")
        node = broken
        for name in way:
            node = node[name][-1] if isinstance(node[name], list) else node[name]
        del node[last]
        assert path in lacking(broken)
    assert "potentialAction.name" in lacking(whole | {"potentialAction": {"@type": "ViewAction"}})


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_the_data_agrees_with_what_the_mail_shows(kind: str, language: str) -> None:
    mail = email(kind, locale=language)
    json_ld = ShownMail(mail["html"]).json_ld
    sample = kinds.sample(kind)
    money = localise.language(language).money
    about = order_in(json_ld)
    assert json_ld["@context"] == "https://schema.org"
    assert about["orderNumber"] == "NW-20418"
    if about is json_ld and not {"parcelItems", "pickupItems", "backorderedItems"} & set(sample):
        assert money(about["price"], about["priceCurrency"]) in mail["html"]
        assert money(about["price"], about["priceCurrency"]) in mail["text"]
    if json_ld["@type"] == "ParcelDelivery":
        assert json_ld["trackingNumber"] in mail["html"]
        assert [item["name"] for item in json_ld["itemShipped"]] == [
            item["name"] for item in sample["parcelItems"]
        ]


def test_a_mail_leads_to_the_order_or_to_the_parcel() -> None:
    ordered, parcel = said("order.confirmed", locale="de"), said("order.shipped", locale="de")
    assert ordered["potentialAction"] == {
        "@type": "ViewAction",
        "name": "Bestellung ansehen",
        "target": kinds.sample("order.confirmed")["orderUrl"],
        "url": kinds.sample("order.confirmed")["orderUrl"],
    }
    assert parcel["potentialAction"] == {
        "@type": "TrackAction",
        "name": "Sendung verfolgen",
        "target": SHIPPED["trackingUrl"],
        "url": SHIPPED["trackingUrl"],
    }
    untracked = said("order.shipped", trackingUrl=None)
    assert untracked["potentialAction"]["@type"] == "ViewAction"
    assert "potentialAction" not in said("order.confirmed", orderUrl=None)
    assert "potentialAction" not in said("order.shipped", orderUrl=None, trackingUrl=None)


ADDRESS = SHIPPED["shippingAddress"]


@pytest.mark.parametrize(
    "fields",
    [
        {"estimatedDelivery": None},
        {"shippingAddress": None},
        *(
            {"shippingAddress": {k: v for k, v in ADDRESS.items() if k not in parts}}
            for parts in (
                ("line1", "line2"),
                ("postalCode",),
                ("city",),
                ("region",),
                ("country", "countryCode"),
            )
        ),
    ],
    ids=["no day", "no address", "no street", "no code", "no city", "no region", "no country"],
)
def test_a_parcel_that_is_not_whole_is_told_as_the_order_on_its_way(fields: dict[str, Any]) -> None:
    json_ld = said("order.shipped", **fields)
    assert json_ld["@type"] == "Order"
    assert json_ld["orderStatus"] == "https://schema.org/OrderInTransit"
    assert json_ld["potentialAction"]["url"] == SHIPPED["orderUrl"]
    assert lacking(json_ld) == set()
    names = [offer["itemOffered"]["name"] for offer in json_ld["acceptedOffer"]]
    assert names == [item["name"] for item in SHIPPED["orderItems"]]


def test_a_parcel_nobody_carries_by_name_is_told_as_the_order() -> None:
    json_ld = said("order.delivered", carrier=None)
    assert (json_ld["@type"], json_ld["orderStatus"]) == (
        "Order",
        "https://schema.org/OrderDelivered",
    )


def test_a_parcel_arrives_by_the_day_that_is_known() -> None:
    assert said("order.shipped")["expectedArrivalUntil"] == SHIPPED["estimatedDelivery"]
    assert said("order.delivered")["expectedArrivalUntil"] == "2026-10-12"


WINDOW = {"expectedArrivalFrom": "2026-10-20", "expectedArrivalUntil": "2026-10-24"}


@pytest.mark.parametrize(
    ("sample", "fields", "first", "last"),
    [
        ("order.shipped", WINDOW | {"estimatedDelivery": None}, "2026-10-20", "2026-10-24"),
        ("order.shipped", WINDOW | {"estimatedDelivery": "2026-10-26"}, None, "2026-10-26"),
        (
            "order.shipped",
            WINDOW | {"estimatedDelivery": None, "expectedArrivalUntil": "2026-10-14"},
            None,
            "2026-10-14",
        ),
        ("order.delivered", WINDOW, None, "2026-10-12"),
    ],
)
def test_the_data_expects_a_parcel_when_the_mail_does(
    sample: str, fields: dict[str, Any], first: str | None, last: str
) -> None:
    json_ld = said(sample, **fields)
    assert json_ld.get("expectedArrivalFrom") == first
    assert json_ld["expectedArrivalUntil"] == last


def test_an_order_that_waits_for_its_payment_is_told_so() -> None:
    due = said("order.confirmed", payment={"method": "Transfer", "state": "due"})
    assert due["orderStatus"] == "https://schema.org/OrderPaymentDue"


@pytest.mark.parametrize(
    ("country", "told"),
    [
        ({"countryCode": "US", "country": "USA"}, "US"),
        ({"country": "United States"}, "US"),
        ({"country": "Oz"}, "Oz"),
    ],
)
def test_a_country_is_told_by_its_code_where_it_is_known(
    country: dict[str, str], told: str
) -> None:
    rest = {k: v for k, v in ADDRESS.items() if k not in ("country", "countryCode")}
    json_ld = said("order.shipped", shippingAddress=rest | country)
    assert json_ld["deliveryAddress"]["addressCountry"] == told


@pytest.mark.parametrize(
    ("sample", "status"),
    [("order.refunded", "https://schema.org/OrderReturned"), ("order.refunded-part", None)],
)
def test_a_refund_is_told_as_the_order(sample: str, status: str | None) -> None:
    json_ld = said(sample)
    assert json_ld["@type"] == "Order"
    assert json_ld.get("orderStatus") == status
    assert json_ld["price"] == kinds.sample(sample)["orderTotal"]


@pytest.mark.parametrize("sample", ["order.confirmed", "order.shipped"])
def test_a_mail_that_is_too_long_to_list_anything_has_whole_data(
    sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "LINES_SHOWN", (0,))
    assert lacking(said(sample)) == set()


PROPERTIES = {
    "Order": {"merchant", "seller", "orderNumber", "orderStatus", "orderDate", "url"}
    | {"acceptedOffer", "potentialAction"}
    # Not schema.org's, but demanded by Google's e-mail markup reference.
    | {"price", "priceCurrency"},
    "Offer": {"itemOffered", "price", "priceCurrency", "eligibleQuantity"},
    "Product": {"name", "sku", "image", "url"},
    "Organization": {"name", "url"},
    "QuantitativeValue": {"value"},
    "PostalAddress": {"name", "streetAddress", "postalCode", "addressLocality"}
    | {"addressRegion", "addressCountry"},
    "ParcelDelivery": {"partOfOrder", "itemShipped", "carrier", "trackingNumber", "trackingUrl"}
    | {"expectedArrivalFrom", "expectedArrivalUntil", "deliveryAddress", "potentialAction"},
    "ViewAction": {"name", "target", "url"},
    "TrackAction": {"name", "target", "url"},
}
"""The properties that schema.org gives each type (release 29), as far as we use them."""


@pytest.mark.parametrize("kind", kinds.samples())
def test_every_property_is_one_that_schema_org_gives_the_type(kind: str) -> None:
    def check(node: object) -> None:
        if isinstance(node, list):
            for entry in node:
                check(entry)
        elif isinstance(node, dict):
            properties = set(node) - {"@type", "@context"}
            assert properties
            assert properties <= PROPERTIES[node["@type"]]
            check(list(node.values()))
        else:
            assert node not in (None, "")

    check(ShownMail(email(kind)["html"]).json_ld)
