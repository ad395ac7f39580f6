"""The fault proxy: what reaches the emulator, and when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

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
    rule = {"service": "dynamodb", "operation": "UpdateItem", "times": 1, "latency": 10_000}
    fetch(f"{plan.faults_url}/_microburst/rules", [rule], "POST")

    def write(seconds: float) -> None:
        through: Any = boto3.client(
            "dynamodb",
            **(plan.settings.client | {"endpoint_url": plan.faults_url}),
            config=Config(read_timeout=seconds, retries={"total_max_attempts": 1}),
        )
        through.update_item(
            TableName="writes",
            Key={"key": {"S": "one"}},
            UpdateExpression="ADD writes :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    def writes() -> int:
        key = {"key": {"S": "one"}}
        item = direct.get_item(TableName="writes", Key=key, ConsistentRead=True)["Item"]
        return int(item["writes"]["N"])

    with pytest.raises(ReadTimeoutError):
        write(seconds=1)
    write(seconds=60)
    assert writes() == 1
    assert stats(plan)["in_flight"] == 1
    until(lambda: stats(plan)["in_flight"] == 0, seconds=60)
    assert writes() == 2
    assert {name: stats(plan)[name] for name in ("late", "late_done")} == {
        "late": 1,
        "late_done": 1,
    }


def queue_behind(plan: Plan, topic: str) -> tuple[Any, str]:
    """Return a client of SQS, and the URL of a queue that gets what is published to a topic."""
    sqs: Any = boto3.client("sqs", **plan.settings.client)
    url = sqs.create_queue(QueueName="batches")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = asked["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns: Any = boto3.client("sns", **plan.settings.client)
    raw = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
    return sqs, url


def test_one_message_of_a_batch_fails(plan: Plan) -> None:
    through: Any = boto3.client("sns", **(plan.settings.client | {"endpoint_url": plan.faults_url}))
    topic = through.create_topic(Name="batches")["TopicArn"]
    sqs, url = queue_behind(plan, topic)
    cut = {"cut_upload": {"after_messages": 1}}
    rule = {"service": "sns", "operation": "PublishBatch", "request": cut}
    fetch(f"{plan.faults_url}/_microburst/rules", [rule], "POST")

    def publish(*messages: str) -> dict[str, list[str]]:
        entries = [
            {
                "Id": str(place),
                "Message": message,
                "MessageAttributes": {"status": {"DataType": "String", "StringValue": message}},
            }
            for place, message in enumerate(messages)
        ]
        answer = through.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        return {name: [one["Id"] for one in answer[name]] for name in ("Successful", "Failed")}

    def arrived() -> list[str]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return sorted(message["Body"] for message in messages)

    assert publish("a", "b & b", "c=c", "d") == {
        "Successful": ["0", "2", "3"],
        "Failed": ["1"],
    }
    assert arrived() == ["a", "c=c", "d"]
    assert publish("alone") == {"Successful": ["0"], "Failed": []}
    assert arrived() == ["alone"]
