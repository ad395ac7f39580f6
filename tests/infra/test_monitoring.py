"""Alarms, dashboards and alerts: what they name exists, and they stay inside the always-free tier."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from statemachines.__main__ import asl
from steps.contract.metrics import Metric
from tests.infra.conftest import Templates, resources, synth
from tests.infra.test_stacks import actions, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

WatchedMetric = tuple[str, str, tuple[tuple[str, str], ...]]

AWS_METRICS = {
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": {"Errors", "Duration", "Throttles", "Invocations"},
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    "AWS/States": {"ExecutionsStarted", "ExecutionsFailed", "ExecutionTime"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
    },
    # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-cloudwatch.html
    "AWS/SES": {"Reputation.BounceRate", "Reputation.ComplaintRate"},
}

TEN = {
    "EmailSent",
    "EmailDelivered",
    "EmailBounced",
    "EmailComplaint",
    "TotalCost",
    "CostPerEmail",
    "EmailDuplicate",
    "EmailRejected",
    "EmailFailed",
    "EmailInDoubt",
}
"""As the contract has them."""


def emitted() -> set[str]:
    """The metrics that the steps' code names where it counts."""
    return {
        Metric[node.attr]
        for file in Path("steps").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Metric"
    }


def monitoring(templates: Templates) -> dict[str, Any]:
    return templates["cost-monitoring-prod"]


def dashboards(templates: Templates) -> dict[str, dict[str, Any]]:
    found = resources(templates["TapStackprod"], "AWS::CloudWatch::Dashboard").values()
    return {d["DashboardName"]: json.loads(_joined(d["DashboardBody"])) for d in found}


def _joined(body: dict[str, Any]) -> str:
    """What CloudFormation makes of it; the region is the one token in a dashboard."""
    return "".join(p if isinstance(p, str) else "us-east-1" for p in body["Fn::Join"][1])


def alarms(templates: Templates) -> dict[str, dict[str, Any]]:
    found = resources(monitoring(templates), "AWS::CloudWatch::Alarm").values()
    return {a["AlarmName"]: a for a in found}


def widget_metrics(body: dict[str, Any]) -> Iterator[WatchedMetric]:
    for widget in body["widgets"]:
        for row in widget["properties"].get("metrics", []):
            named = [part for part in row if isinstance(part, str)]
            if named:
                namespace, name, *rest = named
                yield namespace, name, tuple(zip(rest[::2], rest[1::2], strict=True))


def alarm_metrics(templates: Templates) -> Iterator[WatchedMetric]:
    for alarm in alarms(templates).values():
        dimensions = tuple((d["Name"], d["Value"]) for d in alarm.get("Dimensions", []))
        yield alarm["Namespace"], alarm["MetricName"], dimensions


def test_every_metric_is_one_that_the_code_or_aws_emits(templates: Templates) -> None:
    functions, queues, machines = (
        {p[name] for t in templates.values() for p in resources(t, type_).values()}
        for type_, name in (
            ("AWS::Lambda::Function", "FunctionName"),
            ("AWS::SQS::Queue", "QueueName"),
            ("AWS::StepFunctions::StateMachine", "StateMachineName"),
        )
    )
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:"
    exists = {
        "FunctionName": functions,
        "QueueName": queues,
        "StateMachineArn": {arn + name for name in machines},
    }
    found = set(alarm_metrics(templates))
    for body in dashboards(templates).values():
        found |= set(widget_metrics(body))
    assert len(found) > 30
    for namespace, name, dimensions in found:
        assert name in (emitted() if namespace == "EmailNotification" else AWS_METRICS[namespace])
        for dimension, value in dimensions:
            assert value in exists[dimension], f"{namespace} {name} of {value}"


def test_ten_metrics_ten_alarms_two_dashboards(templates: Templates) -> None:
    assert emitted() == TEN
    assert len(alarms(templates)) == 10
    # An alarm on metric math counts once for each metric in it.
    assert not any("Metrics" in alarm for alarm in alarms(templates).values())
    assert set(dashboards(templates)) == {"email-notifications-prod", "email-costs-prod"}


def test_every_alarm_alerts_and_says_what_to_do(templates: Templates) -> None:
    (topic,) = resources(monitoring(templates), "AWS::SNS::Topic")
    for name, alarm in alarms(templates).items():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
        assert "First: " in alarm["AlarmDescription"], name
        assert len(alarm["AlarmDescription"]) <= 1024
        assert alarm["TreatMissingData"] in ("notBreaching", "ignore"), "idle is no alarm"


def test_no_alarm_watches_what_a_throttle_spike_raises(templates: Templates) -> None:
    """Throttled sends raise in the send step and fail executions, by design; mails wait hidden."""
    waiting = {
        ("AWS/States", "ExecutionsFailed"),
        ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible"),
    }
    for namespace, name, dimensions in alarm_metrics(templates):
        assert (namespace, name) not in waiting
        if namespace == "AWS/Lambda":
            assert dimensions == (("FunctionName", "email-processor-prod"),)


def test_the_budget_is_the_setting(tmp_path: Path) -> None:
    found = synth(tmp_path / "out", COST_BUDGET_THRESHOLD="0.01")
    assert alarms(found)["email-cost-budget-prod"]["Threshold"] == 0.01
    body = json.dumps(dashboards(found)["email-costs-prod"])
    assert '"value": 0.01' in body


def test_the_dashboards_are_whole(templates: Templates) -> None:
    for body in dashboards(templates).values():
        taken: set[tuple[int, int]] = set()
        for widget in body["widgets"]:
            assert widget["type"] in ("metric", "text", "alarm", "log")
            assert widget["x"] + widget["width"] <= 24
            cells = {
                (widget["x"] + dx, widget["y"] + dy)
                for dx in range(widget["width"])
                for dy in range(widget["height"])
            }
            assert not cells & taken, "widgets overlap"
            taken |= cells
        top = body["widgets"][0]
        assert top["type"] == "text", "the operator's help comes first"


def test_the_alarm_widget_shows_all_alarms(templates: Templates) -> None:
    (widget,) = (
        w
        for w in dashboards(templates)["email-notifications-prod"]["widgets"]
        if w["type"] == "alarm"
    )
    names = {arn.rsplit(":", 1)[1] for arn in widget["properties"]["alarms"]}
    assert names == set(alarms(templates))


def test_who_may_alert(templates: Templates) -> None:
    template = monitoring(templates)
    (policy,) = resources(template, "AWS::SNS::TopicPolicy").values()
    by_sid = {s.get("Sid"): s for s in policy["PolicyDocument"]["Statement"]}
    allowed = by_sid["Alarms"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    denied = by_sid["NobodyElse"]
    assert (denied["Effect"], denied["Action"]) == ("Deny", "sns:Publish")
    roles = {r["Fn::GetAtt"][0] for r in denied["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]}
    machines = resources(template, "AWS::StepFunctions::StateMachine").values()
    assert roles == {m["RoleArn"]["Fn::GetAtt"][0] for m in machines}
    (subscription,) = resources(template, "AWS::SNS::Subscription").values()
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@shop.example")


def test_the_schedules(templates: Templates) -> None:
    found = resources(monitoring(templates), "AWS::Scheduler::Schedule").values()
    assert {s["Name"]: s["ScheduleExpression"] for s in found} == {
        "cost-analysis-prod": "cron(15 6 * * ? *)",
        "bounce-rate-check-prod": "rate(1 hour)",
    }
    for schedule in found:
        target = schedule["Target"]
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 1800,
            "MaximumRetryAttempts": 3,
        }
        assert "DeadLetterConfig" in target


@pytest.mark.parametrize(
    ("function", "allowed"),
    [
        (
            "cost-monitoring-prod",
            {
                "ce:GetCostAndUsage",
                "cloudwatch:GetMetricData",
                "ses:GetAccount",
                "dynamodb:PutItem",
                "dynamodb:Query",
            },
        ),
        (
            "email-bounce-rate-prod",
            {"cloudwatch:GetMetricData", "ses:GetAccount", "dynamodb:PutItem", "dynamodb:Query"},
        ),
        ("email-pause-prod", {"ses:PutConfigurationSetSendingOptions"}),
    ],
)
def test_each_function_may_do_its_job_and_no_more(
    paused: Templates, function: str, allowed: set[str]
) -> None:
    template = monitoring(paused)
    assert actions(template, function) == allowed
    for statement in statements(template, function):
        if "dynamodb" in json.dumps(statement["Action"]):
            assert "reports" in json.dumps(statement["Resource"])


@pytest.fixture(scope="module")
def paused(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates with automatic pausing."""
    return synth(tmp_path_factory.mktemp("pause") / "out", AUTO_PAUSE_SENDING="true")


def test_nothing_may_pause_unless_asked_for(templates: Templates) -> None:
    assert "PutConfigurationSetSendingOptions" not in json.dumps(monitoring(templates))
    assert "email-pause" not in json.dumps(monitoring(templates))


def test_the_deployed_machines_are_the_reviewed_ones(paused: Templates) -> None:
    reviewed = {path.name: json.loads(text) for path, text in asl().items()}
    machines = resources(monitoring(paused), "AWS::StepFunctions::StateMachine").values()
    assert {m["StateMachineType"] for m in machines} == {"STANDARD"}
    for machine in machines:
        _, parts = machine["DefinitionString"]["Fn::Join"]
        definition = json.loads("".join(p if isinstance(p, str) else "ARN" for p in parts))
        name = machine["StateMachineName"].removesuffix("-prod").replace("-", "_")
        assert _without_arns(definition) == _without_arns(reviewed[f"{name}.asl.json"])


def _without_arns(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_arns(v) for k, v in node.items() if k not in ("Resource", "TopicArn")}
    return [_without_arns(item) for item in node] if isinstance(node, list) else node
