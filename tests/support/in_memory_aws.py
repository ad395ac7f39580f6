"""An in-memory AWS for the steps: moto's table and SES, and the environment of the functions."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from steps.aws.ledger_table import (
    ORDER_ID_INDEX,
    OVERDUE_INDEX,
    LedgerTable,
    dynamodb,
    scanner,
)
from steps.aws.objects import Objects, s3
from steps.aws.queue import sqs
from steps.aws.ses import Ses, sesv2
from steps.aws.workflow import stepfunctions
from steps.contract import limits
from steps.dedup import DedupSettings
from steps.feedback import FeedbackSettings
from steps.ledger import rules
from steps.mail.documents import Attachable
from steps.send import SendSettings, fetch
from tests.support.clock import NOW
from tests.support.sample_mails import NOTIFICATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.service_resource import Table

    from steps.contract.settings import FunctionSettings
    from steps.contract.state import State
    from steps.ledger.rules import Put, Record

SENDER = "orders@example.com"
TABLE = LedgerTable("tracking")
SES = Ses(sender=SENDER, configuration_set="mails")

NO_FILES = partial(fetch, attachable=Attachable.of("", "pdf"), objects=Objects())
"""Fetches nothing: no mail has attachments."""

CREDENTIALS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
STEP_SETTINGS = (
    DedupSettings(tracking_table=TABLE.name, in_doubt_grace_seconds=limits.IN_DOUBT_GRACE),
    SendSettings(
        tracking_table=TABLE.name,
        sender=SES.sender,
        configuration_set=SES.configuration_set,
        attachments_prefix="s3://shop/mails/",
        attachment_types="pdf,xml",
    ),
    FeedbackSettings(
        tracking_table=TABLE.name,
        configuration_set=SES.configuration_set,
        dead_letter_queue="https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
    ),
)
"""What the functions of the order path are told; the record function reads a part of it."""


@contextmanager
def mocked_aws(*, runs_workflows: bool = False) -> Iterator[None]:
    """Have a tracking table, a verified sender and the functions' environment for the length of the block.

    `runs_workflows`: Step Functions runs the executions that are started, as nothing else needs.
    """
    services = mock_aws(config={"stepfunctions": {"execute_state_machine": runs_workflows}})
    with services, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, *STEP_SETTINGS)
        for client in (dynamodb, s3, scanner, sesv2, stepfunctions, sqs):
            client.cache_clear()
        _create_tracking_table()
        _verify_sender()
        yield


def set_environment(patch: pytest.MonkeyPatch, *settings: FunctionSettings) -> None:
    """Set credentials and what functions with these settings are deployed with."""
    for environment in (CREDENTIALS, *(function.to_env() for function in settings)):
        for variable, value in environment.items():
            patch.setenv(variable, value)


def _create_tracking_table() -> None:
    boto3.client("dynamodb").create_table(
        TableName=TABLE.name,
        KeySchema=[{"AttributeName": "notificationId", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "notificationId", "AttributeType": "S"},
            {"AttributeName": "orderId", "AttributeType": "S"},
            {"AttributeName": "overdue", "AttributeType": "S"},
            {"AttributeName": "overdueAt", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": ORDER_ID_INDEX,
                "KeySchema": [{"AttributeName": "orderId", "KeyType": "HASH"}],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": ["status", "timestamp", "customerEmail", "eventType"],
                },
            },
            {
                "IndexName": OVERDUE_INDEX,
                "KeySchema": [
                    {"AttributeName": "overdue", "KeyType": "HASH"},
                    {"AttributeName": "overdueAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def _verify_sender() -> None:
    ses = boto3.client("sesv2")
    ses.create_email_identity(EmailIdentity=SENDER)
    ses.create_configuration_set(ConfigurationSetName=SES.configuration_set)


# --- records --------------------------------------------------------------------------------------


def tracking_table() -> Table:
    """Return the tracking table itself, for what `LedgerTable` does not do."""
    return boto3.resource("dynamodb").Table(TABLE.name)


def stored(notification_id: str = NOTIFICATION_ID) -> Record:
    """Return a record as the table has it; `{}` where there is none."""
    answer = tracking_table().get_item(Key={"notificationId": notification_id})
    return dict(answer.get("Item", {}))


def table_items() -> list[dict[str, Any]]:
    """Return all records of the tracking table."""
    return list(tracking_table().scan()["Items"])


STATE: State = {
    "attempt": 1,
    "lastReceive": False,
    "startedAt": int(NOW),
    "notificationId": NOTIFICATION_ID,
    "orderId": "ORDER1",
    "order": {"eventType": "order.confirmed", "customerEmail": "customer@example.com"},
}
"""What the dedup step gets for the sample notification."""


def claim(owner: str = "me") -> Put:
    """Return the write by which an execution claims the sample notification."""
    return rules.claim(
        notification_id=STATE["notificationId"],
        order_id=STATE["orderId"],
        event_type=STATE["order"]["eventType"],
        recipient=STATE["order"]["customerEmail"],
        owner=owner,
        now=NOW,
    )


def claimed_record(owner: str = "me", /, **changes: object) -> Record:
    """Return the record that a claim leaves, with attributes changed."""
    return dict(claim(owner).record) | changes
