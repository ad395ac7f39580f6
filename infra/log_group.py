"""The one factory for log groups: 90 days unless told otherwise, encrypted, gone with their stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs

from infra.nag import acknowledge_aws_key

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct


def log_group(
    scope: Construct,
    id_: str,
    name: str,
    *,
    key: kms.IKey | None,
    retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
) -> logs.LogGroup:
    """Make the log group called `name`."""
    made = logs.LogGroup(
        scope,
        id_,
        log_group_name=name,
        retention=retention,
        removal_policy=RemovalPolicy.DESTROY,
        encryption_key=key,
    )
    if not key:
        acknowledge_aws_key(made, "checkov-CKV_AWS_158")
    return made
