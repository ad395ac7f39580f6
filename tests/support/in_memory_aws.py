"""An in-memory AWS for the steps: moto's table and SES, and the environment of the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from infra.config import LOCAL_BRAND
from steps.aws.ledger_table import LedgerTable, dynamodb
from steps.aws.queue import sqs
from steps.aws.ses import Ses, sesv2
from steps.aws.workflow import stepfunctions
from steps.contract import limits
from steps.dedup import DedupSettings
from steps.render import RenderSettings
from steps.send import SendSettings

if TYPE_CHECKING:
    import pytest

SENDER = "orders@example.com"
TABLE = LedgerTable("tracking")
SES = Ses(sender=SENDER, configuration_set="mails")


def tracking_table(patch: pytest.MonkeyPatch) -> None:
    """Make the tracking table and a verified sender; call it inside `mock_aws`."""
    credentials = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    settings = (
        DedupSettings(tracking_table=TABLE.name, in_doubt_grace_seconds=limits.IN_DOUBT_GRACE),
        RenderSettings(brand=LOCAL_BRAND),
        SendSettings(
            tracking_table=TABLE.name,
            sender=SES.sender,
            configuration_set=SES.configuration_set,
        ),
    )
    for environment in (credentials, *(one.to_env() for one in settings)):
        for name, value in environment.items():
            patch.setenv(name, value)
    for client in (dynamodb, sesv2, stepfunctions, sqs):
        client.cache_clear()
    boto3.client("dynamodb", region_name="us-east-1").create_table(
        TableName=TABLE.name,
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
    ses.create_configuration_set(ConfigurationSetName=SES.configuration_set)


def table_items() -> list[dict[str, Any]]:
    """Return all records of the tracking table."""
    table = boto3.resource("dynamodb", region_name="us-east-1").Table(TABLE.name)
    return list(table.scan()["Items"])
