"""While SES does not send, mails wait on the queue; they go out when the cause is gone, untouched."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.conftest import load_event
from tests.local_stack import LocalStack, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _ses_as_it_was(stack: LocalStack) -> Iterator[None]:
    yield
    stack.ses("reset", method="POST")


def test_sending_paused_for_the_account(stack: LocalStack) -> None:
    _waits_and_goes_out(stack, {"paused": True}, {"paused": False})


def test_the_quota_is_used_up(stack: LocalStack) -> None:
    _waits_and_goes_out(stack, {"daily_quota": 0}, {"daily_quota": 50_000})


def test_the_account_is_in_the_sandbox(stack: LocalStack) -> None:
    _waits_and_goes_out(stack, {"sandbox": True}, {"sandbox": False})


def test_the_sender_is_not_verified(stack: LocalStack) -> None:
    _waits_and_goes_out(stack, {"sender_verified": False}, {"sender_verified": True})


def test_sending_paused_for_the_configuration_set(stack: LocalStack) -> None:
    ses = stack.client("sesv2")
    name = stack.name("email-notifications")
    ses.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=False)
    orders = _publish(stack)
    _are_waiting(stack, orders)
    ses.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=True)
    _go_out(stack, orders)


def _waits_and_goes_out(
    stack: LocalStack, cause: dict[str, object], gone: dict[str, object]
) -> None:
    stack.ses("settings", cause)
    orders = _publish(stack)
    _are_waiting(stack, orders)
    stack.ses("settings", gone)
    _go_out(stack, orders)


def _publish(stack: LocalStack) -> list[str]:
    """Publish three orders and wait until each was put off by a dispatcher."""
    before = _put_off(stack)
    orders = [f"OUTAGE-{secrets.token_hex(3)}" for _ in range(3)]
    for order in orders:
        # Not of the sender's domain, which is verified, so that the sandbox refuses it.
        event = load_event("order") | {"orderId": order, "customerEmail": "customer@example.net"}
        stack.publish(json.dumps(event))
    until(lambda: _put_off(stack) - before >= len(orders), what="each mail to be put off")
    return orders


def _are_waiting(stack: LocalStack, orders: list[str]) -> None:
    assert stack.waiting("email-order-queue") == len(orders)
    assert [mail for order in orders for mail in stack.inbox(order)] == []


def _put_off(stack: LocalStack) -> int:
    """Count how often a dispatcher said that a mail is to be tried later."""
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=f"/aws/lambda/{stack.name('email-processor')}", filterPattern="later"
        )
    )
    return len({e["message"] for page in pages for e in page["events"]})


def _go_out(stack: LocalStack, orders: list[str]) -> None:
    for order in orders:
        stack.wait_for_status(order, "DELIVERED", seconds=120)
        assert len(stack.inbox(order)) == 1
    assert stack.waiting("email-order-dlq") == 0
