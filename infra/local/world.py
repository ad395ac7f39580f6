"""The deployed local stack as an operator and a shop see it: plain boto3, the inbox, the laptop's SES."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from infra.local.children import Plan


class World:
    """Clients of a running stack, and the questions that are asked of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.sns = self.client("sns")
        self.sqs = self.client("sqs")
        self.states = self.client("stepfunctions")
        self.table = boto3.resource("dynamodb", **self.settings.client).Table(
            self.name("email-delivery-tracking")
        )
        self.workflow = self.arn("states", "stateMachine:email-order-workflow")

    def client(self, service: Any, **config: Any) -> Any:
        """Return a boto3 client of the stack; `config` goes to botocore."""
        return boto3.client(service, **self.settings.client, config=Config(**config))

    def name(self, base: str) -> str:
        """Return a resource's name in this environment."""
        return f"{base}-{self.settings.environment_suffix}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of one of the environment's resources, given without its environment."""
        place = f"{self.settings.region}:{self.settings.account}"
        return f"arn:aws:{service}:{place}:{self.name(resource)}"

    def publish(self, *messages: str) -> None:
        """Publish messages to the order topic, as a shop does."""
        for message in messages:
            self.sns.publish(TopicArn=self.arn("sns", "email-order-events"), Message=message)

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

    def executions(self, order_id: str) -> list[dict[str, Any]]:
        """Return the ended executions of an order, the oldest first."""
        pages = self.states.get_paginator("list_executions").paginate(stateMachineArn=self.workflow)
        found = [
            execution
            for page in pages
            for execution in page["executions"]
            if execution["name"].startswith(f"{order_id}-") and execution["status"] != "RUNNING"
        ]
        return found[::-1]

    def history(self, execution: str) -> list[dict[str, Any]]:
        """Return the events of an execution."""
        found: list[dict[str, Any]] = self.states.get_execution_history(
            executionArn=execution, maxResults=1000
        )["events"]
        return found

    def inbox(self, order_id: str = "") -> list[dict[str, Any]]:
        """Return the mails in the inbox, those about an order if one is named."""
        mails: list[dict[str, Any]] = fetch(f"{self.settings.inbox_url}/api/email")
        return [m for m in mails if order_id in m["subject"]]

    def queue_url(self, queue: str) -> str:
        """Return a queue's URL."""
        found: str = self.sqs.get_queue_url(QueueName=self.name(queue))["QueueUrl"]
        return found

    def waiting(self, queue: str) -> int:
        """Count a queue's messages, visible or not."""
        counts = self.sqs.get_queue_attributes(
            QueueUrl=self.queue_url(queue), AttributeNames=["All"]
        )["Attributes"]
        return sum(int(v) for k, v in counts.items() if k.startswith("ApproximateNumberOf"))

    def dead_letters(self, queue: str = "email-order-dlq") -> list[dict[str, Any]]:
        """Take up to ten dead letters out of their queue."""
        url = self.queue_url(queue)
        found: list[dict[str, Any]] = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def ses(self, what: str, body: Any = None, method: str = "") -> Any:
        """Ask or tell the laptop's SES: `/_laptop/<what>`; what has a body is a PUT."""
        method = method or ("GET" if body is None else "PUT")
        return fetch(f"{self.plan.ses_url}/_laptop/{what}", body, method)


def fetch(url: str, body: Any = None, method: str = "GET") -> Any:
    """Make an HTTP request on loopback; JSON in, JSON out."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")
