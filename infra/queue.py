"""The one factory for queues: TLS only, encrypted, two weeks of retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs

from infra.nag import acknowledge, acknowledge_aws_key
from steps.contract import limits

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct

    from infra.config import Config


class Redrive(NamedTuple):
    """What becomes of a received message: hidden for `visibility` seconds, a dead letter after `receives`."""

    dead_letters: sqs.Queue
    visibility: int
    receives: int


def queue(
    scope: Construct,
    base: str,
    *,
    config: Config,
    key: kms.IKey | None,
    redrive: Redrive | None = None,
) -> sqs.Queue:
    """Make the queue `base`-`env`; without `redrive` it is itself a dead-letter queue."""
    made = sqs.Queue(
        scope,
        base,
        queue_name=config.name(base),
        enforce_ssl=True,
        encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=key,
        retention_period=Duration.seconds(limits.QUEUE_RETENTION),
        visibility_timeout=Duration.seconds(redrive.visibility) if redrive else None,
        dead_letter_queue=sqs.DeadLetterQueue(
            queue=redrive.dead_letters, max_receive_count=redrive.receives
        )
        if redrive
        else None,
    )
    if not redrive:
        acknowledge(made, {"Serverless-SQSRedrivePolicy": "It is a dead-letter queue."})
    if not key:
        acknowledge_aws_key(made, "checkov-CKV_AWS_27")
    return made
