"""The one factory for functions: runtime, memory, logs, tracing and a role of its own are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_lambda_powertools.shared.constants import METRICS_NAMESPACE_ENV

from infra.log_group import log_group
from infra.nag import WAITS_FOR_ITS_ROLE, acknowledge, acknowledge_aws_key
from infra.stack import service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms
    from constructs import Construct

    from infra.bundling import Bundle
    from infra.config import Config

_MEMORY = 256
_MEMORY_FOR_A_FIRST_MAIL = {
    **dict.fromkeys(("validate", "dedup", "render", "record"), 1024),
    "dispatch": 512,  # These two wait, and all their memory with them.
    "send": 640,
}
_MEMORY_FOR_MANY = {"dispatch": 192}
"""In MB, by module of `steps`. Memory is CPU: see `tests.bench.power_tuning`."""


def memory(handler: str, *, large: bool) -> int:
    """Return the MB of the function that a module of `steps` is.

    A `large` shop's functions hardly ever begin anew, so they have what costs least.
    """
    chosen = _MEMORY_FOR_MANY if large else _MEMORY_FOR_A_FIRST_MAIL
    return chosen.get(handler, _MEMORY)


_FINDINGS = {
    "checkov-CKV_AWS_115": (
        "The queue's mapping caps the order path; a reservation would take from the account's other functions."
    ),
    "Serverless-LambdaTracing": (
        "The order workflow is a trace's root, at a rate that is a setting's; a function as a root has a rate"
        " that nobody can change: of a small shop it is each invocation."
    ),
    "checkov-CKV_AWS_117": "It calls AWS's public endpoints alone: IAM decides, and no network is needed.",
    **WAITS_FOR_ITS_ROLE,
}


@dataclass(frozen=True, kw_only=True)
class Functions:
    """Makes the functions of one stack from the one bundle."""

    scope: Construct
    config: Config
    bundle: Bundle
    key: kms.IKey | None = None

    def make(
        self,
        base: str,
        handler: str,
        *,
        timeout: int,
        environment: Mapping[str, str] | None = None,
        dead_letters: sqs.IQueue | None = None,
    ) -> lambda_.Function:
        """Make the function `base`-`env`, whose role may write its own logs, no more.

        `handler` is a module of `steps`; `timeout` is in seconds; `dead_letters` takes the events of
        a function that is called asynchronously, after its last retry.
        """
        log_group = self._log_group(base)
        function = lambda_.Function(
            self.scope,
            base,
            function_name=self.config.name(base),
            runtime=self.bundle.target.runtime,
            architecture=self.bundle.target.architecture,
            code=lambda_.Code.from_asset(str(self.bundle.directory)),
            handler=f"steps.{handler}.handler",
            role=self._role(base, log_group),
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # The platform's START, END and REPORT lines would be half of what a mail logs.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            application_log_level_v2=lambda_.ApplicationLogLevel.INFO,
            timeout=Duration.seconds(timeout),
            memory_size=memory(handler, large=self.config.is_large),
            environment={
                METRICS_NAMESPACE_ENV: self.config.metrics_namespace,
                **(environment or {}),
            },
            environment_encryption=self.key,
            dead_letter_queue=dead_letters,
        )
        # CDK would let it send traces, which it does not in this mode.
        resource: lambda_.CfnFunction = function.node.default_child  # type: ignore[assignment]
        resource.tracing_config = lambda_.CfnFunction.TracingConfigProperty(mode="PassThrough")
        if not dead_letters:
            reason = "Called synchronously: what fails is the caller's to keep."
            acknowledge(function, {"Serverless-LambdaDLQ": reason, "checkov-CKV_AWS_116": reason})
        if not self.key:
            acknowledge_aws_key(function, "checkov-CKV_AWS_173")
        acknowledge(function, _FINDINGS)
        return function

    def _log_group(self, base: str) -> logs.LogGroup:
        return log_group(
            self.scope, f"{base}-logs", f"/aws/lambda/{self.config.name(base)}", key=self.key
        )

    def _role(self, base: str, log_group: logs.LogGroup) -> iam.Role:
        role = iam.Role(
            self.scope,
            f"{base}-role",
            assumed_by=service(self.scope, "lambda"),
        )
        log_group.grant_write(role)
        return role
