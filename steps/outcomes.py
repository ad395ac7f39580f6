"""Outcomes: tell the shop what the tracking table has learned of its mails, from the table's stream.

Each change is told at least once, and the changes of one record in their order, as long as all goes well.
What SNS does not take now stays in the stream and is tried again. What cannot be read, and what SNS never
takes, goes to the dead letters as it came, and holds nothing up.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from steps.aws.late_notice import LateNotice
from steps.aws.ledger_table import deserialize
from steps.aws.queue import put_dead_letter
from steps.aws.topic import NotTaken, OutcomesTopic
from steps.contract import limits
from steps.contract.batch_response import not_done
from steps.contract.errors import OrderMailError, TopicUnavailable, UnexpectedError
from steps.contract.handler import lambda_handler, log_unexpected, logger
from steps.contract.settings import FunctionSettings
from steps.ledger import outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.batch_response import BatchResponse
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


@dataclass(frozen=True, kw_only=True)
class OutcomesSettings(FunctionSettings):
    """The topic's ARN, which is also CloudEvents' `source`; the dead letters' URL; which release tells."""

    outcomes_topic: str
    dead_letter_queue: str
    release: str


class Telling(NamedTuple):
    """A change, and what it says; None where it cannot be read."""

    change: StreamRecord
    outcome: OutcomeEvent | None


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Tells what changes of records say."""

    topic: OutcomesTopic
    read: Callable[[StreamRecord], OutcomeEvent | None]
    set_aside: Callable[[StreamRecord, str], None]
    late: LateNotice

    def tell(self, records: list[StreamRecord]) -> str | None:
        """Publish what the changes say; return the first of them that is to come again, if any is.

        Raises:
            QueueUnavailable: a change that cannot be told could not be set aside either.
        """
        tellings = list(self._tellings(records))
        for start in range(0, len(tellings), limits.OUTCOMES_PER_PUBLISH):
            some = tellings[start : start + limits.OUTCOMES_PER_PUBLISH]
            again, never = self._publish(some)
            done = min(again, default=len(some))
            for place, telling in enumerate(some[:done]):
                if telling.outcome is None or place in never:
                    # Not before: what follows something that comes again comes again with it.
                    self.set_aside(telling.change, UnexpectedError.__name__)
            if again:
                first = some[done].change["dynamodb"]
                self.late.of(first["ApproximateCreationDateTime"])
                return str(first["SequenceNumber"])
        return None

    def _publish(self, tellings: list[Telling]) -> NotTaken:
        """Publish those that say something; return the places of what SNS did not take."""
        readable = {place: said for place, (_, said) in enumerate(tellings) if said}
        if not readable:
            return NotTaken()
        places = list(readable)
        try:
            again, never = self.topic.publish(list(readable.values()))
        except OrderMailError as error:
            logger.warning("outcomes not published", reason=str(error), waiting=len(places))
            return NotTaken(again=frozenset(places))
        if again or never:
            logger.warning("outcomes not published", waiting=len(again), refused=len(never))
        return NotTaken(
            again=frozenset(places[i] for i in again), never=frozenset(places[i] for i in never)
        )

    def _tellings(self, records: list[StreamRecord]) -> Iterator[Telling]:
        for record in records:
            try:
                if outcome := self.read(record):
                    yield Telling(record, outcome)
            except Exception as error:
                log_unexpected(error)
                yield Telling(record, None)


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


@functools.cache
def _teller(settings: OutcomesSettings) -> Teller:
    """Return this environment's teller, which remembers what notice it gave."""
    letter = functools.partial(put_dead_letter, settings.dead_letter_queue)

    def set_aside(change: StreamRecord, reason: str) -> None:
        letter(json.dumps(change), reason=reason)

    return Teller(
        topic=OutcomesTopic(settings.outcomes_topic),
        read=functools.partial(read, source=settings.outcomes_topic, release=settings.release),
        set_aside=set_aside,
        late=LateNotice(
            name="outcomesWaitSince",
            put=functools.partial(letter, reason=TopicUnavailable.__name__),
        ),
    )


@lambda_handler
def handler(event: StreamEvent, _context: LambdaContext) -> BatchResponse:
    """Take changes of the tracking table, return `batchItemFailures`: from where on they are to come again."""
    again = _teller(OutcomesSettings.from_env()).tell(event["Records"])
    return not_done([again] if again else [])
