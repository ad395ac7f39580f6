"""The one factory for queues: TLS only, encrypted, two weeks of retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs

from infra.nag import acknowledge, acknowledge_aws_key
from steps.contract import limits

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct

    from infra.config import Config


def queue(
    scope: Construct,
    base: str,
    *,
    config: Config,
    key: kms.IKey | None,
    dead_letters: sqs.Queue | None = None,
) -> sqs.Queue:
    """Make the queue `base`-`env`; without `dead_letters` it is itself a dead-letter queue."""
    made = sqs.Queue(
        scope,
        base,
        queue_name=config.name(base),
        enforce_ssl=True,
        encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=key,
        retention_period=Duration.seconds(limits.QUEUE_RETENTION),
        visibility_timeout=Duration.seconds(limits.QUEUE_VISIBILITY) if dead_letters else None,
        dead_letter_queue=sqs.DeadLetterQueue(
            queue=dead_letters, max_receive_count=limits.QUEUE_REDRIVE_RECEIVES
        )
        if dead_letters
        else None,
    )
    if not dead_letters:
        acknowledge(made, {"Serverless-SQSRedrivePolicy": "It is a dead-letter queue."})
    if not key:
        acknowledge_aws_key(made, "checkov-CKV_AWS_27")
    return made
