"""The outcomes topic."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

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

NEVER = frozenset({"InvalidParameter", "ParameterValueInvalid", "ValidationException"})
"""The codes that are about the message itself. SNS calls a key or a permission the sender's fault, too."""


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


class NotTaken(NamedTuple):
    """The places of what SNS did not take: that which it may take later, and that which it never will."""

    again: frozenset[int] = frozenset()
    never: frozenset[int] = frozenset()


@dataclass(frozen=True)
class OutcomesTopic:
    """The outcomes topic, by its ARN."""

    arn: str

    def publish(self, outcomes: Sequence[OutcomeEvent]) -> NotTaken:
        """Publish up to ten outcomes in one request.

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
        codes = {int(failed["Id"]): failed["Code"] for failed in answer.get("Failed", ())}
        never = frozenset(place for place, code in codes.items() if code in NEVER)
        return NotTaken(again=frozenset(codes) - never, never=never)


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
