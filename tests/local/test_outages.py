"""While SES does not send, mails wait on the queue; they go out when the cause is gone, untouched.

While the table does not answer, SES's events wait.
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from infra.local.running_stack import RunningStack, until
from tests.conftest import load_event

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_dead_letters", "ses_as_it_was")


def test_sending_paused_for_the_account(stack: RunningStack) -> None:
    _waits_and_goes_out(stack, {"paused": True}, {"paused": False})


def test_the_quota_is_used_up(stack: RunningStack) -> None:
    _waits_and_goes_out(stack, {"daily_quota": 0}, {"daily_quota": 50_000})


def test_the_account_is_in_the_sandbox(stack: RunningStack) -> None:
    _waits_and_goes_out(stack, {"sandbox": True}, {"sandbox": False})


def test_the_sender_is_not_verified(stack: RunningStack) -> None:
    _waits_and_goes_out(stack, {"sender_verified": False}, {"sender_verified": True})


def test_sending_paused_for_the_configuration_set(stack: RunningStack) -> None:
    ses = stack.client("sesv2")
    name = stack.name("email-notifications")
    ses.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=False)
    orders = _publish(stack)
    _are_waiting(stack, orders)
    ses.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=True)
    _go_out(stack, orders)


def _waits_and_goes_out(
    stack: RunningStack, cause: dict[str, object], gone: dict[str, object]
) -> None:
    stack.ses("settings", cause)
    orders = _publish(stack)
    _are_waiting(stack, orders)
    stack.ses("settings", gone)
    _go_out(stack, orders)


def _publish(stack: RunningStack) -> list[str]:
    """Publish three orders and wait until each was put off by a dispatcher."""
    until(lambda: not stack.waiting(), what="the messages of other tests")
    before = stack.put_off()
    orders = [f"OUTAGE-{secrets.token_hex(3)}" for _ in range(3)]
    for order in orders:
        # Not of the sender's domain, which is verified, so that the sandbox refuses it.
        event = load_event("order") | {"orderId": order, "customerEmail": "customer@example.net"}
        stack.publish(json.dumps(event))
    until(lambda: len(stack.put_off() - before) == len(orders), what="each mail to be put off")
    return orders


def _are_waiting(stack: RunningStack, orders: list[str]) -> None:
    assert stack.waiting() == len(orders)
    assert [mail for order in orders for mail in stack.inbox(order)] == []


def _go_out(stack: RunningStack, orders: list[str]) -> None:
    for order in orders:
        stack.wait_for_status(order, "DELIVERED", seconds=120)
        assert len(stack.inbox(order)) == 1
    assert stack.waiting("email-order-dlq") == 0


# --- SES's events, while the table does not answer ------------------------------------------------


@contextmanager
def without_table(stack: RunningStack) -> Iterator[None]:
    """Have the table refuse the feedback function."""
    function = stack.client("lambda").get_function_configuration(
        FunctionName=stack.name("email-feedback")
    )
    policy = {"RoleName": function["Role"].rpartition("/")[2], "PolicyName": "outage"}
    denial = {"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}
    iam = stack.client("iam")
    iam.put_role_policy(
        **policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [denial]})
    )
    try:
        yield
    finally:
        iam.delete_role_policy(**policy)


def tries(stack: RunningStack) -> int:
    """Count how often an event was tried, or left since the one before it in its batch could not be folded."""
    lines = map(json.loads, stack.log_lines("email-feedback", filterPattern='"events wait"'))
    return sum(line["events"] for line in lines)


@pytest.mark.usefixtures("impatient_events")
def test_no_event_of_ses_s_is_lost_while_the_table_does_not_answer(stack: RunningStack) -> None:
    orders = [f"OUTAGE-{secrets.token_hex(3)}" for _ in range(3)]
    stack.sqs.purge_queue(QueueUrl=stack.queue_url("email-internal-dlq"))
    with without_table(stack):
        before = tries(stack)
        for order in orders:
            stack.publish(json.dumps(load_event("order") | {"orderId": order}))
        for order in orders:
            stack.wait_for_status(order, "SENT")
        # Of each mail's two events, and once more than Lambda would try what SNS calls it with.
        enough = before + 4 * 2 * len(orders)
        until(
            lambda: tries(stack) >= enough or stack.waiting("email-internal-dlq"),
            what="four tries of each event",
        )
        assert {stack.record(order)["status"] for order in orders} == {"SENT"}
    for order in orders:
        stack.wait_for_status(order, "DELIVERED")
    until(lambda: not stack.waiting("email-ses-events-queue"), what="the events to be folded")
    assert stack.waiting("email-internal-dlq") == 0
