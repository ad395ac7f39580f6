"""The data for machines: schema.org's, and in agreement with what the mail shows."""

from __future__ import annotations

import pytest

from steps import kinds
from steps.mail import localise
from tests.support.sample_mails import email, pairs
from tests.support.shown_mail import ShownMail, order_in


@pytest.mark.parametrize(("kind", "language"), pairs())
def test_the_data_agrees_with_what_the_mail_shows(kind: str, language: str) -> None:
    mail = email(kind, locale=language)
    json_ld = ShownMail(mail["html"]).json_ld
    money = localise.language(language).money
    order = order_in(json_ld)
    assert json_ld["@context"] == "https://schema.org"
    assert order["orderNumber"] == "NW-20418"
    if json_ld["@type"] != "ParcelDelivery":
        assert money(order["price"], order["priceCurrency"]) in mail["html"]
        assert money(order["price"], order["priceCurrency"]) in mail["text"]
    if json_ld["@type"] == "Invoice":
        due = json_ld["totalPaymentDue"]
        assert money(due["price"].removeprefix("-"), due["priceCurrency"]) in mail["html"]
    if json_ld["@type"] == "ParcelDelivery":
        assert json_ld["trackingNumber"] in mail["html"]
        assert [item["name"] for item in json_ld["itemShipped"]] == [
            item["name"] for item in kinds.sample(kind)["parcelItems"]
        ]
    for offer in order.get("acceptedOffer", []):
        assert offer["itemOffered"]["name"] in mail["html"]


PROPERTIES = {
    "Order": {"merchant", "orderNumber", "orderStatus", "orderDate", "url", "acceptedOffer"}
    # Not schema.org's, but demanded by Google's e-mail markup reference.
    | {"price", "priceCurrency"},
    "Offer": {"itemOffered", "price", "priceCurrency", "eligibleQuantity"},
    "Product": {"name", "sku", "image", "url"},
    "Organization": {"name", "url"},
    "QuantitativeValue": {"value"},
    "PostalAddress": {"name", "streetAddress", "postalCode", "addressLocality"}
    | {"addressRegion", "addressCountry"},
    "ParcelDelivery": {"partOfOrder", "itemShipped", "carrier", "trackingNumber", "trackingUrl"}
    | {"expectedArrivalUntil", "deliveryAddress"},
    "Invoice": {"description", "provider", "totalPaymentDue", "paymentStatus", "referencesOrder"},
    "PriceSpecification": {"price", "priceCurrency"},
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
