"""Each function's role, tried for real: what is its job is allowed, what is not is denied."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.emulator import lambda_asset

if TYPE_CHECKING:
    from infra.local.running_stack import RunningStack

PROBE = """
import boto3, botocore.exceptions
def handler(event, context):
    try:
        getattr(boto3.client(event["service"]), event["call"])(**event["arguments"])
        return "allowed"
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""

DENIED = {"AccessDeniedException", "AccessDenied", "AuthorizationError"}
KEY = {"notificationId": {"S": "probe"}}
MAIL = {
    "Destination": {"ToAddresses": ["customer@example.com"]},
    "Content": {"Simple": {"Subject": {"Data": "probe"}, "Body": {"Text": {"Data": "probe"}}}},
}


def table(call: str, **arguments: Any) -> tuple[str, str, dict[str, Any]]:
    return "dynamodb", call, {"TableName": "email-delivery-tracking-test"} | arguments


def get(*attributes: str) -> tuple[str, str, dict[str, Any]]:
    names = {f"#{name}": name for name in attributes}
    return table(
        "get_item",
        Key=KEY,
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
    )


def send(
    sender: str, configuration_set: str = "email-notifications-test"
) -> tuple[str, str, dict[str, Any]]:
    extra = {"FromEmailAddress": sender, "ConfigurationSetName": configuration_set}
    return "sesv2", "send_email", MAIL | extra


def update(key: str) -> tuple[str, str, dict[str, Any]]:
    return table(
        "update_item",
        Key={"notificationId": {"S": key}},
        UpdateExpression="SET probe = :p",
        ExpressionAttributeValues={":p": {"N": "1"}},
    )


def search(function: str) -> tuple[str, str, dict[str, Any]]:
    return "logs", "filter_log_events", {"logGroupName": f"/aws/lambda/{function}-test"}


def document(key: str, call: str = "get_object") -> tuple[str, str, dict[str, Any]]:
    return "s3", call, {"Bucket": "shop-documents", "Key": key}


PUT = table("put_item", Item=KEY)
GET = table("get_item", Key=KEY)
DELETE = table("delete_item", Key=KEY)
SCAN = table("scan")


def scan(*attributes: str, **index: str) -> tuple[str, str, dict[str, Any]]:
    names = {f"#{name}": name for name in attributes}
    return table(
        "scan",
        Select="SPECIFIC_ATTRIBUTES",
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
        **index,
    )


OVERDUE = table(
    "query",
    IndexName="OverdueIndex",
    KeyConditionExpression="overdue = :d AND overdueAt <= :now",
    ExpressionAttributeValues={":d": {"S": "DELAYED"}, ":now": {"N": "0"}},
)
BY_ORDER = table(
    "query",
    IndexName="OrderIdIndex",
    KeyConditionExpression="orderId = :order",
    ExpressionAttributeValues={":order": {"S": "probe"}},
)
OTHER_TABLE = ("dynamodb", "put_item", {"TableName": "some-other-table", "Item": KEY})
SHOP = send("orders@example.com")
OTHER_MACHINE = (
    "stepfunctions",
    "start_execution",
    {"stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:another"},
)
ORDERS = (
    "sns",
    "publish",
    {"TopicArn": "arn:aws:sns:us-east-1:000000000000:email-order-events-test", "Message": "x"},
)


@pytest.mark.parametrize(
    ("function", "allowed", "denied"),
    [
        ("email-validate-test", [], [GET, PUT, SHOP, ORDERS]),
        ("email-dedup-test", [PUT, update("probe")], [GET, DELETE, SCAN, OTHER_TABLE, SHOP]),
        ("email-render-test", [], [GET, PUT, SHOP]),
        (
            "email-send-test",
            [SHOP, update("probe"), document("mails/probe.pdf")],
            [
                document("probe.pdf"),
                document("mails/probe.pdf", "put_object"),
                send("ceo@example.com"),
                send("orders@example.com", "another-set"),
                PUT,
                DELETE,
            ],
        ),
        ("email-record-test", [PUT, update("probe")], [GET, DELETE, SCAN, SHOP]),
        (
            "email-feedback-test",
            [get("status", "events"), update("probe")],
            [GET, get("event"), PUT, DELETE, SCAN, SHOP],
        ),
        (
            "email-overdue-test",
            [update("probe"), OVERDUE],
            [GET, PUT, DELETE, SCAN, BY_ORDER, SHOP],
        ),
        (
            "email-outcomes-test",
            [],
            [GET, PUT, update("probe"), SCAN, SHOP, ORDERS],
        ),
        (
            "email-rejections-test",
            [search("email-validate"), search("email-send")],
            [search("email-record"), GET, PUT, SHOP, ORDERS],
        ),
        (
            "email-reconciliation-test",
            [scan("orderId", "status", "timestamp", IndexName="OrderIdIndex")],
            [
                scan("orderId", "customerEmail", IndexName="OrderIdIndex"),
                table("scan", IndexName="OrderIdIndex"),
                scan("orderId"),
                *(SCAN, GET, PUT, SHOP, ORDERS),
            ],
        ),
        (
            "email-canary-test",
            [get("notificationId", "status", "reason")],
            [GET, get("event"), get("status", "customerEmail"), PUT, update("probe"), SHOP],
        ),
        # That it may touch its own items alone is for tests/infra: MiniStack knows no LeadingKeys.
        ("email-processor-test", [update("pace"), GET], [PUT, SHOP, ORDERS, OTHER_MACHINE]),
    ],
)
def test_a_function_may_do_its_job_and_nothing_else(
    stack: RunningStack,
    function: str,
    allowed: list[tuple[str, str, dict[str, Any]]],
    denied: list[tuple[str, str, dict[str, Any]]],
) -> None:
    for key in ("mails/probe.pdf", "probe.pdf"):
        stack.client("s3").put_object(Bucket="shop-documents", Key=key)
    lambda_ = stack.client("lambda")
    role = lambda_.get_function_configuration(FunctionName=function)["Role"]
    bootstrap = (stack.plan.lambda_dir / "bootstrap").read_text()
    probe = f"probe-{function}"
    lambda_.create_function(
        FunctionName=probe,
        Runtime="provided.al2023",
        Role=role,
        Handler="code.handler",
        Code={"ZipFile": lambda_asset(PROBE, bootstrap)},
        Timeout=20,
    )

    def answer(service: str, call: str, arguments: dict[str, Any]) -> str:
        event = {"service": service, "call": call, "arguments": arguments}
        payload = lambda_.invoke(FunctionName=probe, Payload=json.dumps(event))["Payload"].read()
        result: str = json.loads(payload)
        return result

    try:
        for service, call, arguments in allowed:
            assert answer(service, call, arguments) == "allowed", (call, arguments)
        for service, call, arguments in denied:
            assert answer(service, call, arguments) in DENIED, (call, arguments)
    finally:
        lambda_.delete_function(FunctionName=probe)
        stack.table.delete_item(Key={"notificationId": "probe"})
