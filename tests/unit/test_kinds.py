"""Kinds: found from their folders, validated each by its own shape, not sent when they are too old."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from steps import kinds
from steps.contract import limits
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.contract.state import Reason
from steps.kinds.parsing import InvalidEvent, parse
from steps.kinds.schema import SCHEMA, schema

NOW = datetime(2026, 10, 9, 16, 0, tzinfo=UTC)


def reasons(event: dict[str, Any], now: datetime = NOW) -> list[Reason]:
    with pytest.raises(InvalidEvent) as caught:
        parse(json.dumps(event), now)
    return caught.value.reasons


def test_each_folder_is_a_kind() -> None:
    assert kinds.names() == (
        "order.cancelled",
        "order.confirmed",
        "order.delivered",
        "order.refunded",
        "order.shipped",
    )


@pytest.mark.parametrize("name", kinds.names())
def test_a_kind_is_complete(name: str) -> None:
    event, max_age = kinds.event(name)
    assert event.model_fields["event_type"].annotation is not str, "the event pins its type"
    assert max_age > timedelta()
    assert kinds.sample(name)["eventType"] == name


def test_an_event_without_a_type_is_a_confirmation() -> None:
    event = kinds.sample("order.confirmed")
    del event["eventType"]
    assert parse(json.dumps(event), NOW).event_type == "order.confirmed"


@pytest.mark.parametrize(
    "unknown", ["order.lost", "", 7, None, ["order.shipped"], "../order_shipped"]
)
def test_an_unknown_kind_is_rejected_with_the_known_ones(unknown: object) -> None:
    (reason,) = reasons(kinds.sample("order.confirmed") | {"eventType": unknown})
    assert reason["path"] == "eventType"
    assert all(name in reason["reason"] for name in kinds.names())


def test_an_unknown_kind_hides_no_other_fault() -> None:
    found = reasons(kinds.sample("order.confirmed") | {"eventType": "x", "customerEmail": "nobody"})
    assert [r["path"] for r in found] == ["eventType", "customerEmail"]


def test_a_kinds_own_fields_are_demanded() -> None:
    shipped = kinds.sample("order.shipped")
    del shipped["carrier"]
    assert reasons(shipped) == [{"path": "carrier", "reason": "is required"}]
    refunded = kinds.sample("order.refunded") | {"refundAmount": "-5"}
    assert reasons(refunded)[0]["path"] == "refundAmount"


@pytest.mark.parametrize("name", [n for n in kinds.names() if n != DEFAULT_EVENT_TYPE])
def test_what_is_too_old_is_not_sent(name: str) -> None:
    event, (_, max_age) = kinds.sample(name), kinds.event(name)
    happened = datetime.fromisoformat(event["eventTimestamp"])
    parse(json.dumps(event), happened + max_age)
    (reason,) = reasons(event, happened + max_age + timedelta(seconds=1))
    assert reason["path"] == "eventTimestamp"
    assert f"{max_age.days} days" in reason["reason"]


def test_a_confirmation_is_judged_by_its_event_not_by_the_orders_age() -> None:
    old = kinds.sample("order.confirmed") | {"orderTimestamp": "2024-10-08T12:00:00Z"}
    parse(json.dumps(old), NOW)
    assert reasons(old | {"eventTimestamp": "2024-10-08T12:00:00Z"})[0]["path"] == "eventTimestamp"


@pytest.mark.parametrize("name", kinds.names())
def test_no_kind_grows_too_old_while_it_waits_on_the_queue(name: str) -> None:
    waits = timedelta(seconds=limits.QUEUE_MAX_RECEIVES * limits.RETRY_DELAY_MAX)
    assert kinds.event(name)[1] > waits


@pytest.mark.parametrize("name", kinds.names())
def test_the_schema_knows_the_samples(name: str) -> None:
    whole, sample = schema(), kinds.sample(name)
    jsonschema.validate(sample, whole)
    required = kinds.event(name)[0].model_json_schema()["required"]
    for field in {*required, "orderId"} - {"eventType"}:
        without = {k: v for k, v in sample.items() if k != field}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(without, whole)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sample | {"eventType": "order.lost"}, whole)


def test_the_schema_in_the_repository_is_the_code_s() -> None:
    assert json.loads(SCHEMA.read_text()) == schema()
