"""Least privilege: each function has a role of its own, which allows what its job takes."""

from __future__ import annotations

import json

import pytest

from tests.support.templates import (
    Templates,
    allowed_actions,
    function_actions,
    monitoring,
    notifications,
    resources,
    statements,
)


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
            {"dynamodb:GetItem", "dynamodb:UpdateItem", "sqs:SendMessage"},
        ),
        ("email-overdue-prod", {"dynamodb:UpdateItem", "dynamodb:Query", "sqs:SendMessage"}),
        (
            "email-processor-prod",
            {
                "states:StartSyncExecution",
                "dynamodb:GetItem",
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
def test_a_function_of_the_order_path_may_do_its_job_and_no_more(
    templates: Templates, function: str, allowed: set[str]
) -> None:
    template = notifications(templates)
    assert function_actions(template, function) == allowed
    for statement in statements(template, function):
        assert statement["Resource"] != "*" or allowed_actions(statement) == {"ses:GetAccount"}
        if "dynamodb:Query" in allowed_actions(statement):
            assert statement["Resource"].endswith(
                ":table/email-delivery-tracking-prod/index/OverdueIndex"
            )
        if (
            "dynamodb:UpdateItem" in allowed_actions(statement)
            and function == "email-processor-prod"
        ):
            assert statement["Condition"] == {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["pace", "attempts-*"]}
            }
        if statement["Action"] == "ses:SendEmail":
            assert statement["Condition"] == {
                "StringEquals": {"ses:FromAddress": "orders@shop.example"}
            }


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
def test_a_function_of_a_report_may_do_its_job_and_no_more(
    templates_with_pausing: Templates, function: str, allowed: set[str]
) -> None:
    template = monitoring(templates_with_pausing)
    assert function_actions(template, function) == allowed
    for statement in statements(template, function):
        if "dynamodb" in json.dumps(statement["Action"]):
            assert "reports" in json.dumps(statement["Resource"])


def test_every_function_has_a_role_of_its_own(templates: Templates) -> None:
    for template in templates.values():
        roles = [
            json.dumps(f["Role"]) for f in resources(template, "AWS::Lambda::Function").values()
        ]
        assert len(roles) == len(set(roles))


def test_nobody_but_ses_on_behalf_of_our_configuration_set_publishes_events(
    templates: Templates,
) -> None:
    template = templates["ses-configuration-prod"]
    (policy,) = resources(template, "AWS::SNS::TopicPolicy").values()
    allowed, denied = (
        [
            statement
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == effect
            and statement.get("Sid") != "AllowPublishThroughSSLOnly"
        ]
        for effect in ("Allow", "Deny")
    )
    (permission,), (fence,) = allowed, denied
    assert permission["Principal"] == {"Service": "ses.amazonaws.com"}
    equals = permission["Condition"]["StringEquals"]
    (configuration_set,) = resources(template, "AWS::SES::ConfigurationSet")
    assert equals["AWS:SourceArn"]["Fn::Join"][1][-2:] == [
        ":ses:us-east-1:123456789012:configuration-set/",
        {"Ref": configuration_set},
    ]
    assert equals["AWS:SourceAccount"] == "123456789012"
    assert fence["Principal"] == "*"
    assert fence["Action"] == permission["Action"] == "sns:Publish"
    # What the permission asks for is what is not denied, so the fence cannot hit SES.
    ((operator, condition),) = fence["Condition"].items()
    assert (operator, list(condition)) == ("StringNotEquals", ["aws:SourceArn"])
    partition = {"Ref": "AWS::Partition"}
    arns = [
        "".join(str("aws" if part == partition else part) for part in arn["Fn::Join"][1])
        for arn in (condition["aws:SourceArn"], equals["AWS:SourceArn"])
    ]
    assert arns[0] == arns[1]
