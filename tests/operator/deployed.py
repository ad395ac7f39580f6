"""An environment in moto's AWS as the tests of letters, resends and erasures need it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.operator import aws, letters
from infra.operator.audit import LOG_GROUP
from infra.operator.aws import Deployment
from infra.operator.letters import INTERNAL, ORDERS
from tests.conftest import load_event
from tests.support.in_memory_aws import mocked_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION, ENV = "us-east-1", "test"
TABLE = f"email-delivery-tracking-{ENV}"
QUEUES = (ORDERS, INTERNAL, "email-order-queue", "email-ses-events-queue")
OLD = "2026-01-01T00:00:00Z"
ADDRESS = "customer@example.com"


@contextmanager
def deployed() -> Iterator[Deployment]:
    """Have the environment `test`: queues, the tracking table, the audit log, the order topic."""
    with mocked_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(letters, "WAIT", 0)  # moto has one server.
        for cache in (aws._client, aws._queue_url):
            cache.cache_clear()
        for queue in QUEUES:
            boto3.client("sqs").create_queue(QueueName=f"{queue}-{ENV}")
        boto3.client("sns").create_topic(Name=f"email-order-events-{ENV}")
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "notificationId", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "notificationId", "AttributeType": "S"},
                {"AttributeName": "orderId", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "OrderIdIndex",
                    "KeySchema": [{"AttributeName": "orderId", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        boto3.client("logs").create_log_group(logGroupName=f"{LOG_GROUP}-{ENV}")
        yield Deployment.reach(ENV, REGION)
    for cache in (aws._client, aws._queue_url):
        cache.cache_clear()
    boto3.setup_default_session()


def put(deployment: Deployment, queue: str, body: str, **attributes: str) -> str:
    """Put a letter into a queue; return its message id."""
    return str(
        deployment.client("sqs").send_message(
            QueueUrl=deployment.queue_url(queue),
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )["MessageId"]
    )


def an_order(order_id: str, **changes: Any) -> str:
    return json.dumps(load_event("order") | {"orderId": order_id} | changes)


def stale(order_id: str) -> str:
    return an_order(order_id, eventType="order.shipped", carrier="UPS", eventTimestamp=OLD)


def waiting(deployment: Deployment, queue: str = "email-order-queue") -> list[dict[str, Any]]:
    answer = deployment.client("sqs").receive_message(
        QueueUrl=deployment.queue_url(queue),
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
        MessageAttributeNames=["All"],
    )
    return list(answer.get("Messages", []))


def bodies(deployment: Deployment, queue: str = "email-order-queue") -> list[str]:
    return sorted(message["Body"] for message in waiting(deployment, queue))


def records() -> list[dict[str, Any]]:
    return list(boto3.resource("dynamodb").Table(TABLE).scan()["Items"])


def audit_lines() -> list[dict[str, Any]]:
    events = boto3.client("logs").filter_log_events(logGroupName=f"{LOG_GROUP}-{ENV}")["events"]
    return [json.loads(event["message"]) for event in events]


def keep(record: dict[str, Any]) -> None:
    """Put an item into the tracking table."""
    boto3.resource("dynamodb").Table(TABLE).put_item(Item=record)
