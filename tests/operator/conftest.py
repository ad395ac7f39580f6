"""What the operator's tests share: an environment called `test`, in moto's AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws
from pytest_socket import disable_socket, enable_socket

from infra.operator import aws
from infra.operator.audit import LOG_GROUP
from infra.operator.aws import Deployment
from steps.aws import sources
from tests.operator.environment import Environment, SesInMemory
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


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """Tables, queues, log groups and SES of the environment `test`, all empty."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    disable_socket(allow_unix_socket=True)
    with mock_aws():
        for cached in (aws._client, aws._queue_url, sources.dynamodb):
            cached.cache_clear()
        ses, door = SesInMemory(), aws._client
        monkeypatch.setattr(
            aws,
            "_client",
            lambda service, region: ses if service == "sesv2" else door(service, region),
        )
        yield Environment.make(Deployment.reach("test", "us-east-1"), ses)
    enable_socket()
