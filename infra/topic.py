"""The one factory for topics, TLS only and encrypted; and the one way to keep others from publishing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from infra.nag import acknowledge

if TYPE_CHECKING:
    from constructs import Construct

    from infra.config import Config


def topic(
    scope: Construct,
    id_: str,
    base: str,
    *,
    config: Config,
    key: kms.IKey | None,
    publisher: str = "",
) -> sns.Topic:
    """Make the topic `base`-`env`, under AWS's key where there is no `key`.

    `publisher` is a service of AWS's that publishes to it, and could not under AWS's key: then there is none.
    """
    aws_key = None if publisher else kms.Alias.from_alias_name(scope, f"{id_}-key", "alias/aws/sns")
    made = sns.Topic(
        scope, id_, topic_name=config.name(base), enforce_ssl=True, master_key=key or aws_key
    )
    if publisher and not key:
        reason = (
            f"{publisher} cannot publish to a topic under alias/aws/sns; "
            "CUSTOMER_MANAGED_KEY=true encrypts it."
        )
        acknowledge(made, {"checkov-CKV_AWS_26": reason})
    return made


def let_nobody_else_publish(
    to: sns.Topic, conditions: dict[str, Any], *, principal: iam.IPrincipal | None = None
) -> None:
    """Deny publishing to whoever `conditions` hold for, of all principals if not of `principal` alone."""
    to.add_to_resource_policy(
        iam.PolicyStatement(
            sid="NobodyElse",
            effect=iam.Effect.DENY,
            principals=[principal or iam.AnyPrincipal()],
            actions=["sns:Publish"],
            resources=[to.topic_arn],
            conditions=conditions,
        )
    )
