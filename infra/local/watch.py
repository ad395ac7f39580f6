"""What AWS measures and bills by itself and the emulator does not: Cost Explorer, and service metrics.

Cost Explorer is moto's server, with sample costs until others are set:

    curl -X POST -d '{"results": [...]}' -H 'Content-Type: application/json' \
        $URL/moto-api/static/ce/cost-and-usage-results

The metrics are SES's reputation (the rates since the start: there is no other sender), the queues'
depth, the order workflow's executions and the functions' durations.
"""

import argparse
import re
import signal
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import ThreadedMotoServer

from infra.local.settings import LOOPBACK
from infra.local.world import fetch
from steps.reports import list_prices
from steps.reports.cost import SES

SAMPLE_MAILS = 6
"""Mails a day that the sample costs are for: as many as the demo sends."""

NAMES = {
    "Lambda": "AWS Lambda",
    "Step Functions": "AWS Step Functions",
    "DynamoDB": "Amazon DynamoDB",
    "SNS": "Amazon Simple Notification Service",
    "SQS": "Amazon Simple Queue Service",
    "X-Ray": "AWS X-Ray",
    "CloudWatch": "AmazonCloudWatch",
}
"""A service's name in `steps/reports/prices.json` to its name in Cost Explorer."""


def sample_costs(today: date, system: str, mails: int = SAMPLE_MAILS) -> dict[str, Any]:
    """Two months of `GetCostAndUsage`, daily, by service and tag `app`, as AWS answers."""
    start = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    services = {SES: (list_prices.ses_price(mails, "NONE"), "app$")} | {
        NAMES[name]: (amount, f"app${system}")
        for name, amount in list_prices.overhead(mails).items()
    }
    days = [start + timedelta(days=n) for n in range((today - start).days)]
    return {
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": f"{day}", "End": f"{day + timedelta(days=1)}"},
                "Total": {},
                "Groups": [_group(name, tag, amount) for name, (amount, tag) in services.items()],
                "Estimated": day.month == today.month,
            }
            for day in days
        ],
        "DimensionValueAttributes": [],
    }


def _group(service: str, tag: str, amount: Decimal) -> dict[str, Any]:
    return {
        "Keys": [service, tag],
        "Metrics": {"UnblendedCost": {"Amount": f"{amount:f}", "Unit": "USD"}},
    }


def set_costs(url: str, results: list[dict[str, Any]]) -> None:
    """Let Cost Explorer at `url` give these answers, one after the other, to questions that are new."""
    fetch(f"{url}/moto-api/static/ce/cost-and-usage-results", {"results": results}, "POST")


REPORT = re.compile(r"REPORT .*?Duration: (\d+) ms")


class ServiceMetrics:
    """Puts what AWS's services would."""

    def __init__(self, clients: dict[str, Any], environment: str) -> None:
        self._clients = clients
        self._environment = environment
        self._start = datetime.now(UTC)
        self._seen: set[str] = set()
        self._read = int(self._start.timestamp() * 1000)

    def poll(self) -> None:
        """Measure once."""
        self._queues()
        self._reputation()
        self._executions()
        self._functions()

    def _put(self, namespace: str, name: str, value: float, **dimensions: str) -> None:
        self._clients["cloudwatch"].put_metric_data(
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
        for url in self._clients["sqs"].list_queues().get("QueueUrls", []):
            found = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            for name in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"):
                metric = {"ApproximateNumberOfMessages": f"{name}Visible"}.get(name, name)
                value = float(found["Attributes"].get(name, 0))
                self._put("AWS/SQS", metric, value, QueueName=url.rsplit("/", 1)[-1])

    def _reputation(self) -> None:
        def total(name: str) -> float:
            points = self._clients["cloudwatch"].get_metric_statistics(
                Namespace="EmailNotification",
                MetricName=name,
                StartTime=self._start - timedelta(minutes=1),
                EndTime=datetime.now(UTC) + timedelta(minutes=1),
                Period=60,
                Statistics=["Sum"],
            )["Datapoints"]
            return float(sum(p["Sum"] for p in points))

        if sent := total("EmailSent"):
            for metric, ours in (("BounceRate", "Bounced"), ("ComplaintRate", "Complaint")):
                self._put("AWS/SES", f"Reputation.{metric}", total(f"Email{ours}") / sent)

    def _executions(self) -> None:
        name = f"email-order-workflow-{self._environment}"
        states = self._clients["stepfunctions"]
        for machine in states.list_state_machines()["stateMachines"]:
            if machine["name"] != name:
                continue
            arn = machine["stateMachineArn"]
            for run in states.list_executions(stateMachineArn=arn, maxResults=1000)["executions"]:
                if run["status"] == "RUNNING" or run["executionArn"] in self._seen:
                    continue
                self._seen.add(run["executionArn"])
                self._put("AWS/States", "ExecutionsStarted", 1, StateMachineArn=arn)
                spent = (run["stopDate"] - run["startDate"]).total_seconds() * 1000
                self._put("AWS/States", "ExecutionTime", spent, StateMachineArn=arn)
                failed = float(run["status"] != "SUCCEEDED")
                self._put("AWS/States", "ExecutionsFailed", failed, StateMachineArn=arn)

    def _functions(self) -> None:
        """Read the platform's REPORT lines; errors and throttles are not in them."""
        since, self._read = self._read, int(datetime.now(UTC).timestamp() * 1000)
        logs = self._clients["logs"]
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
            lines = logs.filter_log_events(
                logGroupName=group["logGroupName"], startTime=since, endTime=self._read - 1
            )["events"]
            function = group["logGroupName"].rsplit("/", 1)[-1]
            for line in lines:
                if found := REPORT.match(line["message"]):
                    self._put("AWS/Lambda", "Invocations", 1, FunctionName=function)
                    self._put("AWS/Lambda", "Duration", float(found[1]), FunctionName=function)


def main() -> None:
    """Serve and measure until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.watch", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of Cost Explorer")
    parser.add_argument("--aws-endpoint", default=f"http://{LOOPBACK}:4566", help="the emulator")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--environment", default="dev")
    parser.add_argument("--every", type=float, default=5, help="seconds between measurements")
    asked = parser.parse_args()

    server = ThreadedMotoServer(ip_address=LOOPBACK, port=asked.port, verbose=False)
    server.start()
    system = f"order-mail-{asked.environment}"
    set_costs(f"http://{LOOPBACK}:{asked.port}", [sample_costs(datetime.now(UTC).date(), system)])

    session = boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's root
        region_name=asked.region,
    )
    names: Any = ("cloudwatch", "logs", "sqs", "stepfunctions")
    clients: dict[str, Any] = {
        name: session.client(name, endpoint_url=asked.aws_endpoint) for name in names
    }
    service_metrics = ServiceMetrics(clients, asked.environment)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(asked.every):
        try:
            service_metrics.poll()
        except (BotoCoreError, ClientError) as error:
            print(f"watch: {error}", file=sys.stderr, flush=True)
    server.stop()


if __name__ == "__main__":
    main()
