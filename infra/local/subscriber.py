"""A shop that is told of outcomes: a queue of its own, subscribed to the outcomes topic, and who reads it."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.local.running_stack import Json, RunningStack


class Subscriber:
    """Reads its queue. `told` is every message's outcome, repetitions too, in the order of arrival."""

    def __init__(self, stack: RunningStack, queue_url: str) -> None:
        self._stack = stack
        self._queue_url = queue_url
        self.told: list[Json] = []

    def read(self) -> list[Json]:
        """Take in what is there by now; return all that was told so far."""
        while messages := self._stack.sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                self.told.append(json.loads(message["Body"]))
                self._stack.sqs.delete_message(
                    QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
        return self.told

    def of_order(self, order_id: str) -> list[Json]:
        """Return the data of what was told of an order, each outcome once, in the order of what happened."""
        once = {outcome["id"]: outcome["data"] for outcome in self.read()}
        ours = [data for data in once.values() if data["orderId"] == order_id]
        return sorted(ours, key=lambda data: data["sequence"])


@contextmanager
def subscribed(
    stack: RunningStack, filter_policy: Mapping[str, list[str]] | None = None
) -> Iterator[Subscriber]:
    """Subscribe a queue to the outcomes topic until the block ends; with a policy, to what passes it."""
    topic, name = stack.arn("sns", "email-outcomes"), f"a-shop-{secrets.token_hex(4)}"
    url = stack.sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stack.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    attributes = {"RawMessageDelivery": "true"}
    if filter_policy:
        attributes["FilterPolicy"] = json.dumps(filter_policy)
    subscription = stack.sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    try:
        yield Subscriber(stack, url)
    finally:
        stack.sns.unsubscribe(SubscriptionArn=subscription)
        stack.sqs.delete_queue(QueueUrl=url)
