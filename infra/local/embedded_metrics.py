"""Embedded metrics in Lambda's logs become CloudWatch metrics, as AWS does by itself.

A log line that holds an `_aws.CloudWatchMetrics` object (CloudWatch embedded metric format
specification) is counted once, and only if it was written since the start: one whose PutMetricData got
no answer is not sent again.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.local.running_stack import Json

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
    """Read one log line.

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


def batch(values: Iterable[tuple[Datum, float]]) -> Iterator[tuple[str, list[Json]]]:
    """Gather values into PutMetricData calls.

    Yields:
        Namespace and MetricData; equal values of one metric and second become counts.
    """
    gathered: dict[Datum, Counter[float]] = defaultdict(Counter)
    for datum, value in values:
        gathered[datum][value] += 1
    by_namespace: dict[str, list[Json]] = defaultdict(list)
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


class EmbeddedMetrics:
    """Reads logs and puts metrics; `since` is in epoch milliseconds."""

    def __init__(self, logs: Any, cloudwatch: Any, since: int) -> None:
        self._logs = logs
        self._cloudwatch = cloudwatch
        self._since = since
        self._newest: dict[str, int] = {}
        self._seen: dict[str, set[_Place]] = defaultdict(set)

    def poll(self) -> int:
        """Forward what is new; return how many values that was."""
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
