"""Turns embedded metrics in Lambda's logs into CloudWatch metrics, as AWS does by itself.

Polls the emulator's `/aws/lambda/` log groups, reads the lines that hold an
`_aws.CloudWatchMetrics` object (CloudWatch embedded metric format specification) and calls
PutMetricData. A line is counted once, and only lines written since the start: one whose
PutMetricData got no answer is not sent again.

Start: `python -m infra.local.metrics --help`.
"""

import argparse
import json
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

GROUPS = "/aws/lambda/"
# Lines may show up this much later than they are dated, in milliseconds.
_LATE = 30_000
# What PutMetricData takes at once: data, and values in one of them.
_MAX_DATA = 1000
_MAX_VALUES = 150

_Place = tuple[int, str, int]
"""Timestamp, log stream, and which of the lines with both: the emulator gives no event ids."""
Datum = tuple[str, str, tuple[tuple[str, str], ...], str, int, int]
"""Namespace, name, dimensions, unit, storage resolution in seconds, epoch second."""


def parse(message: str) -> Iterator[tuple[Datum, float]]:
    """Reads one log line.

    Args:
        message: the line; anything that is not embedded metrics gives nothing.

    Yields:
        Each value of each metric in each dimension set.
    """
    if '"CloudWatchMetrics"' not in message:
        return
    try:
        line = json.loads(message)
        meta = line["_aws"]
        second = int(meta["Timestamp"]) // 1000
        for directive in meta["CloudWatchMetrics"]:
            for names in directive.get("Dimensions") or [[]]:
                dimensions = tuple((name, str(line[name])) for name in names)
                for metric in directive["Metrics"]:
                    values = line[metric["Name"]]
                    datum = (
                        directive["Namespace"],
                        metric["Name"],
                        dimensions,
                        metric.get("Unit", "None"),
                        metric.get("StorageResolution", 60),
                        second,
                    )
                    for value in values if isinstance(values, list) else [values]:
                        yield datum, float(value)
    except (KeyError, TypeError, ValueError) as error:
        print(f"metrics: a line is no valid EMF: {type(error).__name__}", file=sys.stderr)


def batch(values: Iterable[tuple[Datum, float]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Gathers values into PutMetricData calls.

    Yields:
        Namespace and MetricData; equal values of one metric and second become counts.
    """
    gathered: dict[Datum, Counter[float]] = defaultdict(Counter)
    for datum, value in values:
        gathered[datum][value] += 1
    by_namespace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (namespace, name, dimensions, unit, resolution, second), counts in gathered.items():
        pairs = list(counts.items())
        by_namespace[namespace] += [
            {
                "MetricName": name,
                "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions],
                "Timestamp": datetime.fromtimestamp(second, UTC),
                "Values": [value for value, _ in pairs[start : start + _MAX_VALUES]],
                "Counts": [float(count) for _, count in pairs[start : start + _MAX_VALUES]],
                "Unit": unit,
                "StorageResolution": resolution,
            }
            for start in range(0, len(pairs), _MAX_VALUES)
        ]
    for namespace, data in by_namespace.items():
        for start in range(0, len(data), _MAX_DATA):
            yield namespace, data[start : start + _MAX_DATA]


class Forwarder:
    """Reads logs and puts metrics; `since` is in epoch milliseconds."""

    def __init__(self, logs: Any, cloudwatch: Any, since: int) -> None:
        self._logs = logs
        self._cloudwatch = cloudwatch
        self._since = since
        self._newest: dict[str, int] = {}
        self._seen: dict[str, set[_Place]] = defaultdict(set)

    def poll(self) -> int:
        """Forwards what is new, and says how many values that was."""
        groups = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=GROUPS)
        names = [group["logGroupName"] for page in groups for group in page["logGroups"]]
        values = [value for name in names for line in self._new(name) for value in parse(line)]
        for namespace, data in batch(values):
            self._cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
        return len(values)

    def _new(self, group: str) -> list[str]:
        start = max(self._since, self._newest.get(group, 0) - _LATE)
        seen = self._seen[group]
        fresh = []
        lines: Counter[tuple[int, str]] = Counter()
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=start, filterPattern='"CloudWatchMetrics"'
        )
        for page in pages:
            for event in page["events"]:
                line = (event["timestamp"], event["logStreamName"])
                lines[line] += 1
                place = (*line, lines[line])
                if place not in seen:
                    seen.add(place)
                    fresh.append(event["message"])
        newest = self._newest[group] = max([start, *(timestamp for timestamp, _, _ in seen)])
        self._seen[group] = {place for place in seen if place[0] >= newest - _LATE}
        return fresh


def main() -> None:
    """Forwards until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.metrics", description=__doc__)
    parser.add_argument("--aws-endpoint", default="http://127.0.0.1:4566", help="the emulator")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--every", type=float, default=1, help="seconds between polls")
    asked = parser.parse_args()

    session = boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's root
        region_name=asked.region,
    )
    # One attempt: a repeated PutMetricData would count twice.
    config = Config(retries={"total_max_attempts": 1})

    def client(service: Any) -> Any:
        return session.client(service, endpoint_url=asked.aws_endpoint, config=config)

    forwarder = Forwarder(client("logs"), client("cloudwatch"), int(time.time() * 1000))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print("metrics: forwarding", flush=True)
    while not stop.wait(asked.every):
        try:
            forwarder.poll()
        except (BotoCoreError, ClientError) as error:
            print(f"metrics: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
