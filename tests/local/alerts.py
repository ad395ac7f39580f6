"""What the operators hear: a queue that is subscribed to the alerts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.local.running_stack import Json, RunningStack

QUEUE = "operator"


class Alerts:
    """The alerts of a stack, from now on."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self._heard: list[Json] = []
        queue_url = stack.sqs.create_queue(QueueName=stack.name(QUEUE))["QueueUrl"]
        queue_arn = stack.arn("sqs", QUEUE)
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        stack.sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
        topic = stack.arn("sns", "email-alerts")
        subscribe = stack.sns.subscribe
        self._subscription = subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)

    def hear_no_more(self) -> None:
        """End the subscription, where others use the stack after this."""
        self._stack.sns.unsubscribe(SubscriptionArn=self._subscription["SubscriptionArn"])

    def matching(self, words: str) -> list[Json]:
        """Return the alerts so far with these words in their subject."""
        self._heard += [json.loads(m["Body"]) for m in self._stack.dead_letters(QUEUE)]
        return [alert for alert in self._heard if words in alert["Subject"]]
