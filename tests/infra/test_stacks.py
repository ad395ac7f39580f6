"""What the templates promise: names, encryption, TLS, retention, least privilege."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.bundling import AWS_LAMBDA, build_bundle
from statemachines.__main__ import asl
from steps.contract import limits
from tests.infra.conftest import Templates, resources, synth

STEPS = ("validate", "dedup", "render", "send", "record")


def notifications(templates: Templates) -> dict[str, Any]:
    return templates["email-notifications-prod"]


def names(template: dict[str, Any], type_: str, key: str) -> set[str]:
    return {p[key] for p in resources(template, type_).values()}


def test_the_contract_s_stacks(templates: Templates) -> None:
    assert {"TapStackprod", "email-notifications-prod", "ses-configuration-prod"} <= set(templates)


def test_the_contract_s_names(templates: Templates) -> None:
    template = notifications(templates)
    assert names(template, "AWS::SNS::Topic", "TopicName") == {"email-order-events-prod"}
    assert {"email-order-queue-prod", "email-order-dlq-prod"} <= names(
        template, "AWS::SQS::Queue", "QueueName"
    )
    assert {f"email-{s}-prod" for s in (*STEPS, "processor")} <= names(
        template, "AWS::Lambda::Function", "FunctionName"
    )
    assert names(template, "AWS::StepFunctions::StateMachine", "StateMachineName") == {
        "email-order-workflow-prod"
    }
    (table,) = resources(template, "AWS::DynamoDB::GlobalTable").values()
    assert table["TableName"] == "email-delivery-tracking-prod"
    indexes = {i["IndexName"]: i["KeySchema"] for i in table["GlobalSecondaryIndexes"]}
    assert indexes["OrderIdIndex"] == [{"AttributeName": "orderId", "KeyType": "HASH"}]
    assert "/aws/vendedlogs/states/email-order-workflow-prod" in names(
        template, "AWS::Logs::LogGroup", "LogGroupName"
    )


def test_data_is_encrypted_recoverable_and_gone_after_90_days(templates: Templates) -> None:
    template = notifications(templates)
    ((_, table),) = [
        (k, r)
        for k, r in template["Resources"].items()
        if r["Type"] == "AWS::DynamoDB::GlobalTable"
    ]
    assert table["DeletionPolicy"] == "Retain"
    properties = table["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    (replica,) = properties["Replicas"]
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert limits.RECORD_TTL == 90 * 24 * 60 * 60
    for group in resources(template, "AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] == 90
    for queue in resources(template, "AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"]


def test_elsewhere_than_in_prod_destroy_takes_the_table(tmp_path: Path) -> None:
    template = synth(tmp_path / "out", ENVIRONMENT_SUFFIX="dev")["email-notifications-dev"]
    retained = [k for k, r in template["Resources"].items() if r.get("DeletionPolicy") == "Retain"]
    assert retained == []


def test_a_customer_managed_key_covers_table_queues_topics_and_logs(tmp_path: Path) -> None:
    templates = synth(tmp_path / "out", CUSTOMER_MANAGED_KEY="true")
    (key,) = resources(templates["ses-configuration-prod"], "AWS::KMS::Key").values()
    assert key["EnableKeyRotation"]
    everything = [t for name, t in templates.items() if name != "TapStackprod"]
    for type_, attribute in (
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::Lambda::Function", "KmsKeyArn"),
    ):
        found = [p for t in everything for p in resources(t, type_).values()]
        assert found
        for properties in found:
            assert "alias/aws/sns" not in json.dumps(properties)
            assert attribute in properties, type_


def test_topics_and_queues_refuse_what_is_not_tls(templates: Templates) -> None:
    for template in templates.values():
        for kind, policy in (("Topic", "TopicPolicy"), ("Queue", "QueuePolicy")):
            service = {"Topic": "SNS", "Queue": "SQS"}[kind]
            assert len(resources(template, f"AWS::{service}::{kind}")) == len(
                resources(template, f"AWS::{service}::{policy}")
            )
            for properties in resources(template, f"AWS::{service}::{policy}").values():
                denied = [
                    s
                    for s in properties["PolicyDocument"]["Statement"]
                    if s["Effect"] == "Deny"
                    and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                ]
                assert denied


def test_the_queue_fits_the_dispatcher(templates: Templates) -> None:
    template = notifications(templates)
    (queue,) = [p for p in resources(template, "AWS::SQS::Queue").values() if "RedrivePolicy" in p]
    assert queue["VisibilityTimeout"] == limits.QUEUE_VISIBILITY
    assert queue["RedrivePolicy"]["maxReceiveCount"] == limits.QUEUE_MAX_RECEIVES
    (mapping,) = resources(template, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    (subscription,) = [
        p for p in resources(template, "AWS::SNS::Subscription").values() if p["Protocol"] == "sqs"
    ]
    assert subscription["RawMessageDelivery"]
    assert "RedrivePolicy" in subscription


def statements(template: dict[str, Any], function: str) -> list[dict[str, Any]]:
    """Return what a function's role allows, besides writing its own logs and traces."""
    functions = resources(template, "AWS::Lambda::Function").values()
    (role,) = [f["Role"]["Fn::GetAtt"][0] for f in functions if f["FunctionName"] == function]
    found = [
        statement
        for policy in resources(template, "AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert template["Resources"][role]["Properties"].get("ManagedPolicyArns") is None
    return [s for s in found if listed(s)]


def listed(statement: dict[str, Any]) -> set[str]:
    """Return a statement's actions, without those on the function's own logs and traces."""
    found = statement["Action"]
    allowed = {found} if isinstance(found, str) else set(found)
    return {a for a in allowed if not a.startswith(("logs:", "xray:"))}


def actions(template: dict[str, Any], function: str) -> set[str]:
    return {a for s in statements(template, function) for a in listed(s)}


@pytest.mark.parametrize(
    ("function", "allowed"),
    [
        ("email-validate-prod", set()),
        ("email-dedup-prod", {"dynamodb:PutItem", "dynamodb:UpdateItem"}),
        ("email-render-prod", set()),
        ("email-send-prod", {"dynamodb:UpdateItem", "ses:SendEmail"}),
        ("email-record-prod", {"dynamodb:PutItem", "dynamodb:UpdateItem"}),
        (
            "email-feedback-prod",
            {"dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query", "sqs:SendMessage"},
        ),
        (
            "email-processor-prod",
            {
                "states:StartSyncExecution",
                "dynamodb:UpdateItem",
                "ses:GetAccount",
                "sqs:SendMessage",
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
            },
        ),
    ],
)
def test_each_function_may_do_its_job_and_no_more(
    templates: Templates, function: str, allowed: set[str]
) -> None:
    template = notifications(templates)
    assert actions(template, function) == allowed
    for statement in statements(template, function):
        assert statement["Resource"] != "*" or listed(statement) == {"ses:GetAccount"}
        if "dynamodb:UpdateItem" in listed(statement) and function == "email-processor-prod":
            assert statement["Condition"] == {
                "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["pace"]}
            }
        if statement["Action"] == "ses:SendEmail":
            assert statement["Condition"] == {
                "StringEquals": {"ses:FromAddress": "orders@shop.example"}
            }


def test_every_function_has_a_role_of_its_own(templates: Templates) -> None:
    for template in templates.values():
        roles = [
            json.dumps(f["Role"]) for f in resources(template, "AWS::Lambda::Function").values()
        ]
        assert len(roles) == len(set(roles))


def test_functions_are_alike(templates: Templates) -> None:
    for template in templates.values():
        for function in resources(template, "AWS::Lambda::Function").values():
            assert function["Runtime"] == "python3.14"
            assert function["Architectures"] == ["arm64"]
            assert function["TracingConfig"] == {"Mode": "Active"}
            assert function["LoggingConfig"]["LogFormat"] == "JSON"


def test_execution_data_is_logged_only_when_asked_for(templates: Templates, tmp_path: Path) -> None:
    def logging(found: Templates) -> dict[str, Any]:
        (machine,) = resources(notifications(found), "AWS::StepFunctions::StateMachine").values()
        assert machine["StateMachineType"] == "EXPRESS"
        assert machine["TracingConfiguration"] == {"Enabled": True}
        configuration: dict[str, Any] = machine["LoggingConfiguration"]
        assert configuration["Level"] == "ALL"
        return configuration

    assert logging(templates).get("IncludeExecutionData", False) is False
    assert logging(synth(tmp_path / "out", LOG_EXECUTION_DATA="true"))["IncludeExecutionData"]


def test_the_deployed_machine_is_the_reviewed_one(templates: Templates) -> None:
    (machine,) = resources(notifications(templates), "AWS::StepFunctions::StateMachine").values()
    _, parts = machine["DefinitionString"]["Fn::Join"]
    definition = json.loads("".join(p if isinstance(p, str) else "ARN" for p in parts))
    reviewed = json.loads(Path("statemachines/order_workflow.asl.json").read_text())
    for states in (definition["States"], reviewed["States"]):
        for state in states.values():
            state.pop("Resource", None)
    assert definition == reviewed


def test_the_asl_files_are_the_chains() -> None:
    for path, text in asl().items():
        assert path.read_text() == text, f"{path.name} is stale: run python -m statemachines"


def test_the_asl_is_valid() -> None:
    for path in asl():
        subprocess.run(
            ["infra/node_modules/.bin/asl-validator", "--json-path", str(path)],
            check=True,
            timeout=60,
        )


def test_the_templates_are_valid(template_files: list[Path]) -> None:
    found = subprocess.run(
        ["cfn-lint", "--ignore-checks", "W", "--", *map(str, template_files)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stdout


def test_the_bundle_holds_the_steps_and_their_wheels_for_lambda(tmp_path: Path) -> None:
    asset = build_bundle(AWS_LAMBDA, tmp_path / "asset").directory
    assert (asset / "steps" / "validate.py").is_file()
    assert not list(asset.glob("boto*"))
    (core,) = asset.glob("pydantic_core/*.so")
    assert "cpython-314-aarch64" in core.name
    size = sum(f.stat().st_size for f in asset.rglob("*") if f.is_file())
    assert size < 64 * 1024 * 1024
    shutil.rmtree(asset)
