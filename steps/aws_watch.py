"""The door to AWS for the scheduled reports, beside `steps.aws`: read figures, keep reports, pause.

Everything that goes wrong is `SourceUnavailable`: a report says what it lacks.
"""

from __future__ import annotations

import functools
import json
import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from steps import limits
from steps.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from mypy_boto3_ce.client import CostExplorerClient
    from mypy_boto3_ce.type_defs import GetCostAndUsageRequestTypeDef
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sesv2 import SESV2Client

Metric = tuple[str, str, str]
"""Namespace, name and statistic of a metric without dimensions."""

_config = Config(
    connect_timeout=limits.WATCH_CALL_CONNECT_TIMEOUT,
    read_timeout=limits.WATCH_CALL_READ_TIMEOUT,
    retries={"mode": "standard", "total_max_attempts": limits.WATCH_CALL_ATTEMPTS},
)


@functools.cache
def cost_explorer() -> CostExplorerClient:
    """Return the Cost Explorer client; its one endpoint is in us-east-1."""
    return boto3.client("ce", region_name="us-east-1", config=_config)


@functools.cache
def cloudwatch() -> CloudWatchClient:
    """Return the client that reads metrics."""
    return boto3.client("cloudwatch", config=_config)


@functools.cache
def sesv2() -> SESV2Client:
    """Return the client that asks for the account's state and pauses a configuration set."""
    return boto3.client("sesv2", config=_config)


@functools.cache
def dynamodb() -> DynamoDBClient:
    """Return the client of the reports table."""
    return boto3.client("dynamodb", config=_config)


def _asking(source: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def translated(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def asked(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                raise SourceUnavailable(f"{source} answered {code}") from error
            except BotoCoreError as error:
                name = type(error).__name__
                raise SourceUnavailable(f"{source} did not answer ({name})") from error

        return asked

    return translated


@_asking("Cost Explorer")
def cost_and_usage(start: date, end: date, *, system: str) -> list[Mapping[str, Any]]:
    """Return `ResultsByTime`, daily, from `start` to before `end`, by service and tag `app`.

    Asked for is what carries the tag `app` = `system`, and SES with or without it. One request of
    USD 0.01 where the answer fits a page, as two months of a dozen services do.
    """
    request: GetCostAndUsageRequestTypeDef = {
        "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "Filter": {
            "Or": [
                {"Tags": {"Key": "app", "Values": [system]}},
                {"Dimensions": {"Key": "SERVICE", "Values": ["Amazon Simple Email Service"]}},
            ]
        },
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "TAG", "Key": "app"}],
    }
    results: list[Mapping[str, Any]] = []
    while True:
        answer = cost_explorer().get_cost_and_usage(**request)
        results += answer["ResultsByTime"]
        if not (token := answer.get("NextPageToken")):
            return results
        request["NextPageToken"] = token


@_asking("CloudWatch")
def metric_values(
    metrics: Sequence[Metric], start: datetime, end: datetime, *, period: int
) -> list[dict[datetime, float]]:
    """Return each metric's values by the UTC start of their periods (seconds), gaps left out."""
    queries: list[MetricDataQueryTypeDef] = [
        {
            "Id": f"m{i}",
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": name},
                "Period": period,
                "Stat": statistic,
            },
        }
        for i, (namespace, name, statistic) in enumerate(metrics)
    ]
    values: list[dict[datetime, float]] = [{} for _ in metrics]
    pages = cloudwatch().get_paginator("get_metric_data")
    for page in pages.paginate(MetricDataQueries=queries, StartTime=start, EndTime=end):
        for result in page["MetricDataResults"]:
            values[int(result["Id"][1:])] |= dict(
                zip(result["Timestamps"], result["Values"], strict=True)
            )
    return values


@_asking("SES")
def account() -> Mapping[str, Any]:
    """Return SES's `GetAccount`."""
    return sesv2().get_account()


@_asking("The reports table")
def last_report(kind: str) -> dict[str, Any]:
    """Return the newest report of a kind (`cost`, `reputation`), `{}` where there is none."""
    answer = dynamodb().query(
        TableName=os.environ["REPORTS_TABLE"],
        KeyConditionExpression="kind = :kind",
        ExpressionAttributeValues={":kind": {"S": kind}},
        ScanIndexForward=False,
        Limit=1,
        ConsistentRead=True,
    )
    newest: dict[str, Any] = (
        json.loads(answer["Items"][0]["report"]["S"]) if answer["Items"] else {}
    )
    return newest


@_asking("The reports table")
def keep_report(kind: str, report: Mapping[str, Any], *, expires: int) -> None:
    """Keep a report under its kind and date until `expires` (epoch seconds); the day's last one stays."""
    dynamodb().put_item(
        TableName=os.environ["REPORTS_TABLE"],
        Item={
            "kind": {"S": kind},
            "date": {"S": report["date"]},
            "report": {"S": json.dumps(report)},
            "ttl": {"N": str(expires)},
        },
    )


@_asking("SES")
def pause(configuration_set: str) -> None:
    """Stop SES from accepting mails through a configuration set; orders wait on the queue."""
    sesv2().put_configuration_set_sending_options(
        ConfigurationSetName=configuration_set, SendingEnabled=False
    )
