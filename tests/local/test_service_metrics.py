"""The services' metrics: what is put of a stack that is played here, and in how few calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from infra.local.service_metrics import AT_ONCE, ServiceMetrics
from steps.contract.metrics import Metric

if TYPE_CHECKING:
    from infra.local.running_stack import Json

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
GROUPS = ("/aws/lambda/email-send-dev", "/aws/lambda/email-record-dev")


class Stack:
    """A stack with 600 mails behind it, its own SQS, CloudWatch and CloudWatch Logs."""

    workflow = "arn:workflow"

    def __init__(self) -> None:
        self.sqs = self
        self.calls: list[tuple[str, list[Json]]] = []

    def client(self, _service: str) -> Any:
        return self

    def name(self, base: str) -> str:
        return f"{base}-dev"

    def counted(self, metric: Metric, *_: Any) -> float:
        return 600.0 if metric is Metric.SENT else 0.0

    def executions(self) -> list[Json]:
        ended = {"startDate": NOW, "stopDate": NOW + timedelta(seconds=1), "status": "SUCCEEDED"}
        return [{"executionArn": str(number), **ended} for number in range(600)]

    def list_queues(self) -> Json:
        return {"QueueUrls": ["http://127.0.0.1/0/email-order-queue-dev"]}

    def get_queue_attributes(self, **_: Any) -> Json:
        return {"Attributes": {"ApproximateNumberOfMessages": "7"}}

    def describe_log_groups(self, **_: Any) -> Json:
        return {"logGroups": [{"logGroupName": group} for group in GROUPS]}

    def filter_log_events(self, **_: Any) -> Json:
        reports = [{"message": f"REPORT RequestId: {n}\tDuration: 9 ms"} for n in range(600)]
        return {"events": [{"message": "START"}, *reports]}

    def put_metric_data(self, **put: Any) -> None:
        self.calls.append((put["Namespace"], put["MetricData"]))

    def total(self, namespace: str, name: str) -> float:
        data = [datum for space, data in self.calls if space == namespace for datum in data]
        return float(sum(datum["Value"] for datum in data if datum["MetricName"] == name))


def test_figures_go_together() -> None:
    stack: Any = Stack()
    metrics = ServiceMetrics(stack, NOW)
    metrics.poll(NOW)
    assert stack.total("AWS/States", "ExecutionsStarted") == 600
    assert stack.total("AWS/Lambda", "Invocations") == 2 * 600
    assert stack.total("AWS/Lambda", "Duration") == 2 * 600 * 9
    assert stack.total("AWS/SQS", "ApproximateNumberOfMessagesVisible") == 7
    # 1800 figures of executions and 2400 of functions, by the thousand.
    assert len(stack.calls) == 2 + 3 + 1 + 1
    assert max(len(data) for _, data in stack.calls) == AT_ONCE
    metrics.poll(NOW)
    assert stack.total("AWS/States", "ExecutionsStarted") == 600, "an execution is counted once"
