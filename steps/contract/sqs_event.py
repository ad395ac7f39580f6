"""What Lambda hands a function that takes messages from a queue."""

from __future__ import annotations

from typing import TypedDict


class SqsRecord(TypedDict):
    """One SQS message as Lambda hands it over.

    `attributes` has `ApproximateReceiveCount` and `SentTimestamp` (epoch milliseconds).
    """

    messageId: str
    receiptHandle: str
    body: str
    attributes: dict[str, str]


class SqsEvent(TypedDict):
    """What SQS invokes a function with (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS")."""

    Records: list[SqsRecord]


def times_received(record: SqsRecord) -> int:
    """Return how often a message has been received, this time included."""
    return int(record["attributes"]["ApproximateReceiveCount"])


def sent_at(record: SqsRecord) -> float:
    """Return since when a message is on its queue, in epoch seconds."""
    return int(record["attributes"]["SentTimestamp"]) / 1000
