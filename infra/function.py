"""The one factory for functions: runtime, memory, logs, tracing and a role of its own are alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from infra.nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aws_cdk import aws_kms as kms
    from constructs import Construct

    from infra.bundling import Target
    from infra.config import Config


@dataclass(frozen=True, kw_only=True)
class Functions:
    """Makes the functions of one stack from the one asset."""

    scope: Construct
    config: Config
    target: Target
    asset: Path
    key: kms.IKey | None = None
    _code: lambda_.Code = field(init=False)

    def __post_init__(self) -> None:
        # A Code object belongs to the first stack that uses it; the folder serves all stacks.
        object.__setattr__(self, "_code", lambda_.Code.from_asset(str(self.asset)))

    def make(
        self,
        base: str,
        handler: str,
        *,
        timeout: int,
        memory: int = 256,
        environment: Mapping[str, str] | None = None,
        dead_letters: sqs.Queue | None = None,
    ) -> lambda_.Function:
        """Make the function `base`-`env`, whose role may write its own logs and traces, no more.

        `handler` is a module of `steps`; `timeout` is in seconds, `memory` in MB; `dead_letters`
        takes the events of a function that is called asynchronously, after its last retry.
        """
        name = self.config.name(base)
        group = logs.LogGroup(
            self.scope,
            f"{base}-logs",
            log_group_name=f"/aws/lambda/{name}",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
            encryption_key=self.key,
        )
        role = iam.Role(
            self.scope, f"{base}-role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")
        )
        group.grant_write(role)
        function = lambda_.Function(
            self.scope,
            base,
            function_name=name,
            runtime=self.target.runtime,
            architecture=self.target.architecture,
            code=self._code,
            handler=f"steps.{handler}.handler",
            role=role,
            log_group=group,
            logging_format=lambda_.LoggingFormat.JSON,
            # The platform's START, END and REPORT lines would be half of what a mail logs.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            application_log_level_v2=lambda_.ApplicationLogLevel.INFO,
            timeout=Duration.seconds(timeout),
            memory_size=memory,
            tracing=lambda_.Tracing.ACTIVE,
            environment=dict(environment or {}),
            environment_encryption=self.key,
            dead_letter_queue=dead_letters,
        )
        acknowledge(
            role,
            {"AwsSolutions-IAM5[Resource::*]": "X-Ray's PutTraceSegments takes no resource."},
        )
        if not dead_letters:
            acknowledge(
                function,
                {
                    "Serverless-LambdaDLQ": "Called synchronously: what fails is the caller's to keep."
                },
            )
        return function
