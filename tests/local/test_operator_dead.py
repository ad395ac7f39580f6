"""`order-mail dead|resend|erase` as people run them, on the local stack, with the deployed policies."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.running_stack import RunningStack, until
from tests.conftest import load_event
from tests.support.operator_cli import OrderMail, order_mail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_dead_letters")

OLD = "2026-01-01T00:00:00Z"
WHY = ("--reason", "test", "--yes")


@pytest.fixture(scope="module")
def operator(stack: RunningStack) -> Iterator[OrderMail]:
    with order_mail(stack, "operator") as command:
        yield command


def event(order_id: str, **changes: Any) -> dict[str, Any]:
    return load_event("order") | {"orderId": order_id} | changes


def new(name: str) -> str:
    return f"{name}-{secrets.token_hex(3)}"


def dead_letter(
    stack: RunningStack, body: str, queue: str = "email-order-dlq", reason: str = "SendRejected"
) -> None:
    stack.sqs.send_message(
        QueueUrl=stack.queue_url(queue),
        MessageBody=body,
        MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
    )


def settled(stack: RunningStack) -> None:
    until(lambda: stack.waiting() == 0, seconds=120, what="an empty queue")


def test_the_fresh_is_mailed_and_the_stale_is_recorded(
    stack: RunningStack, operator: OrderMail
) -> None:
    fresh, stale, reason = new("FRESH"), new("STALE"), new("Reason")
    old = {"eventType": "order.shipped", "carrier": "UPS", "eventTimestamp": OLD}
    dead_letter(stack, json.dumps(event(fresh)), reason=reason)
    dead_letter(stack, json.dumps(event(stale, **old)), reason=reason)
    for _ in range(2):
        listed = operator("dead", "list", "--json").json
        assert {x["order_id"] for x in listed["letters"] if x["reason"] == reason} == {fresh, stale}
    done = operator("dead", "redrive", "--error", reason, "--fresh-only", "--json", *WHY)
    assert done.exit == 0
    assert done.json.items() >= {"redriven": 1, "rejected": 1, "left": 0, "stayed": []}.items()
    stack.wait_for_status(fresh, "DELIVERED")
    assert [len(stack.inbox(order_id)) for order_id in (fresh, stale)] == [1, 0]
    record = stack.record(stale)
    assert record["status"] == "REJECTED"
    assert record["reasons"] == [
        "eventTimestamp: is too long ago: order.shipped is sent for 14 days after the event"
    ]
    assert stack.paths(stale) == []
    assert operator("dead", "redrive", "--error", reason, *WHY).exit == 1


def test_an_outcome_that_was_set_aside_is_told(stack: RunningStack, operator: OrderMail) -> None:
    """A change that can be read is told; one that cannot stays, and its letter says what to do."""
    good, poison = new("TOLD"), new("POISON")
    image = {
        "notificationId": {"S": "a" * 40},
        "orderId": {"S": good},
        "eventType": {"S": "order.confirmed"},
        "status": {"S": "SENT"},
        "timestamp": {"S": "2026-11-25T16:29:42Z"},
        "sequence": {"N": "5"},
    }
    for reason, new_image in ((good, image), (poison, {"orderId": {"S": poison}})):
        change = {
            "eventName": "MODIFY",
            "dynamodb": {
                "Keys": {"notificationId": {"S": "a" * 40}},
                "NewImage": new_image,
                "SequenceNumber": "1",
                "ApproximateCreationDateTime": 1764088182,
            },
        }
        dead_letter(stack, json.dumps(change), "email-internal-dlq", reason)
    told = operator("dead", "redrive", "--error", good, "--json", *WHY)
    assert (told.exit, told.json["redriven"]) == (0, 1)
    operator("dead", "drop", "--error", poison, *WHY)
    assert operator("dead", "list", "--queue", "email-internal-dlq").out.count(poison) == 0


def test_a_resend_twice_is_one_more_mail(
    stack: RunningStack, operator: OrderMail, tmp_path: Path
) -> None:
    order_id = new("AGAIN")
    stack.publish(json.dumps(event(order_id)))
    of = stack.wait_for_status(order_id, "DELIVERED")["notificationId"]
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event(order_id)))
    words = ("resend", order_id, "--event", str(file), "--json", *WHY)
    with order_mail(stack, "support") as support:
        first = support(*words)
        assert (first.exit, first.json["of"], first.json["status"]) == (0, of, "")
        until(lambda: len(stack.inbox(order_id)) == 2, what="the second mail")
        again = operator(*words)
    assert again.exit == 0
    assert again.json["notification_id"] == first.json["notification_id"]
    assert again.json["status"] in {"SENDING", "SENT", "DELIVERED"}
    settled(stack)
    assert len(stack.inbox(order_id)) == 2
    assert len(stack.records(order_id)) == 2


def test_what_is_erased_is_nowhere_and_sends_nothing(
    stack: RunningStack, operator: OrderMail
) -> None:
    order_id, address = new("ERASED"), f"zoe.{secrets.token_hex(3)}@example.com"
    order = json.dumps(event(order_id, customerEmail=address))
    stack.publish(order)
    stack.wait_for_status(order_id, "DELIVERED")
    wrong = new("WRONG")
    stack.publish(json.dumps(event(wrong, customerEmail=address, orderTotal="a lot")))
    stack.wait_for_status(wrong, "REJECTED")
    dead_letter(stack, json.dumps(event(new("DEAD"), customerEmail=address)))
    erased = operator("erase", "--address", address, "--json", *WHY, seconds=300)
    assert erased.exit == 0, erased
    expected = {
        "records": 1,
        "rejected_events": 1,
        "dead_letters": 1,
        "suppression_entries": 0,
        "letters_not_looked_at": 0,
    }
    assert erased.json["found"] == expected
    assert set(erased.json["left"].values()) == {0}
    stack.publish(order)
    until(lambda: len(stack.paths(order_id)) == 2, what="the second execution")
    settled(stack)
    assert len(stack.inbox(order_id)) == 1
    assert address not in json.dumps(stack.all_records(), default=str).casefold()


DEAD = ("sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility")


@pytest.mark.parametrize(
    ("words", "actions"),
    [
        (("dead", "list"), DEAD),
        (("dead", "show", "x"), DEAD),
        (
            ("dead", "redrive", "--order", "{order}", *WHY),
            ("sqs:SendMessage", "sqs:DeleteMessage", "logs:PutLogEvents"),
        ),
        (("dead", "redrive", "--order", "{order}", "--fresh-only", *WHY), ("sqs:SendMessage",)),
        (("dead", "redrive", "--order", "{stale}", "--fresh-only", *WHY), ("dynamodb:PutItem",)),
        (("dead", "drop", "--order", "{order}", *WHY), ("sqs:DeleteMessage", "logs:PutLogEvents")),
        (
            ("resend", "{sent}", "--event", "{file}", *WHY),
            ("sns:Publish", "dynamodb:Query", "dynamodb:GetItem"),
        ),
        (("erase", "--address", "nobody@example.com", *WHY), ("dynamodb:Scan",)),
        (("erase", "--order", "{sent}", *WHY), ("dynamodb:UpdateItem", "sqs:ReceiveMessage")),
    ],
)
def test_each_command_names_the_action_that_is_denied(
    stack: RunningStack, tmp_path: Path, words: tuple[str, ...], actions: tuple[str, ...]
) -> None:
    names = {name: new(name) for name in ("order", "stale", "sent")}
    old = {"eventType": "order.shipped", "carrier": "UPS", "eventTimestamp": OLD}
    used = " ".join(words)
    if words[0] == "dead":
        dead_letter(stack, json.dumps(event(names["order"])))
    if "{stale}" in used:
        dead_letter(stack, json.dumps(event(names["stale"], **old)))
    if "{sent}" in used:
        stack.publish(json.dumps(event(names["sent"])))
        stack.wait_for_status(names["sent"], "DELIVERED")
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event(names["sent"])))
    for action in actions:
        with order_mail(stack, "operator", action) as hindered:
            refused = hindered(*(word.format(file=file, **names) for word in words))
        assert (refused.exit, refused.out) == (3, ""), refused
        assert f"{action} is denied" in refused.notes
