"""The shop is told: every outcome comes back as an event, whatever breaks on its way."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from infra.local.processes import mark, marked
from infra.local.running_stack import RunningStack, until
from infra.local.subscriber import Subscriber, subscribed
from steps.contract import outcome_schema
from tests.conftest import load_event

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_dead_letters")

BOUNCING = "bounce+{}@simulator.amazonses.com"


def publish(stack: RunningStack, name: str, **changes: Any) -> str:
    order_id = changes.pop("orderId", f"{name}-{secrets.token_hex(3)}")
    stack.publish(json.dumps(load_event("order") | {"orderId": order_id} | changes))
    return str(order_id)


def statuses(shop: Subscriber, order_id: str) -> list[str]:
    return [data["status"] for data in shop.of_order(order_id)]


@pytest.fixture(scope="module")
def shop(stack: RunningStack) -> Iterator[Subscriber]:
    with subscribed(stack) as subscriber:
        yield subscriber


def test_a_mail_that_arrives_and_one_that_bounces(stack: RunningStack, shop: Subscriber) -> None:
    published = time.monotonic()
    arrives = publish(stack, "ARRIVES")
    bounces = publish(stack, "BOUNCES", customerEmail=BOUNCING.format("x"))
    until(lambda: "DELIVERED" in statuses(shop, arrives), what="a delivery", seconds=30)
    until(lambda: "BOUNCED" in statuses(shop, bounces), what="a bounce", seconds=30)
    assert time.monotonic() - published < 30
    for order_id, end in ((arrives, "DELIVERED"), (bounces, "BOUNCED")):
        told, record = shop.of_order(order_id), stack.record(order_id)
        # SES's own event may be quicker than the record step; then it is the first that is told.
        assert [data["status"] for data in told] in (["SENT", end], [end])
        assert [data["previousStatus"] for data in told] == ["SENDING", "SENT"][: len(told)]
        assert told[-1]["messageId"] == record["messageId"]
        assert told[-1]["sequence"] == record["sequence"]
    assert shop.of_order(bounces)[-1]["reason"] == "Permanent/General"
    assert "@" not in json.dumps(shop.told)
    for outcome in shop.told:
        jsonschema.validate(outcome, outcome_schema.schema())


def test_a_filter_policy_on_the_status_works(stack: RunningStack) -> None:
    only_bad_news = {"status": ["BOUNCED", "REJECTED"]}
    with subscribed(stack, only_bad_news) as shop:
        arrives = publish(stack, "QUIET")
        bounces = publish(stack, "LOUD", customerEmail=BOUNCING.format("y"))
        wrong = publish(stack, "WRONG", orderTotal="much")
        stack.wait_for_status(arrives, "DELIVERED")
        until(lambda: statuses(shop, bounces) == ["BOUNCED"], what="a bounce")
        until(lambda: statuses(shop, wrong) == ["REJECTED"], what="a rejection")
        assert statuses(shop, arrives) == []
        (rejected,) = shop.of_order(wrong)
        assert rejected["reason"] == "InvalidEvent"
        assert rejected["fields"] == ["orderTotal"]


def test_each_parcel_has_its_mail_and_its_outcomes(stack: RunningStack, shop: Subscriber) -> None:
    """Parcels P1, P2, P1, and P1 again with other content: two mails, two duplicates, one of them visible."""
    order_id = f"PARCELS-{secrets.token_hex(3)}"
    shipped = {"eventType": "order.shipped", "carrier": "UPS", "orderId": order_id}
    shipped["eventTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for number in (1, 2):
        publish(stack, "", **shipped, shipmentId=f"P{number}")
        until(lambda n=number: len(stack.inbox(order_id)) == n, what="a mail")  # type: ignore[misc]
    publish(stack, "", **shipped, shipmentId="P1")
    publish(stack, "", **shipped | {"carrier": "DHL"}, shipmentId="P1")
    until(lambda: len(stack.executions(order_id)) == 4, what="four executions")
    assert [path[-1] for path in stack.paths(order_id)] == [
        "Sent",
        "Sent",
        "Duplicate",
        "Duplicate",
    ]
    assert len(stack.inbox(order_id)) == 2
    records = {r["part"]["shipmentId"]: r for r in map(stack.whole, stack.records(order_id))}
    assert set(records) == {"P1", "P2"}
    assert records["P1"]["ignored"] == 1
    assert "ignored" not in records["P2"]

    def delivered() -> set[str]:
        told = shop.of_order(order_id)
        return {data["shipmentId"] for data in told if data["status"] == "DELIVERED"}

    until(lambda: delivered() == {"P1", "P2"}, what="the outcomes of both")


def test_what_cannot_be_told_is_set_aside_and_holds_nothing_up(
    stack: RunningStack, shop: Subscriber
) -> None:
    poison = {"notificationId": f"poison-{secrets.token_hex(3)}", "status": "SENT"}
    stack.table.put_item(Item=poison)
    try:
        order_id = publish(stack, "AFTER-POISON")
        until(lambda: "DELIVERED" in statuses(shop, order_id), what="a delivery")
        letter = until(
            lambda: next(
                (x for x in stack.dead_letters("email-internal-dlq") if "NewImage" in x["Body"]),
                None,
            ),
            what="a letter",
        )
    finally:
        stack.table.delete_item(Key={"notificationId": poison["notificationId"]})
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "UnexpectedError"
    image = json.loads(letter["Body"])["dynamodb"]["NewImage"]
    assert image["notificationId"]["S"] == poison["notificationId"]


def test_what_the_topic_does_not_take_is_told_later(stack: RunningStack, shop: Subscriber) -> None:
    """For a while nobody may publish, then the function is killed at work: nothing is lost."""
    iam = stack.client("iam")
    role = (
        stack.client("lambda")
        .get_function_configuration(FunctionName=stack.name("email-outcomes"))["Role"]
        .rpartition("/")[2]
    )
    denial = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "sns:Publish", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName=role, PolicyName="outage", PolicyDocument=json.dumps(denial))
    try:
        orders = [publish(stack, "OUTAGE") for _ in range(12)]
        for order_id in orders:
            stack.wait_for_status(order_id, "DELIVERED")
        until(
            lambda: stack.log_lines("email-outcomes", filterPattern="not published"),
            what="a refusal",
        )
        assert not any(statuses(shop, order_id) for order_id in orders)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="outage")
    for process in marked(mark(stack.settings.state_dir, "aws")):
        if process.environ().get("AWS_LAMBDA_FUNCTION_NAME") == stack.name("email-outcomes"):
            process.kill()
    until(
        lambda: all(statuses(shop, order_id)[-1:] == ["DELIVERED"] for order_id in orders),
        what="all outcomes",
    )
    assert stack.waiting("email-internal-dlq") == 0


def test_nobody_else_tells_a_shop_anything(stack: RunningStack) -> None:
    with pytest.raises(Exception, match="AuthorizationError"):
        stack.sns.publish(TopicArn=stack.arn("sns", "email-outcomes"), Message="{}")
