"""The fault proxy: what reaches the emulator, and when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from infra.local.loopback import fetch
from infra.local.programs import aws, faults
from infra.local.running_stack import until
from tests.local.emulator import started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.programs import Plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    with started(tmp_path_factory.mktemp("faults"), aws, faults, faults=True) as plan:
        yield plan


def stats(plan: Plan) -> Any:
    return fetch(f"{plan.faults_url}/_microburst/stats")


def test_a_write_that_is_held_back_lands_after_its_repetition(plan: Plan) -> None:
    direct: Any = boto3.client("dynamodb", **plan.settings.client)
    direct.create_table(
        TableName="writes",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    through: Any = boto3.client(
        "dynamodb",
        **(plan.settings.client | {"endpoint_url": plan.faults_url}),
        config=Config(read_timeout=2, retries={"total_max_attempts": 2}),
    )
    rule = {"service": "dynamodb", "operation": "UpdateItem", "times": 1, "latency": 5000}
    fetch(f"{plan.faults_url}/_microburst/rules", [rule], "POST")

    def writes() -> int:
        key = {"key": {"S": "one"}}
        item = direct.get_item(TableName="writes", Key=key, ConsistentRead=True)["Item"]
        return int(item["writes"]["N"])

    start = time.monotonic()
    through.update_item(
        TableName="writes",
        Key={"key": {"S": "one"}},
        UpdateExpression="ADD writes :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert time.monotonic() - start < 5
    assert writes() == 1
    assert stats(plan)["in_flight"] == 1
    until(lambda: stats(plan)["in_flight"] == 0, seconds=10)
    assert writes() == 2
    assert {name: stats(plan)[name] for name in ("late", "late_done")} == {
        "late": 1,
        "late_done": 1,
    }
