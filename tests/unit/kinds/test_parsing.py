"""Reading an order event: of whatever kind, with every fault named, and not when it is too old."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from steps import kinds
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.kinds.parsing import Identity, InvalidEvent, identify, parse
from tests.conftest import EVENTS

if TYPE_CHECKING:
    from steps.contract.order_event import OrderEvent
    from steps.contract.state import Reason

NOW = datetime(2026, 10, 9, 16, 0, tzinfo=UTC)


def reasons(message: str | dict[str, Any], now: datetime = NOW) -> list[Reason]:
    """Return why a message, or an event, is rejected."""
    with pytest.raises(InvalidEvent) as invalid:
        parse(message if isinstance(message, str) else json.dumps(message), now)
    return invalid.value.reasons


def reasons_by_path(message: str) -> dict[str, str]:
    return {reason["path"]: reason["reason"] for reason in reasons(message)}


def test_the_contract_s_example_is_read(order: dict[str, Any]) -> None:
    event = parse(json.dumps(order), NOW)
    assert event.order_id == "ORDER123456"
    assert event.order_items[0].price == Decimal("29.99")
    assert (event.event_type, event.currency, event.locale) == ("order.confirmed", "USD", "en-US")


def test_every_wrong_field_is_named_at_once() -> None:
    assert reasons_by_path((EVENTS / "malformed.json").read_text()) == {
        "orderId": "must not be empty",
        "customerEmail": "is not an e-mail address: An email address must have an @-sign.",
        "customerName": "is required",
        "orderItems[0].quantity": "must be greater than 0",
        "orderItems[1].name": "is required",
        "orderItems[1].price": 'must be an amount such as "29.99"',
        "orderTotal": "must be a decimal string or a JSON number",
        "orderTimestamp": "is not an ISO 8601 date and time",
        "currency": "is not an ISO 4217 currency code",
    }


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "is not JSON (RFC 8259)"),
        ("{", "is not JSON (RFC 8259)"),
        ('{"orderTotal": NaN}', "is not JSON (RFC 8259)"),
        ("[" * 100_000, "is nested too deeply: 64 levels are the most"),
        ("[1]", "must be a JSON object"),
        ('"order"', "must be a JSON object"),
    ],
)
def test_what_is_no_json_object_is_rejected(message: str, reason: str) -> None:
    assert reasons_by_path(message) == {"$": reason}


def test_a_json_number_is_never_a_float(order: dict[str, Any]) -> None:
    message = json.dumps(order).replace('"59.98"', "59.980000000000001")
    assert parse(message, NOW).order_total == Decimal("59.98")
    event = parse(json.dumps(order).replace('"59.98"', "0.1"), NOW)
    assert event.order_total == Decimal("0.1")
    assert json.loads(event.model_dump_json(by_alias=True))["orderTotal"] == "0.1"


def test_an_event_without_a_type_is_a_confirmation() -> None:
    event = kinds.sample("order.confirmed")
    del event["eventType"]
    assert parse(json.dumps(event), NOW).event_type == "order.confirmed"


@pytest.mark.parametrize(
    "unknown", ["order.lost", "", 7, None, ["order.shipped"], "../order_shipped"]
)
def test_the_rejection_of_an_unknown_kind_names_the_known_ones(unknown: object) -> None:
    (reason,) = reasons(kinds.sample("order.confirmed") | {"eventType": unknown})
    assert reason["path"] == "eventType"
    assert all(name in reason["reason"] for name in kinds.names())


def test_an_unknown_kind_hides_no_other_fault() -> None:
    event = kinds.sample("order.confirmed") | {"eventType": "x", "customerEmail": "nobody"}
    assert [reason["path"] for reason in reasons(event)] == ["eventType", "customerEmail"]


def test_a_kind_s_own_fields_are_required() -> None:
    shipped = kinds.sample("order.shipped")
    del shipped["carrier"]
    assert reasons(shipped) == [{"path": "carrier", "reason": "is required"}]
    refunded = kinds.sample("order.refunded") | {"refundAmount": "-5"}
    assert reasons(refunded)[0]["path"] == "refundAmount"


@pytest.mark.parametrize("name", [name for name in kinds.names() if name != DEFAULT_EVENT_TYPE])
def test_an_event_older_than_its_kind_allows_is_rejected(name: str) -> None:
    event, max_age = kinds.sample(name), kinds.kind(name).max_age
    happened = datetime.fromisoformat(event["eventTimestamp"])
    parse(json.dumps(event), happened + max_age)
    (reason,) = reasons(event, happened + max_age + timedelta(seconds=1))
    assert reason["path"] == "eventTimestamp"
    assert f"{max_age.days} days" in reason["reason"]


def test_a_confirmation_is_judged_by_the_age_of_its_event_not_of_its_order() -> None:
    old = kinds.sample("order.confirmed") | {"orderTimestamp": "2024-10-08T12:00:00Z"}
    parse(json.dumps(old), NOW)
    assert reasons(old | {"eventTimestamp": "2024-10-08T12:00:00Z"})[0]["path"] == "eventTimestamp"


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ("de-DE-u-co-phonebk", "de-DE"),
        ("en_US-u-nu-latn", "en-US"),
        ("fr-x-formal", "fr"),
        ("zh-yue-HK", "zh-yue-HK"),
    ],
)
def test_a_language_tag_may_have_what_no_mail_heeds(
    order: dict[str, Any], tag: str, kept: str
) -> None:
    assert parse(json.dumps(order | {"locale": tag}), NOW).locale == kept


@pytest.mark.parametrize(
    ("number", "amount"),
    [("0.30000000000000004", "0.3"), ("1E2", "100"), ("29.990", "29.990"), ("-1.5e-1", "-0.15")],
)
def test_a_json_number_is_an_amount_however_it_is_written(
    order: dict[str, Any], number: str, amount: str
) -> None:
    message = json.dumps(order | {"tax": "TAX"}).replace('"TAX"', number)
    assert str(parse(message, NOW).tax) == amount


@pytest.mark.parametrize("offset", ["+23:59:59.9", "-00:00:30", "+01:30:01"])
def test_a_zone_has_whole_minutes(order: dict[str, Any], offset: str) -> None:
    moment = f"2026-11-25T14:00:00{offset}"
    with pytest.raises(InvalidEvent, match=r"^orderTimestamp must have whole minutes in its zone"):
        parse(json.dumps(order | {"orderTimestamp": moment}), NOW)


def test_an_emoji_younger_than_python_is_a_name(order: dict[str, Any]) -> None:
    assert parse(json.dumps(order | {"customerName": "\U0001faea"}), NOW).customer_name


def test_a_field_has_the_contract_s_name_alone(order: dict[str, Any]) -> None:
    order["order_id"] = order.pop("orderId")
    with pytest.raises(InvalidEvent, match=r"^orderId is required$"):
        parse(json.dumps(order), NOW)


PART_KINDS = {
    name: identity for name in kinds.names() if (identity := kinds.kind(name).identity) is not None
}


def new(name: str) -> dict[str, Any]:
    """Return a kind's sample as of `NOW`."""
    return kinds.sample(name) | {"eventTimestamp": NOW.isoformat()}


def as_json(event: OrderEvent) -> dict[str, Any]:
    """Return an event as the order workflow has it."""
    fields: dict[str, Any] = event.model_dump(mode="json", by_alias=True, exclude_none=True)
    return fields


@pytest.mark.parametrize(("name", "identity"), PART_KINDS.items())
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        *(("P1", "P1"), (" P\u200e1 ", "P1"), ("日本 1", "日本 1")),
        *((4_912_345_678_901, "4912345678901"), (10**127, "1" + "0" * 127)),
    ],
)
def test_an_event_says_which_part_of_its_order_it_is_about(
    name: str, identity: str, given: str | int, kept: str
) -> None:
    event = new(name) | {identity: given}
    parsed = parse(json.dumps(event), NOW)
    assert kinds.part(as_json(parsed)) == {identity: kept}
    assert identify(event) == Identity("NW-20418", name, "maya@example.com", {identity: kept})


@pytest.mark.parametrize("name", kinds.names())
def test_without_its_field_an_event_is_about_the_whole_order(name: str) -> None:
    sample = new(name)
    foreign = {"shipmentId": "P1", "refundId": "R1"}.items()
    ignored = {field: value for field, value in foreign if field != kinds.kind(name).identity}
    blank = [dict.fromkeys(PART_KINDS.values(), nothing) for nothing in (None, "", " ")]
    for fields in ({}, ignored, *blank):
        event = {k: v for k, v in sample.items() if k not in PART_KINDS.values()} | fields
        assert kinds.part(as_json(parse(json.dumps(event), NOW))) == {}
        assert identify(event) == Identity("NW-20418", name, "maya@example.com", {})


@pytest.mark.parametrize(("name", "identity"), PART_KINDS.items())
@pytest.mark.parametrize("wrong", ["\u200e", "x" * 129, 7.5, ["P1"], {"id": "P1"}, True])
def test_an_id_of_a_parcel_or_a_refund_is_read_as_an_order_s(
    name: str, identity: str, wrong: object
) -> None:
    event = new(name) | {identity: wrong}
    (of_the_part,) = reasons(event)
    (of_the_order,) = reasons(new(name) | {"orderId": wrong})
    assert of_the_part == of_the_order | {"path": identity}
    assert identify(event) is None


@pytest.mark.parametrize("wrong", ["orderId", "customerEmail", "eventType"])
def test_nothing_is_identified_where_an_id_is_wrong(wrong: str) -> None:
    assert identify(new("order.shipped") | {wrong: 7}) is None


def test_an_unknown_kind_has_no_parts() -> None:
    event = new("order.shipped") | {"eventType": "order.lost", "shipmentId": 7}
    assert identify(event) == Identity("NW-20418", "order.lost", "maya@example.com", {})
