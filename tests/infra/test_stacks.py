"""What the templates promise: names, encryption, TLS, retention, the reviewed state machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from statemachines.__main__ import asl
from statemachines.order_workflow import Steps
from steps.contract import limits
from steps.ledger.status import Status
from tests.support.templates import (
    Deployments,
    Properties,
    Template,
    Templates,
    definition,
    notifications,
    property_values,
    resources,
    without_arns,
)

if TYPE_CHECKING:
    from tests.infra.judges.deployments import Deployment


def test_the_contract_s_stacks(templates: Templates) -> None:
    assert {"TapStackprod", "email-notifications-prod", "ses-configuration-prod"} <= set(templates)


def test_the_contract_s_names(templates: Templates) -> None:
    template = notifications(templates)
    assert property_values(template, "AWS::SNS::Topic", "TopicName") == {
        "email-order-events-prod",
        "email-outcomes-prod",
    }
    assert {"email-order-queue-prod", "email-order-dlq-prod"} <= property_values(
        template, "AWS::SQS::Queue", "QueueName"
    )
    assert {f"email-{step}-prod" for step in (*Steps.names(), "processor")} <= property_values(
        template, "AWS::Lambda::Function", "FunctionName"
    )
    assert property_values(template, "AWS::StepFunctions::StateMachine", "StateMachineName") == {
        "email-order-workflow-prod"
    }
    (table,) = resources(template, "AWS::DynamoDB::GlobalTable").values()
    assert table["TableName"] == "email-delivery-tracking-prod"
    indexes = {index["IndexName"]: index["KeySchema"] for index in table["GlobalSecondaryIndexes"]}
    assert indexes["OrderIdIndex"] == [{"AttributeName": "orderId", "KeyType": "HASH"}]
    assert indexes["OverdueIndex"] == [
        {"AttributeName": "overdue", "KeyType": "HASH"},
        {"AttributeName": "overdueAt", "KeyType": "RANGE"},
    ]
    assert {"AttributeName": "overdueAt", "AttributeType": "N"} in table["AttributeDefinitions"]
    assert "/aws/vendedlogs/states/email-order-workflow-prod" in property_values(
        template, "AWS::Logs::LogGroup", "LogGroupName"
    )


def test_data_is_encrypted_recoverable_and_gone_after_90_days(templates: Templates) -> None:
    template = notifications(templates)
    (properties,) = resources(template, "AWS::DynamoDB::GlobalTable").values()
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    (replica,) = properties["Replicas"]
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert limits.RECORD_TTL == 90 * 24 * 60 * 60
    for group in resources(template, "AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] == 90
    for queue in resources(template, "AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"]


def test_outside_of_production_destroy_deletes_the_table(deployment: Deployments) -> None:
    template = deployment(ENVIRONMENT_SUFFIX="dev")["email-notifications-dev"]
    retained = [
        name
        for name, resource in template["Resources"].items()
        if resource.get("DeletionPolicy", "Delete").startswith("Retain")
    ]
    assert retained == []


def test_a_customer_managed_key_covers_table_queues_topics_and_logs(
    deployment: Deployments,
) -> None:
    templates = deployment(CUSTOMER_MANAGED_KEY="true")
    (key,) = resources(templates["ses-configuration-prod"], "AWS::KMS::Key").values()
    assert key["EnableKeyRotation"]
    with_data = [template for name, template in templates.items() if name != "TapStackprod"]
    for type_, attribute in (
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::Lambda::Function", "KmsKeyArn"),
    ):
        encrypted = [p for template in with_data for p in resources(template, type_).values()]
        assert encrypted
        for properties in encrypted:
            assert "alias/aws/sns" not in json.dumps(properties)
            assert attribute in properties, type_


@pytest.mark.parametrize("kind", ["AWS::SNS::Topic", "AWS::SQS::Queue"])
def test_topics_and_queues_refuse_what_is_not_tls(templates: Templates, kind: str) -> None:
    not_tls = {"Bool": {"aws:SecureTransport": "false"}}
    for template in templates.values():
        policies = resources(template, f"{kind}Policy").values()
        assert len(policies) == len(resources(template, kind))
        for policy in policies:
            assert any(
                statement["Effect"] == "Deny" and statement["Condition"] == not_tls
                for statement in policy["PolicyDocument"]["Statement"]
            )


BOUNDS = {
    "email-order-queue": (
        limits.QUEUE_VISIBILITY,
        limits.QUEUE_REDRIVE_RECEIVES,
        {"BatchSize": limits.DISPATCHER_BATCH, "MaximumBatchingWindowInSeconds": 0},
    ),
    "email-ses-events-queue": (
        limits.SES_EVENTS_VISIBILITY,
        limits.SES_EVENTS_REDRIVE_RECEIVES,
        {
            "BatchSize": limits.FEEDBACK_BATCH,
            "MaximumBatchingWindowInSeconds": limits.FEEDBACK_WINDOW,
        },
    ),
}
"""Each queue's visibility time-out and receives, and how its function takes from it."""


@pytest.mark.parametrize("base", BOUNDS)
def test_a_queue_is_configured_for_the_bounds_of_its_function(
    templates: Templates, base: str
) -> None:
    visibility, receives, batches = BOUNDS[base]
    template = notifications(templates)
    ((logical_id, queue),) = [
        (id_, queue)
        for id_, queue in resources(template, "AWS::SQS::Queue").items()
        if queue["QueueName"] == f"{base}-prod"
    ]
    assert queue["VisibilityTimeout"] == visibility
    assert queue["RedrivePolicy"]["maxReceiveCount"] == receives
    source = {"Fn::GetAtt": [logical_id, "Arn"]}
    (mapping,) = [m for m in mappings(template) if m["EventSourceArn"] == source]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert batches.items() <= mapping.items()
    (subscription,) = [
        p
        for p in resources(template, "AWS::SNS::Subscription").values()
        if p["Protocol"] == "sqs" and p["Endpoint"] == source
    ]
    assert subscription["RawMessageDelivery"]
    letters = subscription["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
    assert letters == queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]


@pytest.mark.parametrize(
    ("given", "orders", "ses_events"),
    [
        ({}, 5, None),
        ({"MAILS_A_DAY": "10001"}, 5, 5),
        ({"DISPATCHER_CONCURRENCY": "2"}, 2, 2),
        ({"DISPATCHER_CONCURRENCY": "7", "DISPATCHER_WINDOW_SECONDS": "5"}, 7, None),
    ],
    ids=["few", "more", "an account of ten functions", "gathered"],
)
def test_dispatchers_are_limited_and_so_is_what_takes_ses_events_unless_these_are_few(
    deployment: Deployments, given: dict[str, str], orders: int, ses_events: int | None
) -> None:
    found = {
        mapping["EventSourceArn"]["Fn::GetAtt"][0].rstrip("0123456789ABCDEF"): mapping
        for mapping in mappings(notifications(deployment(**given)))
        if "StartingPosition" not in mapping
    }
    limit = {
        queue: mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
        for queue, mapping in found.items()
    }
    assert limit == {"emailorderqueue": orders, "emailseseventsqueue": ses_events}
    window = found["emailorderqueue"]["MaximumBatchingWindowInSeconds"]
    assert window == int(given.get("DISPATCHER_WINDOW_SECONDS", "0"))


def mappings(template: Template) -> list[dict[str, Any]]:
    return list(resources(template, "AWS::Lambda::EventSourceMapping").values())


def test_outcomes_follow_the_stream_of_the_table(templates: Templates) -> None:
    template = notifications(templates)
    (mapping,) = [m for m in mappings(template) if "StartingPosition" in m]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert 3600 < mapping["MaximumRecordAgeInSeconds"] < 24 * 3600, (
        "longer than an outage of an hour"
    )
    assert mapping["MaximumRetryAttempts"] > 3600
    letters = mapping["DestinationConfig"]["OnFailure"]["Destination"]
    assert letters["Fn::GetAtt"][0].startswith("emailinternaldlq")
    (pattern,) = [json.loads(f["Pattern"]) for f in mapping["FilterCriteria"]["Filters"]]
    told = [status for status in Status if status not in (Status.CLAIMED, Status.SENDING)]
    assert pattern == {"dynamodb": {"NewImage": {"status": {"S": told}}}}
    (table,) = resources(template, "AWS::DynamoDB::GlobalTable").values()
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_a_shop_that_wants_no_outcomes_has_nothing_of_them(deployment: Deployments) -> None:
    template = notifications(deployment(OUTCOME_EVENTS="false"))
    assert not [m for m in mappings(template) if "StartingPosition" in m]
    assert "outcomes" not in json.dumps(template)
    (table,) = resources(template, "AWS::DynamoDB::GlobalTable").values()
    assert "StreamSpecification" not in table


def test_nobody_but_the_function_publishes_outcomes(templates: Templates) -> None:
    template = notifications(templates)
    (policy,) = [
        p["PolicyDocument"]
        for p in resources(template, "AWS::SNS::TopicPolicy").values()
        if "NobodyElse" in json.dumps(p)
    ]
    (statement,) = [s for s in policy["Statement"] if s.get("Sid") == "NobodyElse"]
    assert statement["Effect"] == "Deny"
    (role,) = statement["Condition"]["ArnNotEquals"].values()
    assert role["Fn::GetAtt"][0].startswith("emailoutcomesrole")


def test_all_functions_have_the_same_runtime_and_logging(templates: Templates) -> None:
    for template in templates.values():
        for function in resources(template, "AWS::Lambda::Function").values():
            assert function["Runtime"] == "python3.14"
            assert function["Architectures"] == ["arm64"]
            assert function["LoggingConfig"]["LogFormat"] == "JSON"


def test_no_function_begins_a_trace_or_writes_one(templates: Templates) -> None:
    for template in templates.values():
        for function in resources(template, "AWS::Lambda::Function").values():
            assert function["TracingConfig"] == {"Mode": "PassThrough"}


def test_a_small_shop_s_functions_are_quick_to_begin_and_a_large_one_s_are_cheap(
    templates: Templates, deployment: Deployments
) -> None:
    def memory(of: Templates) -> dict[str, int]:
        functions = resources(notifications(of), "AWS::Lambda::Function").values()
        return {
            function["FunctionName"].removesuffix("-prod"): function["MemorySize"]
            for function in functions
        }

    small, large = memory(templates), memory(deployment(MAILS_A_DAY="100001"))
    steps = {f"email-{name}" for name in Steps.names()}
    assert min(small[step] for step in steps) > max(large[step] for step in steps)
    assert large["email-processor"] < min(large[step] for step in steps), "it waits for them all"
    assert small.keys() == large.keys()
    assert memory(deployment(MAILS_A_DAY="100000")) == small


@pytest.mark.parametrize("rate", ["0.01", "0"])
def test_workflows_are_traced_at_the_rate_that_the_dispatcher_knows(
    deployment: Deployments, rate: str
) -> None:
    templates = deployment(TRACING_RATE=rate)
    machines = [
        machine["TracingConfiguration"]["Enabled"]
        for template in templates.values()
        for machine in resources(template, "AWS::StepFunctions::StateMachine").values()
    ]
    assert machines == [rate != "0"] * 4
    (dispatcher,) = [
        function["Environment"]["Variables"]
        for function in resources(notifications(templates), "AWS::Lambda::Function").values()
        if function["FunctionName"] == "email-processor-prod"
    ]
    assert dispatcher["TRACING_RATE"] == rate


def test_execution_data_is_logged_only_when_asked_for(
    templates: Templates, deployment: Deployments
) -> None:
    def logging(template: Template) -> Properties:
        (machine,) = resources(template, "AWS::StepFunctions::StateMachine").values()
        assert machine["StateMachineType"] == "EXPRESS"
        configuration: Properties = machine["LoggingConfiguration"]
        assert configuration["Level"] == "ALL"
        return configuration

    assert logging(notifications(templates)).get("IncludeExecutionData", False) is False
    asked = deployment(ENVIRONMENT_SUFFIX="dev", LOG_EXECUTION_DATA="true")
    assert logging(asked["email-notifications-dev"])["IncludeExecutionData"]


def test_a_large_shop_logs_failed_executions_alone(deployments: dict[str, Deployment]) -> None:
    levels = {
        machine["StateMachineName"]: machine["LoggingConfiguration"]["Level"]
        for template in deployments["prod, large, with a key, without outcomes"].templates.values()
        for machine in resources(template, "AWS::StepFunctions::StateMachine").values()
    }
    assert levels.pop("email-order-workflow-prod") == "ERROR"
    assert set(levels.values()) == {"ALL"}


def test_the_deployed_machines_are_the_reviewed_ones(templates_with_pausing: Templates) -> None:
    reviewed = {path.name: json.loads(text) for path, text in asl().items()}
    machines = [
        machine
        for template in templates_with_pausing.values()
        for machine in resources(template, "AWS::StepFunctions::StateMachine").values()
    ]
    for machine in machines:
        name = machine["StateMachineName"].removesuffix("-prod").removeprefix("email-")
        expected = reviewed.pop(f"{name.replace('-', '_')}.asl.json")
        assert without_arns(definition(machine)) == without_arns(expected)
    assert reviewed == {}
