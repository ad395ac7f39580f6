"""The one factory for state machines: time-out, tracing, and a log without customers' data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn

from infra.nag import acknowledge, acknowledge_aws_key, acknowledge_versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_lambda as lambda_
    from constructs import Construct

    from infra.config import Config


def machine(
    scope: Construct,
    base: str,
    chain: sfn.IChainable,
    *,
    type_: sfn.StateMachineType,
    timeout: int,
    functions: Iterable[lambda_.IFunction],
    config: Config,
    key: kms.IKey | None,
) -> sfn.StateMachine:
    """Make the machine `base`-`env`, which calls `functions`; `timeout` is in seconds."""
    name = config.name(base)
    role = _role(scope, base, name)
    log_group = logs.LogGroup(
        scope,
        f"{base}-machine-logs",
        log_group_name=f"/aws/vendedlogs/states/{name}",
        retention=logs.RetentionDays.THREE_MONTHS,
        removal_policy=RemovalPolicy.DESTROY,
        encryption_key=key,
    )
    if not key:
        acknowledge_aws_key(log_group, "checkov-CKV_AWS_158")
    state_machine = sfn.StateMachine(
        scope,
        base,
        state_machine_name=name,
        state_machine_type=type_,
        definition_body=sfn.DefinitionBody.from_chainable(chain),
        timeout=Duration.seconds(timeout),
        role=role,
        tracing_enabled=True,
        logs=sfn.LogOptions(
            destination=log_group,
            level=sfn.LogLevel.ALL,
            include_execution_data=config.log_execution_data,
        ),
    )
    acknowledge(
        state_machine,
        {"cfnlint-W3005": "CDK lets it wait for its role's policy, and for the role again."},
    )
    acknowledge_versions(role, *functions)
    return state_machine


def machine_arn(scope: Construct, name: str) -> str:
    """Return the ARN of this account's state machine `name`."""
    return Stack.of(scope).format_arn(
        service="states",
        resource="stateMachine",
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def _role(scope: Construct, base: str, name: str) -> iam.Role:
    role = iam.Role(
        scope,
        f"{base}-role",
        assumed_by=iam.ServicePrincipal(
            "states.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": Stack.of(scope).account},
                "ArnEquals": {"aws:SourceArn": machine_arn(scope, name)},
            },
        ),
    )
    acknowledge(
        role,
        {"AwsSolutions-IAM5[Resource::*]": "Log delivery and X-Ray actions take no resource."},
    )
    return role
