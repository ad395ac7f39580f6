"""Where the scheduled reports get their figures, are kept and alert; and the switch that pauses sending.

Everything that goes wrong is SourceUnavailable: a report says what it lacks.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from steps.aws.sdk import client_config, translated
from steps.contract import limits
from steps.contract.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from mypy_boto3_ce.client import CostExplorerClient
    from mypy_boto3_ce.type_defs import GetCostAndUsageRequestTypeDef, ResultByTimeTypeDef
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import GetAccountResponseTypeDef
    from mypy_boto3_sns.client import SNSClient

    from steps.contract.report_tasks import Alert


class MetricSum(NamedTuple):
    """One statistic of one metric."""

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, str] = {}


class LogLine(NamedTuple):
    """What a function wrote into its log, and when."""

    at: datetime
    message: str


_config = client_config(
    connect=limits.REPORT_CONNECT_TIMEOUT,
    read=limits.REPORT_READ_TIMEOUT,
    attempts=limits.REPORT_ATTEMPTS,
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


@functools.cache
def logs() -> Any:
    """Return the client that reads log groups."""
    return boto3.client("logs", config=_config)


@functools.cache
def sns() -> SNSClient:
    """Return the client that publishes alerts."""
    return boto3.client("sns", config=_config)


def _asking(source: str) -> AbstractContextManager[None]:
    return translated(source, SourceUnavailable)


def cost_and_usage(
    start: date, end: date, *, system: str, region: str
) -> list[ResultByTimeTypeDef]:
    """Return `ResultsByTime`, daily, from `start` to before `end`, by service and tag `app`.

    Asked for is what a region charges for what carries the tag `app` = `system`, and for SES with or
    without it. One request of USD 0.01 where the answer fits a page, as two months of a dozen services do.
    """
    request: GetCostAndUsageRequestTypeDef = {
        "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "Filter": {
            "And": [
                {"Dimensions": {"Key": "REGION", "Values": [region]}},
                {
                    "Or": [
                        {"Tags": {"Key": "app", "Values": [system]}},
                        {
                            "Dimensions": {
                                "Key": "SERVICE",
                                "Values": ["Amazon Simple Email Service"],
                            }
                        },
                    ]
                },
            ]
        },
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "TAG", "Key": "app"}],
    }
    results: list[ResultByTimeTypeDef] = []
    with _asking("Cost Explorer"):
        while True:
            page = cost_explorer().get_cost_and_usage(**request)
            results += page["ResultsByTime"]
            if not (token := page.get("NextPageToken")):
                return results
            request["NextPageToken"] = token


def metric_values(
    metrics: Sequence[MetricSum], start: datetime, end: datetime, *, period: int
) -> list[dict[datetime, float]]:
    """Return each metric's values by the UTC start of their periods (seconds), gaps left out."""
    queries: list[MetricDataQueryTypeDef] = [
        {
            "Id": f"m{i}",
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in metric.dimensions.items()],
                },
                "Period": period,
                "Stat": metric.statistic,
            },
        }
        for i, metric in enumerate(metrics)
    ]
    values: list[dict[datetime, float]] = [{} for _ in metrics]
    with _asking("CloudWatch"):
        pages = cloudwatch().get_paginator("get_metric_data")
        for page in pages.paginate(MetricDataQueries=queries, StartTime=start, EndTime=end):
            for result in page["MetricDataResults"]:
                values[int(result["Id"][1:])] |= dict(
                    zip(result["Timestamps"], result["Values"], strict=True)
                )
    return values


def log_pages(
    group: str, pattern: str, start: datetime, end: datetime, *, limit: int
) -> Iterator[list[LogLine]]:
    """Yield the lines that match a filter pattern, from `start` to before `end`, the oldest first.

    A page has `limit` lines at most. It may be empty and not the last (FilterLogEvents, API Reference).
    """
    request: dict[str, Any] = {
        "logGroupName": group,
        "filterPattern": pattern,
        "startTime": _milliseconds(start),
        "endTime": _milliseconds(end) - 1,
        "limit": limit,
    }
    while True:
        with _asking("CloudWatch Logs"):
            page = logs().filter_log_events(**request)
        yield [
            LogLine(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"])
            for event in page["events"]
        ]
        if not (token := page.get("nextToken")):
            return
        request["nextToken"] = token


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def publish(topic: str, alert: Alert) -> None:
    """Publish an alert to the operators' topic, an ARN."""
    with _asking("SNS"):
        sns().publish(TopicArn=topic, Subject=alert["subject"], Message=alert["message"])


def publish_event(topic: str, message: str) -> None:
    """Publish an order's event to the order topic, an ARN."""
    with _asking("SNS"):
        sns().publish(TopicArn=topic, Message=message)


def account_state() -> GetAccountResponseTypeDef:
    """Return SES's `GetAccount`."""
    with _asking("SES"):
        return sesv2().get_account()


def pause_sending(configuration_set: str) -> None:
    """Stop SES from accepting mails through a configuration set; orders wait on the queue."""
    with _asking("SES"):
        sesv2().put_configuration_set_sending_options(
            ConfigurationSetName=configuration_set, SendingEnabled=False
        )


@dataclass(frozen=True)
class ReportsTable:
    """The table of reports called `name`; found by kind (`cost`, `reputation`, ...) and date."""

    name: str

    def last(self, kind: str) -> dict[str, Any]:
        """Return the newest report of a kind, `{}` where there is none."""
        with _asking("The reports table"):
            answer = dynamodb().query(
                TableName=self.name,
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

    def keep(self, kind: str, report: Mapping[str, Any], expires: int) -> None:
        """Keep a report until `expires` (epoch seconds); of one date, the last one stays."""
        with _asking("The reports table"):
            dynamodb().put_item(
                TableName=self.name,
                Item={
                    "kind": {"S": kind},
                    "date": {"S": report["date"]},
                    "report": {"S": json.dumps(report)},
                    "ttl": {"N": str(expires)},
                },
            )
