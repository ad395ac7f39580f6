"""What those who operate the order mails need beside `order-mail`: two policies, and the audit log."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.log_group import log_group
from infra.nag import acknowledge
from infra.operator import audit, permissions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_cdk import aws_kms as kms

    from infra.config import Config
    from infra.operator.permissions import Need

KEY_ACTIONS = ("Decrypt", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
"""What SQS, SNS and DynamoDB ask for of whoever reads from, or writes to, what is encrypted with a key."""


class Operators(Construct):
    """The managed policies `order-mail-support` and `order-mail-operator`, and the log of what is changed.

    Nobody has them by themselves: the account's administrators attach them to people's roles.
    """

    def __init__(self, scope: Construct, *, config: Config, key: kms.IKey | None) -> None:
        super().__init__(scope, "operators")
        self._config, self._key = config, key
        log_group(
            self,
            "audit",
            config.name(audit.LOG_GROUP),
            key=key,
            retention=logs.RetentionDays.THIRTEEN_MONTHS,
        )
        self._policy("support", permissions.SUPPORT)
        self._policy("operator", permissions.OPERATOR)

    def _policy(self, role: str, commands: permissions.Commands) -> None:
        """Make a policy of what commands need."""
        statements = [
            iam.PolicyStatement(actions=actions, resources=resources)
            for actions, resources in self._merged(commands.values())
        ]
        if self._key:
            actions = [f"kms:{action}" for action in KEY_ACTIONS]
            statements.append(iam.PolicyStatement(actions=actions, resources=[self._key.key_arn]))
        policy = iam.ManagedPolicy(
            self,
            role,
            managed_policy_name=self._config.account_wide_name(f"order-mail-{role}"),
            description=f"What order-mail asks of AWS for a person in the role {role}",
            statements=statements,
        )
        acknowledge(
            policy,
            {
                f"AwsSolutions-IAM5[Resource::{resource}]": "It takes no resource, or all parts of one."
                for statement in statements
                for resource in statement.resources
                if "*" in resource
            }
            | {
                "parliament-RESOURCE_STAR": (
                    "With a narrower scope DescribeAlarms leaves alarms out (CloudWatch API Reference)."
                )
            },
        )

    def _merged(
        self, commands: Iterable[tuple[Need, ...]]
    ) -> Iterator[tuple[list[str], list[str]]]:
        """Yield actions and the ARNs they are for: together those that are for the same."""
        actions: dict[str, set[str]] = defaultdict(set)
        for need in {need for needs in commands for need in needs}:
            for resource in need.on:
                actions[self._arn(resource)] |= set(need.actions)
        resources: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for arn in sorted(actions):
            resources[tuple(sorted(actions[arn]))].append(arn)
        for together, arns in resources.items():
            yield list(together), arns

    def _arn(self, resource: str) -> str:
        if resource == "*":
            return resource
        service, _, name = resource.format(env=self._config.env).partition(":")
        stack = Stack.of(self)
        return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{name}"
