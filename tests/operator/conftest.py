"""What the operator's tests share: an environment called `test`, in moto's AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from pytest_socket import disable_socket, enable_socket

from infra.operator import aws, letters
from infra.operator.aws import Deployment
from steps.aws import ledger_table, sources
from tests.operator.environment import ENV, REGION, Environment, SesInMemory
from tests.support.in_memory_aws import mocked_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = (aws._client, aws._queue_url, ledger_table.scanner, sources.dynamodb)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """Tables, queues, log groups and SES of the environment `test`, all empty."""
    monkeypatch.setattr(letters, "WAIT", 0)  # moto has one server.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    disable_socket(allow_unix_socket=True)
    with mocked_aws():
        for cached in CLIENTS:
            cached.cache_clear()
        ses, door = SesInMemory(), aws._client
        monkeypatch.setattr(
            aws,
            "_client",
            lambda service, region: ses if service == "sesv2" else door(service, region),
        )
        yield Environment.make(Deployment.reach(ENV, REGION), ses)
    enable_socket()


@pytest.fixture
def deployment(environment: Environment) -> Deployment:
    """The environment, as the tool reaches it."""
    return environment.deployment
