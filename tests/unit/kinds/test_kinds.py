"""Kinds: found from their folders, and complete."""

from datetime import timedelta
from types import NoneType
from typing import get_args, get_type_hints

import pytest

from steps import kinds
from steps.contract import limits
from steps.contract.order_event import DEFAULT_EVENT_TYPE, PartId, Piece


def test_each_folder_is_a_kind() -> None:
    folders = {path.parent for path in kinds.FOLDER.glob("*/words.j2")}
    assert {kinds.folder(name) for name in kinds.names()} == folders
    assert DEFAULT_EVENT_TYPE in kinds.names()


@pytest.mark.parametrize("name", kinds.names())
def test_a_kind_is_complete(name: str) -> None:
    kind = kinds.kind(name)
    assert kind.event.model_fields["event_type"].annotation is not str, "the event pins its type"
    assert kind.max_age > timedelta()
    assert kind.stage in (None, 1, 2, 3)
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
    event, identity = kinds.kind(name).event, kinds.kind(name).identity
    fields = {field.alias: python_name for python_name, field in event.model_fields.items()}
    if identity is not None:
        assert get_type_hints(event, include_extras=True)[fields[identity]] == PartId
        assert event.model_fields[fields[identity]].default is None


@pytest.mark.parametrize("name", kinds.names())
def test_the_items_that_a_kind_is_about_are_pieces_among_its_fields(name: str) -> None:
    event, items = kinds.kind(name).event, kinds.kind(name).items
    fields = {field.alias: python_name for python_name, field in event.model_fields.items()}
    if items is not None:
        (pieces, none) = get_args(get_type_hints(event)[fields[items]])
        assert issubclass(get_args(pieces)[0], Piece)
        assert none is NoneType


def test_what_tells_the_mails_of_published_kinds_apart_never_changes() -> None:
    published = {
        "order.cancelled": None,
        "order.confirmed": None,
        "order.delivered": "shipmentId",
        "order.refunded": "refundId",
        "order.shipped": "shipmentId",
    }
    assert {name: kinds.kind(name).identity for name in published} == published
