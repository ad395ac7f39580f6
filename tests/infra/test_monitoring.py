"""Alarms, dashboards and alerts: what they name exists, and they stay inside the always-free tier."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from infra.local import embedded_metrics
from steps import record
from steps.contract import metrics
from steps.contract.metrics import Metric
from steps.contract.state import Outcome
from tests.support.in_memory_aws import STATE, claimed_record, mocked_aws, tracking_table
from tests.support.templates import (
    Deployments,
    Properties,
    Templates,
    monitoring,
    notifications,
    property_values,
    resources,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps.contract.state import State, StepEvent

WatchedMetric = tuple[str, str, tuple[tuple[str, str], ...]]

OURS = metrics.namespace(metrics.PRODUCTION)

AWS_METRICS = {
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": {"Errors", "Duration", "Throttles", "Invocations", "IteratorAge"},
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    "AWS/States": {"ExecutionsStarted", "ExecutionsFailed", "ExecutionTime"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
    },
    # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    "AWS/SNS": {"NumberOfMessagesPublished", "NumberOfNotificationsFailed"},
    # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-cloudwatch.html
    "AWS/SES": {"Reputation.BounceRate", "Reputation.ComplaintRate"},
}

METRICS = {
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
    """Return the metrics that the steps' code names where it counts."""
    return {
        Metric[node.attr]
        for file in Path("steps").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Metric"
    }


def dashboards(templates: Templates) -> dict[str, Properties]:
    """Return each dashboard's body by its name."""
    template = templates["TapStackprod"]
    return {
        dashboard["DashboardName"]: json.loads(_joined(dashboard["DashboardBody"]))
        for dashboard in resources(template, "AWS::CloudWatch::Dashboard").values()
    }


def _joined(body: Properties) -> str:
    """What CloudFormation makes of it; the region is the one token in a dashboard."""
    return "".join(p if isinstance(p, str) else "us-east-1" for p in body["Fn::Join"][1])


def alarms(templates: Templates) -> dict[str, Properties]:
    """Return each alarm's properties by its name."""
    every_alarm = resources(monitoring(templates), "AWS::CloudWatch::Alarm").values()
    return {alarm["AlarmName"]: alarm for alarm in every_alarm}


def widget_metrics(body: Properties) -> Iterator[WatchedMetric]:
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


def existing(templates: Templates, type_: str, name: str) -> set[str]:
    """Return the names of all resources of a type, of whatever stack."""
    return {
        value for template in templates.values() for value in property_values(template, type_, name)
    }


def test_every_metric_is_one_that_the_code_or_aws_emits(templates: Templates) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:"
    machines = existing(templates, "AWS::StepFunctions::StateMachine", "StateMachineName")
    exists = {
        "FunctionName": existing(templates, "AWS::Lambda::Function", "FunctionName"),
        "QueueName": existing(templates, "AWS::SQS::Queue", "QueueName"),
        "TopicName": existing(templates, "AWS::SNS::Topic", "TopicName"),
        "StateMachineArn": {arn + name for name in machines},
    }
    watched = set(alarm_metrics(templates))
    for body in dashboards(templates).values():
        watched |= set(widget_metrics(body))
    assert len(watched) > 30
    for namespace, name, dimensions in watched:
        assert name in (emitted() if namespace == OURS else AWS_METRICS[namespace])
        for dimension, value in dimensions:
            assert value in exists[dimension], f"{namespace} {name} of {value}"


def test_ten_metrics_ten_alarms_two_dashboards(templates: Templates) -> None:
    assert emitted() == METRICS
    assert len(alarms(templates)) == 10
    # An alarm on metric math counts once for each metric in it.
    assert not any("Metrics" in alarm for alarm in alarms(templates).values())
    assert set(dashboards(templates)) == {"email-notifications-prod", "email-costs-prod"}


def test_every_alarm_alerts_and_says_what_to_do(templates: Templates) -> None:
    (topic,) = resources(monitoring(templates), "AWS::SNS::Topic")
    for name, alarm in alarms(templates).items():
        if name != "email-rejections-prod":
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


def test_refusals_of_different_orders_alarm_and_four_do_not(
    templates: Templates, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = alarms(templates)["email-rejections-prod"]
    assert (alarm["Statistic"], alarm["Period"], alarm["EvaluationPeriods"]) == ("Sum", 300, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    with mocked_aws():
        for n in range(5):
            record_refusal(f"ORDER{n}")
    counted = [
        datum["Value"]
        for line in capsys.readouterr().out.splitlines()
        for _, datum in embedded_metrics.parse(line)
        if datum["MetricName"] == alarm["MetricName"]
    ]
    assert sum(counted[:4]) < alarm["Threshold"] <= sum(counted)


def record_refusal(order_id: str) -> None:
    """Record that SES refused an order's mail for good, as the order workflow has it recorded."""
    state: State = {
        **STATE,
        "orderId": order_id,
        "notificationId": order_id,
        "error": {"Error": "SendRejected", "Cause": "SES answered BadRequestException"},
    }
    tracking_table().put_item(Item=claimed_record(status="SENDING", notificationId=order_id))
    event: StepEvent = {"execution": "me", "outcome": Outcome.REJECTED, "state": state}
    record.handler(event, LambdaContext())


def test_the_rejections_alarm_calls_the_function_that_knows_the_reason(
    templates: Templates,
) -> None:
    template = monitoring(templates)
    (action,) = alarms(templates)["email-rejections-prod"]["AlarmActions"]
    (alarm,) = (
        logical_id
        for logical_id, each in resources(template, "AWS::CloudWatch::Alarm").items()
        if each["AlarmName"] == "email-rejections-prod"
    )
    function = resources(template, "AWS::Lambda::Function")[action["Fn::GetAtt"][0]]
    assert function["FunctionName"] == "email-rejections-prod"
    (permission,) = resources(template, "AWS::Lambda::Permission").values()
    assert permission["Principal"] == "lambda.alarms.cloudwatch.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": [alarm, "Arn"]}
    assert permission["FunctionName"] == action


def test_the_function_reads_the_logs_that_exist(templates: Templates) -> None:
    variables = next(
        function["Environment"]["Variables"]
        for function in resources(monitoring(templates), "AWS::Lambda::Function").values()
        if function["FunctionName"] == "email-rejections-prod"
    )
    named = {variables["VALIDATE_LOG_GROUP"], variables["SEND_LOG_GROUP"]}
    assert named == {"/aws/lambda/email-validate-prod", "/aws/lambda/email-send-prod"}
    assert named <= existing(templates, "AWS::Logs::LogGroup", "LogGroupName")


def test_alarm_and_dashboard_have_the_budget_of_the_setting(deployment: Deployments) -> None:
    templates = deployment(COST_BUDGET_THRESHOLD="0.01")
    assert alarms(templates)["email-cost-budget-prod"]["Threshold"] == 0.01
    body = json.dumps(dashboards(templates)["email-costs-prod"])
    assert '"value": 0.01' in body


def test_no_widgets_overlap_and_the_operator_s_help_comes_first(templates: Templates) -> None:
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


def test_outcomes_are_drawn_where_there_are_any(
    templates: Templates, deployment: Deployments
) -> None:
    for told, drawn in (
        (templates, True),
        (deployment(OUTCOME_EVENTS="false"), False),
    ):
        body = json.dumps(dashboards(told)["email-notifications-prod"])
        assert ("email-outcomes-prod" in body) is drawn


def test_the_alarm_widget_shows_all_alarms(templates: Templates) -> None:
    widgets = dashboards(templates)["email-notifications-prod"]["widgets"]
    (widget,) = (widget for widget in widgets if widget["type"] == "alarm")
    names = {arn.rsplit(":", 1)[1] for arn in widget["properties"]["alarms"]}
    assert names == set(alarms(templates))


def test_only_the_alarms_the_workflows_and_two_functions_may_alert(templates: Templates) -> None:
    template = monitoring(templates)
    (policy,) = resources(template, "AWS::SNS::TopicPolicy").values()
    statements = policy["PolicyDocument"]["Statement"]
    by_sid = {statement.get("Sid"): statement for statement in statements}
    allowed = by_sid["Alarms"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    denied = by_sid["NobodyElse"]
    assert (denied["Effect"], denied["Action"]) == ("Deny", "sns:Publish")
    allowed_arns = denied["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    machines = resources(template, "AWS::StepFunctions::StateMachine").values()
    rejections, canary = (
        function["Role"]["Fn::GetAtt"][0]
        for function in resources(template, "AWS::Lambda::Function").values()
        if function["FunctionName"] in ("email-rejections-prod", "email-canary-prod")
    )
    assert {arn["Fn::GetAtt"][0] for arn in allowed_arns} == {
        *(machine["RoleArn"]["Fn::GetAtt"][0] for machine in machines),
        rejections,
        canary,
    }
    assert {machine["StateMachineType"] for machine in machines} == {"STANDARD"}
    (subscription,) = resources(template, "AWS::SNS::Subscription").values()
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@shop.example")


def test_what_is_scheduled_and_that_its_starts_are_retried(templates: Templates) -> None:
    schedules = [
        schedule
        for template in templates.values()
        for schedule in resources(template, "AWS::Scheduler::Schedule").values()
    ]
    assert {schedule["Name"]: schedule["ScheduleExpression"] for schedule in schedules} == {
        "cost-analysis-prod": "cron(15 6 * * ? *)",
        "bounce-rate-check-prod": "rate(1 hour)",
        "reconciliation-prod": "cron(30 4 * * ? *)",
        "email-overdue-prod": "rate(1 hour)",
        "email-rejections-prod": "rate(1 hour)",
        "email-canary-prod": "rate(1 hour)",
    }
    for schedule in schedules:
        target = schedule["Target"]
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 1800,
            "MaximumRetryAttempts": 3,
        }
        assert "DeadLetterConfig" in target


@pytest.mark.parametrize(
    ("minutes", "expression"), [("5", "rate(5 minutes)"), ("1440", "rate(1 day)")]
)
def test_canaries_go_out_as_often_as_is_set(
    deployment: Deployments, minutes: str, expression: str
) -> None:
    template = monitoring(deployment(CANARY_MINUTES=minutes))
    (schedule,) = (
        schedule
        for schedule in resources(template, "AWS::Scheduler::Schedule").values()
        if schedule["Name"] == "email-canary-prod"
    )
    assert schedule["ScheduleExpression"] == expression
    assert json.loads(schedule["Target"]["Input"]) == {
        "scheduledTime": "<aws.scheduler.scheduled-time>"
    }


def test_without_canaries_there_is_nothing_of_them(deployment: Deployments) -> None:
    assert "email-canary" not in json.dumps(deployment(CANARY_MINUTES="0"))


def test_what_is_no_order_and_fails_for_good_is_in_one_queue(templates: Templates) -> None:
    """One metric, so one alarm: schedules that could not start, and SES's events that could not be folded."""
    template = notifications(templates)
    (queue,) = (
        logical_id
        for logical_id, queue in resources(template, "AWS::SQS::Queue").items()
        if queue["QueueName"] == "email-internal-dlq-prod"
    )
    arns = {
        function["FunctionName"]: function["DeadLetterConfig"]["TargetArn"]
        for each in templates.values()
        for function in resources(each, "AWS::Lambda::Function").values()
        if "DeadLetterConfig" in function
    } | {
        queue["QueueName"]: queue["RedrivePolicy"]["deadLetterTargetArn"]
        for queue in resources(template, "AWS::SQS::Queue").values()
        if queue["QueueName"] == "email-ses-events-queue-prod"
    } | {
        schedule["Name"]: schedule["Target"]["DeadLetterConfig"]["Arn"]
        for each in templates.values()
        for schedule in resources(each, "AWS::Scheduler::Schedule").values()
    }  # fmt: skip
    assert arns.keys() == {
        "email-overdue-prod",
        "email-rejections-prod",
        "email-canary-prod",
        "email-ses-events-queue-prod",
    } | {"cost-analysis-prod", "bounce-rate-check-prod", "reconciliation-prod"}
    for name, arn in arns.items():
        assert queue in json.dumps(arn), name


def test_nothing_may_pause_unless_the_setting_allows_it(templates: Templates) -> None:
    assert "PutConfigurationSetSendingOptions" not in json.dumps(monitoring(templates))
    assert "email-pause" not in json.dumps(monitoring(templates))
