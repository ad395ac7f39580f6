"""The scheduled workflows, end to end on a local stack: budget, reputation, pause, alarms, alerts."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.local import stack
from infra.local.settings import Settings, free_ports
from tests.local_stack import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "000000000000"
SCHEDULED = {"cost-analysis-dev": "cost", "bounce-rate-check-dev": "reputation"}


class World:
    """The stack as an operator sees it, with a queue that hears the alerts."""

    def __init__(self, settings: Settings) -> None:
        def client(service: Any) -> Any:
            return boto3.client(service, **settings.client)

        self.sns, self.sqs, self.states = client("sns"), client("sqs"), client("stepfunctions")
        self.cloudwatch, self.dynamodb = client("cloudwatch"), client("dynamodb")
        self.scheduler, self.ses = client("scheduler"), client("sesv2")
        self.queue = self.sqs.create_queue(QueueName="operator")["QueueUrl"]
        self.topic = f"arn:aws:sns:{settings.region}:{ACCOUNT}:email-alerts-dev"
        queue_arn = f"arn:aws:sqs:{settings.region}:{ACCOUNT}:operator"
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                }
            ],
        }
        self.sqs.set_queue_attributes(
            QueueUrl=self.queue, Attributes={"Policy": json.dumps(policy)}
        )
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue_arn)
        self._region = settings.region

    def arn(self, machine: str) -> str:
        return f"arn:aws:states:{self._region}:{ACCOUNT}:stateMachine:{machine}"

    def run(self, machine: str) -> dict[str, Any]:
        """Run a workflow and return its report."""
        started = self.states.start_execution(stateMachineArn=self.arn(machine), input="{}")
        return self.ended(started["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        def describe() -> Any:
            found = self.states.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        found = until(describe, seconds=60, what="the execution's end")
        assert found["status"] == "SUCCEEDED", (found.get("error"), found.get("cause"))
        report: dict[str, Any] = json.loads(found["output"])["report"]
        return report

    def alerts(self) -> list[dict[str, str]]:
        """Take the alerts that arrived."""
        found: list[dict[str, str]] = []
        while True:
            messages = self.sqs.receive_message(
                QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
            ).get("Messages", [])
            if not messages:
                return found
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def alarm(self, name: str) -> str:
        (found,) = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found["StateValue"])

    def publish(self, order_id: str, address: str) -> None:
        event = {
            "orderId": order_id,
            "customerEmail": address,
            "customerName": "Jo Doe",
            "orderItems": [{"name": "Tea", "quantity": 1, "price": "5.00"}],
            "orderTotal": "5.00",
            "orderTimestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        topic = self.topic.replace("email-alerts", "email-order-events")
        self.sns.publish(TopicArn=topic, Message=json.dumps(event))

    def statuses(self) -> list[str]:
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName="email-delivery-tracking-dev"
        )
        return [
            item["status"]["S"] for page in pages for item in page["Items"] if "orderId" in item
        ]

    def ended_mails(self, expected: int) -> bool:
        return sum(s in ("BOUNCED", "DELIVERED") for s in self.statuses()) == expected


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    aws_port, inbox_port, console_port = free_ports(3)
    return Settings(
        aws_port=aws_port,
        inbox_port=inbox_port,
        console_port=console_port,
        state_dir=tmp_path_factory.mktemp("watch") / "stack",
    )


@pytest.fixture(scope="module")
def world(settings: Settings) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTO_PAUSE_SENDING", "true")
        patch.setenv("COST_BUDGET_THRESHOLD", "0.01")
        with stack.running(settings):
            yield World(settings)


def test_the_schedulers_own_targets_run_both_workflows(world: World) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    for name in SCHEDULED:
        target = world.scheduler.get_schedule(Name=name)["Target"]
        world.scheduler.create_schedule(
            Name=f"{name}-now",
            ScheduleExpression=soon,
            Target=target,
            FlexibleTimeWindow={"Mode": "OFF"},
        )
    for name, kind in SCHEDULED.items():

        def started(name: str = name) -> Any:
            return world.states.list_executions(stateMachineArn=world.arn(name))["executions"]

        (execution,) = until(started, seconds=90, what=f"an execution of {name}")
        report = world.ended(execution["executionArn"])
        key = {"kind": {"S": kind}, "date": {"S": report["date"]}}
        item = world.dynamodb.get_item(TableName="email-reports-dev", Key=key)["Item"]
        assert json.loads(item["report"]["S"]) == report


def test_a_tiny_budget_alerts_once_and_not_at_every_run(world: World) -> None:
    report = world.run("cost-analysis-dev")
    assert report["breaches"] == ["OVER_BUDGET"]
    assert "alert" not in report, "the scheduled run before has told"
    until(
        lambda: world.alarm("email-cost-budget-dev") == "ALARM",
        seconds=30,
        what="the budget's alarm",
    )
    alerts = world.alerts()
    told = [a for a in alerts if a["Subject"].startswith("Order mails: USD")]
    assert len(told) == 1
    assert "the budget is 0.01" in told[0]["Subject"]
    assert "Amazon Simple Email Service: USD" in told[0]["Message"]
    alarmed = [a for a in alerts if a["Subject"].startswith('ALARM: "email-cost-budget-dev"')]
    assert len(alarmed) == 1


def test_bounces_alarm_pause_and_lift(world: World) -> None:
    for n in range(40):
        bounces = n % 5 == 0
        address = f"bounce+{n}@simulator.amazonses.com" if bounces else f"jo{n}@example.com"
        world.publish(f"ORDER-{n}", address)
        if n % 8 == 7:  # Not all at once: a loaded laptop starts cold functions slowly.
            until(
                partial(world.ended_mails, n + 1),
                seconds=120,
                what=f"the first {n + 1} mails' ends",
            )
    assert world.statuses().count("BOUNCED") == 8

    def judged() -> Any:
        report = world.run("bounce-rate-check-dev")
        day = report["windows"]["24 h"]
        return report if (day["sent"], day["bounced"]) == (40, 8) else None

    report = until(judged, seconds=60, what="the metrics of all forty mails")
    assert report["verdict"] == "CRITICAL"
    until(
        lambda: world.alarm("email-bounce-rate-dev") == "ALARM", seconds=60, what="the bounce alarm"
    )
    told = [a for a in world.alerts() if "sending reputation" in a["Subject"]]
    assert len(told) == 1
    message = told[0]["Message"]
    assert message.startswith("SENDING IS PAUSED")
    assert "bounces in" in message
    assert "Last 24 h: " in message
    assert world.run("bounce-rate-check-dev").get("alert") is None

    for n in range(40, 45):
        world.publish(f"ORDER-{n}", f"jo{n}@example.com")
    time.sleep(5)
    assert world.statuses().count("DELIVERED") == 32, "a mail went out while sending is paused"
    command = next(
        line.split() for line in message.splitlines() if line.endswith("--sending-enabled")
    )
    assert command[:3] == ["aws", "sesv2", "put-configuration-set-sending-options"]
    world.ses.put_configuration_set_sending_options(
        ConfigurationSetName=command[4], SendingEnabled=True
    )
    until(
        lambda: world.statuses().count("DELIVERED") == 37, seconds=120, what="the mails that waited"
    )
