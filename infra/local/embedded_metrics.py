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
    from collections.abc import Iterator

    from infra.local.running_stack import Json

GROUPS = "/aws/lambda/"
# Lines may show up this much later than they are dated, in milliseconds.
_LATE = 30_000

_Place = tuple[int, str, int]
"""Timestamp, log stream, and which of the lines with both: the emulator gives no event ids."""


def parse(message: str) -> Iterator[tuple[str, Json]]:
    """Read one log line; anything that is not embedded metrics gives nothing.

    Yields:
        Namespace and `MetricData` entry of each value of each metric in each dimension set.
    """
    if '"CloudWatchMetrics"' not in message:
        return
    try:
        line = json.loads(message)
        moment = datetime.fromtimestamp(line["_aws"]["Timestamp"] / 1000, UTC)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for names in directive.get("Dimensions") or [[]]:
                dimensions = [{"Name": name, "Value": str(line[name])} for name in names]
                for metric in directive["Metrics"]:
                    values = line[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        yield (
                            directive["Namespace"],
                            {
                                "MetricName": metric["Name"],
                                "Dimensions": dimensions,
                                "Timestamp": moment,
                                "Value": float(value),
                                "Unit": metric.get("Unit", "None"),
                                "StorageResolution": metric.get("StorageResolution", 60),
                            },
                        )
    except (KeyError, TypeError, ValueError) as error:
        print(f"metrics: a line is no valid EMF: {type(error).__name__}", file=sys.stderr)


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
        data: dict[str, list[Json]] = defaultdict(list)
        for message in (message for name in names for message in self._new(name)):
            for namespace, datum in parse(message):
                data[namespace].append(datum)
        for namespace, metric_data in data.items():
            self._cloudwatch.put_metric_data(Namespace=namespace, MetricData=metric_data)
        return sum(map(len, data.values()))

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
