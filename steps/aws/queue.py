"""The order queue, and the dead letters of orders and of what is no order."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3

from steps.aws.sdk import client_config, translated
from steps.contract import limits
from steps.contract.errors import QueueUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@functools.cache
def sqs() -> SQSClient:
    """Return the client of both queues."""
    return boto3.client(
        "sqs",
        config=client_config(
            connect=limits.QUEUE_CONNECT_TIMEOUT,
            read=limits.QUEUE_READ_TIMEOUT,
            attempts=limits.QUEUE_ATTEMPTS,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class OrderQueue:
    """The order queue and its dead letters, by their URLs.

    Both methods raise QueueUnavailable: the message is on the order queue still, and comes back when
    its visibility time-out ends.
    """

    url: str
    dead_letters_url: str

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        """Let a message come back in `seconds` (at most 12 hours)."""
        with translated("SQS", QueueUnavailable):
            sqs().change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )

    def dead_letter(self, body: str, *, reason: str, execution: str) -> None:
        """Put a message into the dead letters, with its reason and execution attached."""
        put_dead_letter(self.dead_letters_url, body, reason=reason, execution=execution)


def put_dead_letter(url: str, body: str, **attributes: str) -> None:
    """Put a message into a dead-letter queue, with these attributes but those that are empty.

    Raises:
        QueueUnavailable: it is not there.
    """
    with translated("SQS", QueueUnavailable):
        sqs().send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
                if value
            },
        )
