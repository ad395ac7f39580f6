"""What the stacks have in common: their options, what becomes of their data, whom they trust, ARNs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from aws_cdk import Environment, IStackSynthesizer
    from constructs import Construct


class StackOptions(TypedDict):
    """Where a stack is deployed to, and with whose credentials (None: the bootstrap roles')."""

    env: Environment
    synthesizer: IStackSynthesizer | None


def removal_policy(*, keep: bool) -> RemovalPolicy:
    """Return the policy of what holds customers' data, or of the key to it.

    What is kept is kept at every end but one: a first deployment that fails takes it away again, so that
    the next finds its name free (AWS CloudFormation User Guide, "DeletionPolicy", RetainExceptOnCreate).
    """
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY


def service(scope: Construct, name: str, *, source: str | None = None) -> iam.ServicePrincipal:
    """Return an AWS service where it acts for this account, or for one of its resources, the ARN `source`.

    A service that acts for somebody else is refused ("The confused deputy problem", IAM User Guide).
    """
    conditions = {"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
    if source:
        conditions["ArnEquals"] = {"aws:SourceArn": source}
    return iam.ServicePrincipal(f"{name}.amazonaws.com", conditions=conditions)


def colon_arn(scope: Construct, service: str, resource: str, name: str) -> str:
    """Return the ARN of this account's `resource:name`; the name may hold wildcards."""
    return Stack.of(scope).format_arn(
        service=service,
        resource=resource,
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
