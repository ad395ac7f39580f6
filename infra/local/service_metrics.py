"""The metrics that AWS's services put by themselves and the emulator does not.

They are SES's reputation (the rates since the start: there is no other sender), the queues' depth, the
order workflow's executions and the functions' durations.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from steps.contract.metrics import Metric

if TYPE_CHECKING:
    from infra.local.running_stack import RunningStack

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
        """Put what is new."""
        self._queues()
        self._reputation(now)
        self._executions()
        self._functions(now)

    def _put(self, namespace: str, name: str, value: float, **dimensions: str) -> None:
        self._cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Value": value,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
                }
            ],
        )

    def _queues(self) -> None:
        sqs = self._stack.sqs
        for url in sqs.list_queues().get("QueueUrls", []):
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            for attribute, metric in QUEUE_METRICS.items():
                value = float(attributes["Attributes"].get(attribute, 0))
                self._put("AWS/SQS", metric, value, QueueName=url.rsplit("/", 1)[-1])

    def _reputation(self, now: datetime) -> None:
        def total(metric: Metric) -> float:
            return self._stack.counted(metric, self._start, now)

        if sent := total(Metric.SENT):
            for rate, events in (
                ("BounceRate", Metric.BOUNCED),
                ("ComplaintRate", Metric.COMPLAINT),
            ):
                for dimensions in ({}, {"ses:configuration-set": self._configuration_set}):
                    self._put("AWS/SES", f"Reputation.{rate}", total(events) / sent, **dimensions)

    def _executions(self) -> None:
        dimension = {"StateMachineArn": self._stack.workflow}
        for execution in self._stack.executions():
            if execution["executionArn"] in self._seen:
                continue
            self._seen.add(execution["executionArn"])
            self._put("AWS/States", "ExecutionsStarted", 1, **dimension)
            spent = (execution["stopDate"] - execution["startDate"]) / timedelta(milliseconds=1)
            self._put("AWS/States", "ExecutionTime", spent, **dimension)
            failed = float(execution["status"] != "SUCCEEDED")
            self._put("AWS/States", "ExecutionsFailed", failed, **dimension)

    def _functions(self, now: datetime) -> None:
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
                    self._put("AWS/Lambda", "Invocations", 1, FunctionName=function)
                    self._put("AWS/Lambda", "Duration", float(report[1]), FunctionName=function)
