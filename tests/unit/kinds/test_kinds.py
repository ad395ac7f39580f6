"""Kinds: found from their folders, and complete."""

from datetime import timedelta
from typing import get_type_hints

import pytest

from steps import kinds
from steps.contract import limits
from steps.contract.order_event import PartId


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
    event, max_age, _ = kinds.kind(name)
    assert event.model_fields["event_type"].annotation is not str, "the event pins its type"
    assert max_age > timedelta()
    assert name in kinds.samples()


@pytest.mark.parametrize("sample", kinds.samples())
def test_a_sample_is_of_its_folder_s_kind(sample: str) -> None:
    assert kinds.sample(sample)["eventType"] == sample.partition("-")[0]


@pytest.mark.parametrize("name", kinds.names())
def test_a_kind_that_has_parts_has_a_sample_of_one_that_says_which(name: str) -> None:
    identity = kinds.kind(name).identity
    assert (f"{name}-part" in kinds.samples()) == (identity is not None)
    if identity:
        assert identity in kinds.sample(f"{name}-part")
        assert identity not in kinds.sample(name)


@pytest.mark.parametrize("name", kinds.names())
def test_no_event_grows_too_old_while_it_waits_on_the_queue(name: str) -> None:
    waits = timedelta(seconds=limits.QUEUE_MAX_RECEIVES * limits.RETRY_DELAY_MAX)
    assert kinds.kind(name).max_age > waits


@pytest.mark.parametrize("name", kinds.names())
def test_what_tells_mails_of_a_kind_apart_is_an_optional_id_among_its_fields(name: str) -> None:
    event, _, identity = kinds.kind(name)
    fields = {field.alias: python_name for python_name, field in event.model_fields.items()}
    if identity is not None:
        assert get_type_hints(event, include_extras=True)[fields[identity]] == PartId
        assert event.model_fields[fields[identity]].default is None


def test_parcels_and_refunds_are_told_apart_orders_are_not() -> None:
    assert {name: kinds.kind(name).identity for name in kinds.names()} == {
        "order.cancelled": None,
        "order.confirmed": None,
        "order.delivered": "shipmentId",
        "order.refunded": "refundId",
        "order.shipped": "shipmentId",
    }
