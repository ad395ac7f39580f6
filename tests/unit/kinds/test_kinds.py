"""Kinds: found from their folders, and complete."""

from datetime import timedelta

import pytest

from steps import kinds
from steps.contract import limits


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


@pytest.mark.parametrize("name", kinds.names())
def test_no_event_grows_too_old_while_it_waits_on_the_queue(name: str) -> None:
    waits = timedelta(seconds=limits.QUEUE_MAX_RECEIVES * limits.RETRY_DELAY_MAX)
    assert kinds.event(name)[1] > waits
