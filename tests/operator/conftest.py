"""The operator's tests have moto's AWS, with what an environment is called there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from infra.operator import aws
from infra.operator.audit import LOG_GROUP
from infra.operator.aws import Deployment
from steps.aws import sources
from tests.support.in_memory_aws import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """The environment `dev` in moto's AWS: its reports table, its audit log."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    caches = (aws._client, aws._queue_url, sources.dynamodb)
    for cache in caches:
        cache.cache_clear()
    with mock_aws():
        deployment = Deployment.reach("dev", "us-east-1")
        boto3.client("logs").create_log_group(logGroupName=deployment.name(LOG_GROUP))
        boto3.client("dynamodb").create_table(
            TableName=deployment.name("email-reports"),
            KeySchema=[
                {"AttributeName": "kind", "KeyType": "HASH"},
                {"AttributeName": "date", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("kind", "date")
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield deployment
    for cache in caches:
        cache.cache_clear()
