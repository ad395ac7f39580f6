"""Outcomes: tell the shop what the tracking table has learned of its mails, from the table's stream.

Each change is told at least once, and the changes of one record in their order, as long as all goes well.
What SNS does not take stays in the stream and is tried again. What cannot be told at all goes to the dead
letters as it came, and holds nothing up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from steps.aws.ledger_table import deserialize
from steps.aws.queue import put_dead_letter
from steps.aws.topic import OutcomesTopic
from steps.contract import limits
from steps.contract.errors import OrderMailError, UnexpectedError
from steps.contract.handler import lambda_handler, log_unexpected, logger
from steps.contract.settings import FunctionSettings
from steps.ledger import outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.outcome_event import OutcomeEvent
    from steps.ledger.rules import Record


class StreamRecord(TypedDict):
    """One change as Lambda hands it over (Amazon DynamoDB API Reference, "Record").

    `dynamodb` has `SequenceNumber`, `ApproximateCreationDateTime` (epoch seconds), `NewImage`, `OldImage`.
    """

    eventName: str
    dynamodb: dict[str, Any]


class StreamEvent(TypedDict):
    """What a stream invokes a function with."""

    Records: list[StreamRecord]


class BatchItemFailure(TypedDict):
    """The change from which on all are to come again."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """A partial batch response: empty, or the first change that was not told."""

    batchItemFailures: list[BatchItemFailure]


@dataclass(frozen=True, kw_only=True)
class OutcomesSettings(FunctionSettings):
    """The topic's ARN, the dead letters' URL, who tells (CloudEvents' `source`), and which release."""

    outcomes_topic: str
    dead_letter_queue: str
    event_source: str
    release: str


class Telling(NamedTuple):
    """A change's place in the stream, and what it says."""

    sequence_number: str
    outcome: OutcomeEvent


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Tells what changes of records say."""

    topic: OutcomesTopic
    read: Callable[[StreamRecord], OutcomeEvent | None]
    set_aside: Callable[[StreamRecord, str], None]

    def tell(self, records: list[StreamRecord]) -> str | None:
        """Publish what the changes say; return the first of them that is to come again, if any is.

        Raises:
            QueueUnavailable: a change that cannot be told could not be set aside either.
        """
        tellings = list(self._readable(records))
        for start in range(0, len(tellings), limits.OUTCOMES_PER_PUBLISH):
            some = tellings[start : start + limits.OUTCOMES_PER_PUBLISH]
            try:
                failed = self.topic.publish([telling.outcome for telling in some])
            except OrderMailError as error:
                logger.warning("outcomes not published", reason=str(error), waiting=len(some))
                return some[0].sequence_number
            if failed:
                logger.warning("outcomes not published", waiting=len(failed))
                return some[min(failed)].sequence_number
        return None

    def _readable(self, records: list[StreamRecord]) -> Iterator[Telling]:
        for record in records:
            try:
                outcome = self.read(record)
            except Exception as error:
                log_unexpected(error)
                self.set_aside(record, UnexpectedError.__name__)
                continue
            if outcome:
                yield Telling(record["dynamodb"]["SequenceNumber"], outcome)


def read(change: StreamRecord, *, source: str, release: str) -> OutcomeEvent | None:
    """Return what a change says to the shop; None where it says nothing."""
    images = change["dynamodb"]
    return outcomes.outcome(
        _image(images.get("OldImage", {})),
        _image(images["NewImage"]),
        at=images["ApproximateCreationDateTime"],
        source=source,
        release=release,
    )


def _image(item: Mapping[str, Any]) -> Record:
    return {name: deserialize(item[name]) for name in outcomes.ATTRIBUTES if name in item}


def _teller(settings: OutcomesSettings) -> Teller:
    def readable(change: StreamRecord) -> OutcomeEvent | None:
        return read(change, source=settings.event_source, release=settings.release)

    def set_aside(change: StreamRecord, reason: str) -> None:
        put_dead_letter(settings.dead_letter_queue, json.dumps(change), reason=reason)

    return Teller(topic=OutcomesTopic(settings.outcomes_topic), read=readable, set_aside=set_aside)


@lambda_handler
def handler(event: StreamEvent, _context: LambdaContext) -> BatchResponse:
    """Take changes of the tracking table, return `batchItemFailures`: from where on they are to come again."""
    again = _teller(OutcomesSettings.from_env()).tell(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": again}] if again else []}
