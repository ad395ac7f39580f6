"""The one factory for tables, and the one way to let a function use one: encrypted, recoverable, TTL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam

from infra.nag import acknowledge
from infra.stack import removal_policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_lambda as lambda_
    from constructs import Construct

    from infra.config import Config


def table(
    scope: Construct,
    id_: str,
    base: str,
    *,
    config: Config,
    key: kms.IKey | None,
    partition_key: str,
    sort_key: str | None = None,
    keep: bool = False,
    stream: bool = False,
) -> dynamodb.TableV2:
    """Make the on-demand table `base`-`env`, whose items expire at their attribute `ttl`.

    One that is to `keep` outlives its stack, and nobody can delete it while its protection is on. A `stream`
    has each change, the item before and after.
    """
    return dynamodb.TableV2(
        scope,
        id_,
        table_name=config.name(base),
        partition_key=string(partition_key),
        sort_key=string(sort_key) if sort_key else None,
        billing=dynamodb.Billing.on_demand(),
        encryption=dynamodb.TableEncryptionV2.customer_managed_key(key)
        if key
        else dynamodb.TableEncryptionV2.dynamo_owned_key(),
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        time_to_live_attribute="ttl",
        dynamo_stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if stream else None,
        deletion_protection=keep,
        removal_policy=removal_policy(keep=keep),
    )


def string(name: str) -> dynamodb.Attribute:
    """Return a key attribute that is a string."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def number(name: str) -> dynamodb.Attribute:
    """Return a key attribute that is a number."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)


def only_attributes(names: Iterable[str]) -> dict[str, Any]:
    """Return the condition under which an item's reader gets these attributes and no others.

    "Using IAM policy conditions for fine-grained access control", Amazon DynamoDB Developer Guide.
    """
    return {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": list(names)},
        "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    }


def grant_table(
    function: lambda_.IFunction,
    of: dynamodb.ITable,
    *actions: str,
    key: kms.IKey | None,
    conditions: dict[str, Any] | None = None,
) -> None:
    """Let a function do `actions` on the table itself: no index, no other table."""
    statement = iam.PolicyStatement(
        actions=list(actions), resources=[of.table_arn], conditions=conditions
    )
    function.grant_principal.add_to_principal_policy(statement)
    if key:
        key.grant_encrypt_decrypt(function)
        acknowledge(
            function.role or function,
            {
                f"AwsSolutions-IAM5[Action::kms:{action}*]": "DynamoDB's documented key grant."
                for action in ("GenerateDataKey", "ReEncrypt")
            },
        )
