"""An environment in moto's AWS, and what its functions would have left in it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from infra.operator.audit import LOG_GROUP
from infra.operator.letters import INTERNAL, ORDERS
from infra.operator.trail import FEEDBACK_LOG, FUNCTION_LOGS, WORKFLOW_LOG
from steps.contract.order_id import in_name
from tests.conftest import load_event

if TYPE_CHECKING:
    from datetime import datetime

    from infra.operator.aws import Deployment

REGION, ENV = "us-east-1", "test"
QUEUES = (ORDERS, INTERNAL, "email-order-queue", "email-ses-events-queue")
TABLE = f"email-delivery-tracking-{ENV}"
OLD = "2026-01-01T00:00:00Z"
ADDRESS = "customer@example.com"

MESSAGE = "1a2b3c4d-0000-4000-8000-000000000000"
"""The id of a message on the order queue."""


class SesInMemory:
    """SES as the operator's tool asks it; moto has no GetAccount.

    sends: the configuration set's switch. listed: the suppression list. denied: an action that is refused.
    """

    def __init__(self) -> None:
        self.enabled = True
        self.sends = True
        self.denied = ""
        self.listed: dict[str, dict[str, Any]] = {}
        self.exceptions = boto3.client("sesv2", region_name="us-east-1").exceptions

    def get_account(self) -> dict[str, Any]:
        heeded = {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]}
        return {"SendingEnabled": self.enabled, "SuppressionAttributes": heeded}

    def get_configuration_set(self, *, ConfigurationSetName: str) -> dict[str, Any]:  # noqa: N803
        assert ConfigurationSetName == "email-notifications-test"
        return {"SendingOptions": {"SendingEnabled": self.sends}}

    def put_configuration_set_sending_options(
        self,
        *,
        ConfigurationSetName: str,  # noqa: N803
        SendingEnabled: bool,  # noqa: N803
    ) -> None:
        if self.denied:
            said = f"User: arn:x is not authorized to perform: {self.denied} on resource: y"
            error: Any = {"Error": {"Code": "AccessDeniedException", "Message": said}}
            raise ClientError(error, "PutConfigurationSetSendingOptions")
        assert ConfigurationSetName == "email-notifications-test"
        self.sends = SendingEnabled

    def get_suppressed_destination(self, *, EmailAddress: str) -> dict[str, Any]:  # noqa: N803
        if entry := self.listed.get(EmailAddress):
            return {"SuppressedDestination": {"EmailAddress": EmailAddress, **entry}}
        error: Any = {"Error": {"Code": "NotFoundException", "Message": "not on the list"}}
        raise self.exceptions.NotFoundException(error, "GetSuppressedDestination")


@dataclass(frozen=True)
class Environment:
    """The environment, as tests fill it."""

    deployment: Deployment
    ses: SesInMemory

    @classmethod
    def make(cls, deployment: Deployment, ses: SesInMemory) -> Environment:
        """Make everything that the operator's tool asks for."""
        made = cls(deployment, ses)
        made._tables()
        for base in QUEUES:
            deployment.client("sqs").create_queue(QueueName=deployment.name(base))
        deployment.client("sns").create_topic(Name=deployment.name("email-order-events"))
        for base in (WORKFLOW_LOG, *FUNCTION_LOGS, FEEDBACK_LOG, LOG_GROUP):
            group = {"logGroupName": deployment.name(base)}
            deployment.client("logs").create_log_group(**group)
            deployment.client("logs").create_log_stream(**group, logStreamName="one")
        return made

    def _tables(self) -> None:
        dynamodb = self.deployment.client("dynamodb")

        def index(name: str, key: str) -> dict[str, Any]:
            return {
                "IndexName": name,
                "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }

        dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "notificationId", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"}
                for name in ("notificationId", "orderId")
            ],
            GlobalSecondaryIndexes=[index("OrderIdIndex", "orderId")],
            BillingMode="PAY_PER_REQUEST",
        )
        dynamodb.create_table(
            TableName=self.deployment.name("email-reports"),
            KeySchema=[
                {"AttributeName": "kind", "KeyType": "HASH"},
                {"AttributeName": "date", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("kind", "date")
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def log(self, base: str, at: datetime, **said: Any) -> None:
        """Write a line into a log group, given without its environment."""
        self.deployment.client("logs").put_log_events(
            logGroupName=self.deployment.name(base),
            logStreamName="one",
            logEvents=[{"timestamp": round(at.timestamp() * 1000), "message": json.dumps(said)}],
        )

    def execution(self, order_id: str, receives: int = 1, message: str = MESSAGE) -> str:
        """Return the ARN of an execution of an order, as logs show it."""
        name = f"{in_name(order_id)}-{message[:8]}-{receives}"
        return (
            self.deployment.arn("states", "express:email-order-workflow")
            + f":{name}:{uuid.uuid4()}"
        )


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
