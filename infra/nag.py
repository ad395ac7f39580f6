"""cdk-nag at every synth, and the one way to acknowledge a finding: with its exact id and a reason.

The tests ask more judges, which take too long for every synth; tests/infra/judges has them. A finding of
theirs is acknowledged here, too, under the judge's name: `checkov-CKV_AWS_117`, `cfnlint-W3005`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, App, CfnElement, Stack, Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_lambda as lambda_
    from constructs import IConstruct


WAITS_FOR_ITS_ROLE = {
    "cfnlint-W3005": "CDK lets it wait for its role's policy, and for the role again."
}


def check(app: App) -> None:
    """Let the AwsSolutions and Serverless rule packs look at the app; a finding stops the synth."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))


def acknowledge(construct: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept findings (`rule[finding]`, without the pack's prefix) on a construct, with reasons.

    A test fails where a judge no longer finds what is accepted.
    """
    Validations.of(construct).acknowledge(
        *(
            Acknowledgment(id=f"{rule.split('-')[0]}::{rule}", reason=reason)
            for rule, reason in findings.items()
        )
    )


def acknowledge_aws_key(construct: IConstruct, *rules: str) -> None:
    """Accept that something is encrypted with a key of AWS's own, which is the setting's default."""
    reason = "AWS encrypts it with a key of its own; CUSTOMER_MANAGED_KEY=true with one of yours."
    acknowledge(construct, dict.fromkeys(rules, reason))


def acknowledge_versions(role: iam.IRole, *functions: lambda_.IFunction) -> None:
    """Accept that a role that may call functions may call their versions, too: CDK's own grant."""
    stack = Stack.of(role)
    acknowledge(
        role,
        {
            f"AwsSolutions-IAM5[Resource::<{stack.get_logical_id(node)}.Arn>:*]": (
                "CDK lets it call the function's versions as well as the function."
            )
            for function in functions
            if isinstance(node := function.node.default_child, CfnElement)
        },
    )
