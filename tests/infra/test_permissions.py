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
