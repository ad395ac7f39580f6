"""`order-mail find` and `reconcile` on the local stack, as the support desk has them: by its policy."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.running_stack import until
from tests.conftest import load_event
from tests.support.operator_cli import order_mail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.running_stack import RunningStack
    from tests.support.operator_cli import Answer, OrderMail

pytestmark = pytest.mark.usefixtures("no_dead_letters")


@pytest.fixture
def support(stack: RunningStack) -> Iterator[OrderMail]:
    """The support desk's command line."""
    with order_mail(stack, "support") as support:
        yield support


def fresh(name: str) -> str:
    return f"{name}-{secrets.token_hex(3)}"


def event(order_id: str, **changes: Any) -> str:
    return json.dumps(load_event("order") | {"orderId": order_id} | changes)


def discreet(answer: Answer) -> Answer:
    """Return an answer that names nobody."""
    assert not re.search(r"\S+@\S+", answer.out + answer.notes), answer
    return answer


def words(answer: Answer) -> list[str]:
    return [f"{story['words']}/{story['status']}" for story in answer.json["stories"]]


def test_a_delivered_order(stack: RunningStack, support: OrderMail) -> None:
    order_id = fresh("FOUND")
    stack.publish(event(order_id))
    record = stack.wait_for_status(order_id, "DELIVERED")
    # SES's event may be told before the execution's own last step.
    until(lambda: stack.executions(order_id), what="the end of the execution")
    shown = discreet(support("find", order_id))
    assert shown.exit == 0
    assert "Delivered DELIVERED  Order confirmed" in shown.out
    for term in (record["messageId"], record["notificationId"], record["owner"], order_id):
        found = discreet(support("find", term, "--json"))
        assert (found.exit, words(found)) == (0, ["Delivered/DELIVERED"])
    (story,) = found.json["stories"]
    # Another test may have lifted a pause within the same second.
    whats = [m["what"] for m in story["timeline"] if "pause" not in m["what"]]
    assert whats[:2] == [
        "Published: the event is on the order queue",
        "Taken up: the notification was claimed",
    ]
    assert {"Attempt: sent", "SES: delivered"} <= set(whats[whats.index("Handed to SES") :])
    assert found.json["unasked"] == []
    address = support("find", order_id, "--show-address")
    assert "customer@example.com" in address.out


def test_a_suppressed_address(stack: RunningStack, support: OrderMail) -> None:
    address = f"{fresh('Listed')}@example.com"
    stack.client("sesv2").put_suppressed_destination(EmailAddress=address, Reason="BOUNCE")
    order_id = fresh("SUPPRESSED")
    stack.publish(event(order_id, customerEmail=address))
    stack.wait_for_status(order_id, "BOUNCED")
    found = discreet(support("find", order_id, "--json"))
    assert words(found) == ["Came back/BOUNCED"]
    assert re.fullmatch(
        r"SES did not try: the address is on the account's suppression list since [\d-]{10}, because of a "
        r"bounce\.",
        found.json["stories"][0]["reason"],
    )


def test_rejected_events(stack: RunningStack, support: OrderMail) -> None:
    order_id, nameless = fresh("REJECTED"), fresh("NAMELESS")
    stack.publish(event(order_id, orderTotal="much"))
    stack.wait_for_status(order_id, "REJECTED")
    found = discreet(support("find", order_id, "--json"))
    assert words(found) == ["Rejected/REJECTED"]
    assert "orderTotal: must be an amount" in found.json["stories"][0]["reason"]
    stack.publish(json.dumps({"order": nameless, "customerEmail": "jo@example.com"}))
    until(lambda: support("find", nameless).exit == 0, what="the rejected event")
    found = discreet(support("find", nameless, "--json"))
    assert words(found) == ["Rejected/REJECTED"]
    assert found.json["stories"][0]["order_id"] == "UNKNOWN"


def test_one_that_waits_because_sending_is_paused(stack: RunningStack, support: OrderMail) -> None:
    order_id = fresh("WAITS")
    stack.ses("settings", {"paused": True})
    try:
        stack.publish(event(order_id))
        until(
            lambda: any(order_id in line for line in stack.log_lines("email-processor")),
            seconds=120,
            what="the dispatcher to put the order off",
        )
        found = discreet(support("find", order_id, "--json"))
        listed = discreet(support("reconcile", "-", "--json", answer=f"{order_id}\n"))
        shown = discreet(support("find", order_id))
    finally:
        stack.ses("settings", {"paused": False})
    assert found.exit == 0
    assert found.json["sending"]["stopped"] is True
    assert "SES has stopped the account" in shown.out
    # The dispatcher asks for the account's state once a minute: until then the order is claimed first.
    claimed = [(story["reason"], story["next_step"]) for story in found.json["stories"]]
    unclaimed = [(seen["what"], seen["next_step"]) for seen in found.json["elsewhere"]]
    ((reason, next_step),) = claimed + unclaimed
    assert re.fullmatch(
        r"It waits on the order queue since [\d :-]+UTC: Sending is paused\.", reason
    )
    assert "The next try is at" in next_step
    assert listed.exit == 1
    (missing,) = listed.json["missing"]
    assert missing["seen"].startswith("order queue: It waits")
    stack.wait_for_status(order_id, "DELIVERED", seconds=180)


def test_a_dead_letter(stack: RunningStack, support: OrderMail) -> None:
    order_id = fresh("DEAD")
    stack.publish(event(order_id, note='"' * 120_000))
    until(lambda: stack.waiting("email-order-dlq"), what="a dead letter")
    found = discreet(support("find", order_id, "--json"))
    assert found.json["unasked"] == []
    assert [sighting["what"] for sighting in found.json["elsewhere"]] == [
        "The order was given up: The order event is larger than the workflow takes."
    ]
    listed = discreet(support("reconcile", "-", "--json", answer=f"orderId\n{order_id}\n"))
    assert listed.json["missing"][0]["seen"].startswith("dead letters (email-order-dlq)")
    assert stack.dead_letters()


def test_what_is_not_there(support: OrderMail) -> None:
    answer = discreet(support("find", "NEVER-PUBLISHED"))
    assert answer.exit == 1
    assert "Nothing of NEVER-PUBLISHED is known here" in answer.out


@pytest.mark.parametrize("action", ["dynamodb:GetItem", "dynamodb:Query"])
def test_without_an_action_it_says_which(action: str, stack: RunningStack) -> None:
    with order_mail(stack, "support", action) as support:
        refused = support("find", "0" * 40)
    assert refused.exit == 3
    assert f"{action} is denied" in refused.notes


@pytest.mark.parametrize(
    "action", ["logs:FilterLogEvents", "sqs:ReceiveMessage", "sqs:GetQueueAttributes"]
)
def test_what_cannot_be_asked_is_told_and_nothing_found_is_no_answer(
    action: str, stack: RunningStack
) -> None:
    with order_mail(stack, "support", action) as support:
        refused = support("find", "NEVER-PUBLISHED")
    assert refused.exit == 3
    assert f"{action} is denied" in refused.out
