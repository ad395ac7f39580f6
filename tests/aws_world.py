"""An in-memory AWS for the steps: moto's table and SES, and the environment of the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from infra.config import LOCAL_BRAND
from steps import aws

if TYPE_CHECKING:
    import pytest

SENDER = "orders@example.com"


def tracking_table(patch: pytest.MonkeyPatch) -> None:
    """Make the tracking table and a verified sender; call it inside `mock_aws`."""
    for name, value in {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "TRACKING_TABLE": "tracking",
        "SENDER": SENDER,
        "CONFIGURATION_SET": "mails",
        "BRAND": LOCAL_BRAND.to_json(),
    }.items():
        patch.setenv(name, value)
    for client in (aws.dynamodb, aws.sesv2, aws.stepfunctions, aws.sqs):
        client.cache_clear()
    boto3.client("dynamodb", region_name="us-east-1").create_table(
        TableName="tracking",
        KeySchema=[{"AttributeName": "notificationId", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "notificationId", "AttributeType": "S"},
            {"AttributeName": "messageId", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "MessageIdIndex",
                "KeySchema": [{"AttributeName": "messageId", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    ses = boto3.client("sesv2", region_name="us-east-1")
    ses.create_email_identity(EmailIdentity=SENDER)
    ses.create_configuration_set(ConfigurationSetName="mails")


def table_items() -> list[dict[str, Any]]:
    """Return all records of the tracking table."""
    table = boto3.resource("dynamodb", region_name="us-east-1").Table("tracking")
    return list(table.scan()["Items"])
