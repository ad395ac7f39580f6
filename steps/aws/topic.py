"""The outcomes topic."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3

from steps.aws.sdk import client_config, translated
from steps.contract import limits
from steps.contract.errors import TopicUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishBatchRequestEntryTypeDef

    from steps.contract.outcome_event import OutcomeEvent

FILTERABLE = ("status", "eventType")
"""The data that a message's attributes repeat, for filter policies."""


@functools.cache
def sns() -> SNSClient:
    """Return the client of the topic."""
    return boto3.client(
        "sns",
        config=client_config(
            connect=limits.TOPIC_CONNECT_TIMEOUT,
            read=limits.TOPIC_READ_TIMEOUT,
            attempts=limits.TOPIC_ATTEMPTS,
        ),
    )


@dataclass(frozen=True)
class OutcomesTopic:
    """The outcomes topic, by its ARN."""

    arn: str

    def publish(self, outcomes: Sequence[OutcomeEvent]) -> set[int]:
        """Publish up to ten outcomes in one request.

        Returns:
            The places of those that SNS did not take.

        Raises:
            TopicUnavailable: it took none, as far as is known.
        """
        with translated("SNS", TopicUnavailable):
            answer = sns().publish_batch(
                TopicArn=self.arn,
                PublishBatchRequestEntries=[
                    _entry(place, outcome) for place, outcome in enumerate(outcomes)
                ],
            )
        return {int(failed["Id"]) for failed in answer.get("Failed", ())}


def _entry(place: int, outcome: OutcomeEvent) -> PublishBatchRequestEntryTypeDef:
    data = outcome["data"]
    return {
        "Id": str(place),
        "Message": json.dumps(outcome),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": str(data[name])}  # type: ignore[literal-required]
            for name in FILTERABLE
            if name in data
        },
    }
