"""Where the scheduled reports get their figures, are kept and alert; and the switch that pauses sending.

Everything that goes wrong is SourceUnavailable: a report says what it lacks.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

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
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import GetAccountResponseTypeDef
    from mypy_boto3_sns.client import SNSClient

    from steps.contract.report_tasks import Alert


class MetricSum(NamedTuple):
    """One statistic of one metric."""

    namespace: str
    name: str
    statistic: Literal["Sum", "Average"]
    dimensions: Mapping[str, str] = {}


POINTS = 1_440
"""The most periods that one GetMetricStatistics may span (CloudWatch API Reference)."""


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
    """Return each metric's values by the UTC start of their periods (seconds), gaps left out.

    GetMetricStatistics answers for one metric at a time, but a million requests a month are free, and those of
    GetMetricData never are (AWS Knowledge Center, "Should I use GetMetricData or GetMetricStatistics?"). All
    are made at once, and together take no longer than one.
    """
    # CloudWatch's periods begin where the request does: so at multiples of their length, whatever `start` is.
    first = datetime.fromtimestamp(start.timestamp() // period * period, UTC)
    span = timedelta(seconds=POINTS * period)
    bounds = [*(first + span * n for n in range(math.ceil((end - first) / span))), end]
    asked = list(itertools.product(range(len(metrics)), itertools.pairwise(bounds)))
    values: list[dict[datetime, float]] = [{} for _ in metrics]
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        answers = pool.map(lambda one: _statistics(metrics[one[0]], *one[1], period=period), asked)
        for (i, _), answer in zip(asked, answers, strict=True):
            values[i] |= answer
    return values


def _statistics(
    metric: MetricSum, start: datetime, end: datetime, *, period: int
) -> dict[datetime, float]:
    with _asking("CloudWatch"):
        points = cloudwatch().get_metric_statistics(
            Namespace=metric.namespace,
            MetricName=metric.name,
            Dimensions=[{"Name": n, "Value": v} for n, v in metric.dimensions.items()],
            StartTime=start,
            EndTime=end,
            Period=period,
            Statistics=[metric.statistic],
        )["Datapoints"]
    return {point["Timestamp"]: point[metric.statistic] for point in points}


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
