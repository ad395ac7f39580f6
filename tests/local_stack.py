"""The deployed local stack as the tests see it: plain boto3, the inbox, the laptop's SES."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.children import Plan


class LocalStack:
    """Clients and questions; every method speaks to the running stack."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.table = boto3.resource("dynamodb", **self.settings.client).Table(
            self.name("email-delivery-tracking")
        )
        self.workflow = self.arn("states", "stateMachine:email-order-workflow")

    def client(self, service: Any, **config: Any) -> Any:
        """Return a boto3 client of the stack."""
        return boto3.client(service, **self.settings.client, config=Config(**config))

    def name(self, base: str) -> str:
        return f"{base}-{self.settings.environment_suffix}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.settings.region}:{self.settings.account}:{self.name(resource)}"

    def publish(self, *messages: str) -> None:
        """Publish messages to the order topic, as a shop does."""
        sns = self.client("sns")
        for message in messages:
            sns.publish(TopicArn=self.arn("sns", "email-order-events"), Message=message)

    def records(self, order_id: str) -> list[dict[str, Any]]:
        """Query `OrderIdIndex`."""
        found: list[dict[str, Any]] = self.table.query(
            IndexName="OrderIdIndex",
            KeyConditionExpression="orderId = :o",
            ExpressionAttributeValues={":o": order_id},
        )["Items"]
        return found

    def record(self, order_id: str) -> dict[str, Any]:
        """Return the whole record of the only notification of an order; empty while there is none."""
        found = self.records(order_id)
        if not found:
            return {}
        (one,) = found
        key = {"notificationId": one["notificationId"]}
        item: dict[str, Any] = self.table.get_item(Key=key, ConsistentRead=True).get("Item", {})
        return item

    def wait_for_status(self, order_id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until an order's record has one of the statuses; return the record."""
        record: dict[str, Any] = until(
            lambda: r if (r := self.record(order_id)).get("status") in statuses else None,
            seconds=seconds,
            what=lambda: f"{order_id} to be {'/'.join(statuses)}, it is {self.record(order_id)}",
        )
        return record

    def inbox(self, order_id: str = "") -> list[dict[str, Any]]:
        """Return the mails in the inbox, those about an order if one is named."""
        mails: list[dict[str, Any]] = self.get(f"{self.settings.inbox_url}/api/email")
        return [m for m in mails if order_id in m["subject"]]

    def executions(self, order_id: str) -> list[list[str]]:
        """Return the path of each ended execution of an order, the oldest first."""
        states = self.client("stepfunctions")
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=self.workflow)
        found = [
            e
            for page in pages
            for e in page["executions"]
            if e["name"].startswith(f"{order_id}-") and e["status"] != "RUNNING"
        ]
        return [self.path(e["executionArn"]) for e in reversed(found)]

    def path(self, execution: str) -> list[str]:
        """Return the states that an execution entered."""
        history = self.client("stepfunctions").get_execution_history(
            executionArn=execution, maxResults=1000
        )["events"]
        return [
            e["stateEnteredEventDetails"]["name"]
            for e in history
            if "stateEnteredEventDetails" in e
        ]

    def waiting(self, queue: str) -> int:
        """Count a queue's messages, visible or not."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=self.name(queue))["QueueUrl"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(v) for k, v in counts.items() if k.startswith("ApproximateNumberOf"))

    def dead_letters(self, queue: str = "email-order-dlq") -> list[dict[str, Any]]:
        """Take the dead letters out of their queue."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=self.name(queue))["QueueUrl"]
        found: list[dict[str, Any]] = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def ses(self, what: str, settings: dict[str, Any] | None = None, method: str = "GET") -> Any:
        """Ask or tell the laptop's SES: `/_laptop/<what>`."""
        return self.get(f"{self.plan.ses_url}/_laptop/{what}", settings, method)

    @staticmethod
    def get(url: str, body: Any = None, method: str = "GET") -> Any:
        """Make an HTTP request on loopback; JSON in, JSON out."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            url,
            data=json.dumps(body).encode() if body is not None else None,
            method="PUT" if body is not None and method == "GET" else method,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read() or "null")


def until(
    found: Callable[[], Any], *, seconds: float = 60, what: Callable[[], str] | str = "it"
) -> Any:
    """Wait until `found` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {seconds} s for {what if isinstance(what, str) else what()}"
            )
        time.sleep(0.2)
    return result
