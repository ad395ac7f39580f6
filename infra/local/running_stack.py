"""The deployed local stack as an operator and a shop see it: plain boto3, the inbox, the laptop's SES."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config

from infra.local.loopback import fetch
from steps.contract.metrics import namespace

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from infra.local.programs import Plan
    from steps.contract.metrics import Metric

ONCE_A_SECOND = {"total_max_attempts": 8, "mode": "standard"}
"""SES answers all actions but sends once a second, together (SES Developer Guide, "Service quotas")."""

T = TypeVar("T")
Json = dict[str, Any]
"""An answer of AWS's, of the inbox's, or a record: what a JSON object holds."""


class RunningStack:
    """Clients of a running stack, and the questions that are asked of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.sns = self.client("sns")
        self.sqs = self.client("sqs")
        self.states = self.client("stepfunctions")
        self.table = boto3.resource("dynamodb", **self.settings.client).Table(
            self.name("email-delivery-tracking")
        )
        self.workflow = self.arn("states", "stateMachine:email-order-workflow")

    def client(self, service: Any, **config: Any) -> Any:
        """Return a boto3 client of the stack; `config` goes to botocore."""
        if service == "sesv2":
            config = {"retries": ONCE_A_SECOND} | config
        return boto3.client(service, **self.settings.client, config=Config(**config))

    def name(self, base: str) -> str:
        """Return a resource's name in this environment."""
        return f"{base}-{self.settings.environment_suffix}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of one of the environment's resources, given without its environment."""
        place = f"{self.settings.region}:{self.settings.account}"
        return f"arn:aws:{service}:{place}:{self.name(resource)}"

    # --- orders and their records -----------------------------------------------------------------

    def publish(self, *messages: str) -> None:
        """Publish messages to the order topic, as a shop does."""
        for message in messages:
            self.sns.publish(TopicArn=self.arn("sns", "email-order-events"), Message=message)

    def all_records(self) -> list[Json]:
        """Scan the tracking table for the records of notifications."""
        pages = self.table.meta.client.get_paginator("scan").paginate(
            TableName=self.table.name, ConsistentRead=True
        )
        return [item for page in pages for item in page["Items"] if "orderId" in item]

    def records(self, order_id: str) -> list[Json]:
        """Query `OrderIdIndex`."""
        return self.table.query(
            IndexName="OrderIdIndex",
            KeyConditionExpression="orderId = :o",
            ExpressionAttributeValues={":o": order_id},
        )["Items"]

    def record(self, order_id: str) -> Json:
        """Return the whole record of the only notification of an order; empty while there is none."""
        records = self.records(order_id)
        if not records:
            return {}
        (record,) = records
        return self.whole(record)

    def whole(self, record: Json) -> Json:
        """Return all of a record of which `OrderIdIndex` shows a part."""
        key = {"notificationId": record["notificationId"]}
        return self.table.get_item(Key=key, ConsistentRead=True).get("Item", {})

    def wait_for_status(self, order_id: str, *statuses: str, seconds: float = 120) -> Json:
        """Wait until an order's record has one of the statuses; return the record."""
        return until(
            lambda: r if (r := self.record(order_id)).get("status") in statuses else None,
            seconds=seconds,
            what=lambda: f"{order_id} to be {'/'.join(statuses)}, it is {self.record(order_id)}",
        )

    # --- executions -------------------------------------------------------------------------------

    def executions(self, order_id: str = "") -> list[Json]:
        """Return the ended executions of an order, or of all, the oldest first."""
        pages = self.states.get_paginator("list_executions").paginate(
            stateMachineArn=self.workflow, PaginationConfig={"PageSize": 1000}
        )
        prefix = f"{order_id}-" if order_id else ""
        ended = [
            execution
            for page in pages
            for execution in page["executions"]
            if execution["name"].startswith(prefix) and execution["status"] != "RUNNING"
        ]
        return ended[::-1]

    def history(self, execution: str) -> list[Json]:
        """Return the events of an execution."""
        history: Json = self.states.get_execution_history(executionArn=execution, maxResults=1000)
        events: list[Json] = history["events"]
        return events

    def path(self, execution: str) -> list[str]:
        """Return the states that an execution entered."""
        events = self.history(execution)
        return [
            e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e
        ]

    def paths(self, order_id: str) -> list[list[str]]:
        """Return the path of each ended execution of an order, the oldest first."""
        return [self.path(e["executionArn"]) for e in self.executions(order_id)]

    def report(self, base: str) -> Json:
        """Run a scheduled workflow and return its report."""
        machine = self.arn("states", f"stateMachine:{base}")
        execution = self.states.start_execution(stateMachineArn=machine, input="{}")
        return self.report_of(execution["executionArn"])

    def report_of(self, execution: str) -> Json:
        """Wait for a scheduled workflow's execution and return its report.

        Raises:
            RuntimeError: it did not succeed.
        """

        def describe() -> Json | None:
            described: Json = self.states.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        ended = until(describe, what=f"the end of {execution}")
        if ended["status"] != "SUCCEEDED":
            raise RuntimeError(f"{execution} ended {ended['status']}: {ended.get('error', '')}")
        report: Json = json.loads(ended["output"])["report"]
        return report

    # --- mails ------------------------------------------------------------------------------------

    def inbox(self, order_id: str = "") -> list[Json]:
        """Return the mails in the inbox, those about an order if one is named."""
        mails: list[Json] = fetch(f"{self.settings.inbox_url}/api/email")
        return [mail for mail in mails if order_id in mail["subject"]]

    def ses(self, what: str, body: Any = None, method: str = "") -> Any:
        """Ask or tell the laptop's SES: `/_laptop/<what>`; what has a body is a PUT."""
        method = method or ("GET" if body is None else "PUT")
        return fetch(f"{self.plan.ses_url}/_laptop/{what}", body, method)

    # --- queues, logs and metrics -----------------------------------------------------------------

    def queue_url(self, queue: str) -> str:
        """Return a queue's URL."""
        url: str = self.sqs.get_queue_url(QueueName=self.name(queue))["QueueUrl"]
        return url

    def waiting(self, queue: str = "email-order-queue") -> int:
        """Count a queue's messages, visible or not."""
        counts = self.sqs.get_queue_attributes(
            QueueUrl=self.queue_url(queue), AttributeNames=["All"]
        )["Attributes"]
        return sum(int(v) for k, v in counts.items() if k.startswith("ApproximateNumberOf"))

    def dead_letters(self, queue: str = "email-order-dlq") -> list[Json]:
        """Take up to ten dead letters out of their queue."""
        url = self.queue_url(queue)
        letters: list[Json] = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for letter in letters:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
        return letters

    def log_lines(self, function: str, **asked: Any) -> list[str]:
        """Return what a function logged; `asked` goes to FilterLogEvents."""
        paginator = self.client("logs").get_paginator("filter_log_events")
        pages = paginator.paginate(logGroupName=f"/aws/lambda/{self.name(function)}", **asked)
        return [event["message"] for page in pages for event in page["events"]]

    def put_off(self) -> set[str]:
        """Return the ids of the messages of which a dispatcher has said that they are tried later."""
        lines = map(json.loads, self.log_lines("email-processor", filterPattern="later"))
        return {line["message_id"] for line in lines if line["message"] == "later"}

    def counted(self, metric: Metric, since: datetime, until: datetime) -> float:
        """Sum up one of our own metrics."""
        environment = self.settings.environment_suffix
        return self.metric_sum(namespace(environment), metric, since, until)

    def metric_sum(
        self, namespace: str, name: str, since: datetime, until: datetime, **dimensions: str
    ) -> float:
        """Sum up a metric."""
        points = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": n, "Value": v} for n, v in dimensions.items()],
            StartTime=since,
            EndTime=until + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))


def until(
    answer: Callable[[], T | None],
    *,
    seconds: float = 120,
    what: Callable[[], str] | str = "it",
    every: float = 0.2,
) -> T:
    """Ask until the answer is something true, and return that.

    Raises:
        TimeoutError: it was not in time; `what` says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (answered := answer()):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"waited {seconds} s for {what if isinstance(what, str) else what()}"
            )
        time.sleep(every)
    return answered
