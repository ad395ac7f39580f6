"""The metrics that AWS's services put by themselves and the emulator does not.

They are SES's reputation (the rates since the start: there is no other sender), the queues' depth, the
order workflow's executions and the functions' durations.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from steps.contract.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.running_stack import Json, RunningStack

    Datum = tuple[str, Json]
    """A namespace and an entry of PutMetricData's `MetricData`."""

AT_ONCE = 1000
"""PutMetricData takes so many (CloudWatch User Guide, "Service quotas")."""

REPORT = re.compile(r"REPORT .*?Duration: (\d+) ms")

QUEUE_METRICS = {
    "ApproximateNumberOfMessages": "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
}
"""A queue's attribute to the metric of the same figure."""


class ServiceMetrics:
    """Puts what AWS's services would, of what happened since a moment."""

    def __init__(self, stack: RunningStack, since: datetime) -> None:
        self._stack = stack
        self._cloudwatch, self._logs = stack.client("cloudwatch"), stack.client("logs")
        self._configuration_set = stack.name("email-notifications")
        self._start = since.replace(second=0, microsecond=0)  # Metrics are kept by the minute.
        self._read = since
        self._seen: set[str] = set()

    def poll(self, now: datetime) -> None:
        """Put what is new, in few calls: a mail leaves twenty figures, and a call costs more than a figure."""
        data: dict[str, list[Json]] = defaultdict(list)
        for source in (
            self._queues(),
            self._reputation(now),
            self._executions(),
            self._functions(now),
        ):
            for namespace, datum in source:
                data[namespace].append(datum)
        for namespace, entries in data.items():
            for start in range(0, len(entries), AT_ONCE):
                self._cloudwatch.put_metric_data(
                    Namespace=namespace, MetricData=entries[start : start + AT_ONCE]
                )

    def _queues(self) -> Iterator[Datum]:
        sqs = self._stack.sqs
        for url in sqs.list_queues().get("QueueUrls", []):
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            for attribute, metric in QUEUE_METRICS.items():
                value = float(attributes["Attributes"].get(attribute, 0))
                yield _datum("AWS/SQS", metric, value, QueueName=url.rsplit("/", 1)[-1])

    def _reputation(self, now: datetime) -> Iterator[Datum]:
        def total(metric: Metric) -> float:
            return self._stack.counted(metric, self._start, now)

        if sent := total(Metric.SENT):
            for rate, events in (
                ("BounceRate", Metric.BOUNCED),
                ("ComplaintRate", Metric.COMPLAINT),
            ):
                for dimensions in ({}, {"ses:configuration-set": self._configuration_set}):
                    share = total(events) / sent
                    yield _datum("AWS/SES", f"Reputation.{rate}", share, **dimensions)

    def _executions(self) -> Iterator[Datum]:
        dimension = {"StateMachineArn": self._stack.workflow}
        for execution in self._stack.executions():
            if execution["executionArn"] in self._seen:
                continue
            self._seen.add(execution["executionArn"])
            yield _datum("AWS/States", "ExecutionsStarted", 1, **dimension)
            spent = (execution["stopDate"] - execution["startDate"]) / timedelta(milliseconds=1)
            yield _datum("AWS/States", "ExecutionTime", spent, **dimension)
            failed = float(execution["status"] != "SUCCEEDED")
            yield _datum("AWS/States", "ExecutionsFailed", failed, **dimension)

    def _functions(self, now: datetime) -> Iterator[Datum]:
        """Read the platform's REPORT lines; errors and throttles are not in them."""
        since, self._read = self._read, now
        for group in self._logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
            events = self._logs.filter_log_events(
                logGroupName=group["logGroupName"],
                startTime=int(since.timestamp() * 1000),
                endTime=int(now.timestamp() * 1000) - 1,
            )["events"]
            function = group["logGroupName"].rsplit("/", 1)[-1]
            for event in events:
                if report := REPORT.match(event["message"]):
                    yield _datum("AWS/Lambda", "Invocations", 1, FunctionName=function)
                    yield _datum("AWS/Lambda", "Duration", float(report[1]), FunctionName=function)


def _datum(namespace: str, name: str, value: float, **dimensions: str) -> Datum:
    return namespace, {
        "MetricName": name,
        "Value": value,
        "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
    }
