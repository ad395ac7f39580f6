"""The one factory for state machines: time-out, tracing, and a log without customers' data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn

from infra.log_group import log_group
from infra.nag import WAITS_FOR_ITS_ROLE, acknowledge, acknowledge_versions
from infra.stack import colon_arn, service

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
    log_level: str = "ALL",
) -> sfn.StateMachine:
    """Make the machine `base`-`env`, which calls `functions`; `timeout` is in seconds."""
    name = config.name(base)
    role = _role(scope, base, name)
    destination = log_group(
        scope, f"{base}-machine-logs", f"/aws/vendedlogs/states/{name}", key=key
    )
    state_machine = sfn.StateMachine(
        scope,
        base,
        state_machine_name=name,
        state_machine_type=type_,
        definition_body=sfn.DefinitionBody.from_chainable(chain),
        timeout=Duration.seconds(timeout),
        role=role,
        tracing_enabled=config.tracing_rate > 0,
        logs=sfn.LogOptions(
            destination=destination,
            level=sfn.LogLevel[log_level],
            include_execution_data=config.log_execution_data,
        ),
    )
    acknowledge(state_machine, WAITS_FOR_ITS_ROLE)
    if log_level != "ALL":
        acknowledge(
            state_machine,
            {
                "AwsSolutions-SF1": (
                    "WORKFLOW_LOG_LEVEL: a large shop's log of it costs more than all its functions; what"
                    " became of a mail is in its record and in the functions' logs."
                )
            },
        )
    if not config.tracing_rate:
        no_traces = ("AwsSolutions-SF2", "Serverless-StepFunctionStateMachineXray")
        acknowledge(state_machine, dict.fromkeys(no_traces, "TRACING_RATE=0 asks for none."))
    acknowledge_versions(role, *functions)
    return state_machine


def machine_arn(scope: Construct, name: str) -> str:
    """Return the ARN of this account's state machine `name`."""
    return colon_arn(scope, "states", "stateMachine", name)


def _role(scope: Construct, base: str, name: str) -> iam.Role:
    role = iam.Role(
        scope,
        f"{base}-role",
        assumed_by=service(scope, "states", source=machine_arn(scope, name)),
    )
    acknowledge(
        role,
        {"AwsSolutions-IAM5[Resource::*]": "Log delivery and X-Ray actions take no resource."},
    )
    return role
