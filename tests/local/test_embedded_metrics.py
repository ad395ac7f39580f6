"""Embedded metrics in log lines become CloudWatch metrics, each once."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.local.embedded_metrics import EmbeddedMetrics, parse
from infra.local.programs import aws
from tests.local.emulator import client, started

GROUP = "/aws/lambda/email-send-dev"


def line(at: int = 1_795_507_050_826, **values: Any) -> str:
    names = [name for name in values if name[0].isupper()]
    directive = {
        "Namespace": "EmailNotification",
        "Dimensions": [[]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in names],
    }
    return json.dumps({"_aws": {"Timestamp": at, "CloudWatchMetrics": [directive]}, **values})


def test_a_line_gives_each_value_in_each_dimension_set() -> None:
    metric = {"Name": "Time", "Unit": "Milliseconds", "StorageResolution": 1}
    directive = {"Namespace": "N", "Dimensions": [["service"], []], "Metrics": [metric]}
    meta = {"Timestamp": 5_999, "CloudWatchMetrics": [directive]}
    text = json.dumps({"_aws": meta, "service": "send", "Time": [1, 2.5]})
    parsed = [(datum["Dimensions"], datum["Value"]) for _, datum in parse(text)]
    dimension = {"Name": "service", "Value": "send"}
    assert parsed == [([dimension], 1.0), ([dimension], 2.5), ([], 1.0), ([], 2.5)]
    (first, *_) = parse(text)
    assert first == (
        "N",
        {
            "MetricName": "Time",
            "Dimensions": [dimension],
            "Timestamp": datetime(1970, 1, 1, 0, 0, 5, 999_000, UTC),
            "Value": 1.0,
            "Unit": "Milliseconds",
            "StorageResolution": 1,
        },
    )


@pytest.mark.parametrize("text", ["START RequestId: 1", "{}", '{"CloudWatchMetrics": 1}', ""])
def test_other_lines_give_nothing(text: str) -> None:
    assert list(parse(text)) == []


class FakeLogs:
    """One log group as the emulator shows Lambda's lines: without event ids."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._wanted = ""

    def get_paginator(self, wanted: str) -> "FakeLogs":
        self._wanted = wanted
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        if self._wanted == "describe_log_groups":
            return [{"logGroups": [{"logGroupName": GROUP}]}]
        return [{"events": [e for e in self.events if e["timestamp"] >= asked["startTime"]]}]

    def write(self, timestamp: int, stream: str, *messages: str) -> None:
        common = {"timestamp": timestamp, "logStreamName": stream}
        self.events += [{**common, "message": message} for message in messages]
        self.events.sort(key=lambda event: event["timestamp"])


class FakeCloudWatch:
    total = 0.0

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803 - boto3's
        assert Namespace == "EmailNotification"
        self.total += sum(datum["Value"] for datum in MetricData)


def test_lines_are_counted_once_also_when_equal_or_late() -> None:
    logs, cloudwatch = FakeLogs(), FakeCloudWatch()
    forwarder = EmbeddedMetrics(logs, cloudwatch, since=1_000)
    logs.write(999, "old", line(EmailSent=100))
    logs.write(2_000, "a", line(EmailSent=1), line(EmailSent=1))
    logs.write(2_000, "b", line(EmailSent=1))
    assert (forwarder.poll(), forwarder.poll(), cloudwatch.total) == (3, 0, 3)
    logs.write(40_000, "c", line(EmailSent=1))
    assert (forwarder.poll(), cloudwatch.total) == (1, 4)
    logs.write(15_000, "d", line(EmailSent=1))
    assert (forwarder.poll(), forwarder.poll(), cloudwatch.total) == (1, 0, 5)


def test_metrics_arrive_in_the_emulator(tmp_path: Path) -> None:
    with started(tmp_path, aws) as plan:
        endpoint = plan.settings.aws_url
        logs, cloudwatch = client("logs", endpoint), client("cloudwatch", endpoint)
        now = int(time.time() * 1000)
        forwarder = EmbeddedMetrics(logs, cloudwatch, since=now)
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
        messages = ["START", line(at=now, EmailSent=[1.0]), line(at=now, EmailSent=2)]
        logs.put_log_events(
            logGroupName=GROUP,
            logStreamName="s",
            logEvents=[{"timestamp": now, "message": message} for message in messages],
        )
        assert (forwarder.poll(), forwarder.poll()) == (2, 0)
        moment = datetime.now(UTC)
        [point] = cloudwatch.get_metric_statistics(
            Namespace="EmailNotification",
            MetricName="EmailSent",
            StartTime=moment - timedelta(minutes=5),
            EndTime=moment + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        assert (point["Sum"], point["SampleCount"], point["Unit"]) == (3, 2, "Count")
        logs.close()
        cloudwatch.close()
