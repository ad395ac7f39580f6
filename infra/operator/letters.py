"""Dead letters: what lies in a dead-letter queue, read without taking anything away.

What kinds there are, and who put them there: `README.md`, "Dead letters".
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.operator.audit import without_addresses
from steps.contract.order_id import shown
from steps.ledger import ses_events
from steps.ledger.rules import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.operator.aws import Deployment

ORDERS, INTERNAL = "email-order-dlq", "email-internal-dlq"
QUEUES = (ORDERS, INTERNAL)
"""The dead-letter queues, by their names without the environment."""

ORDER_QUEUE, SES_EVENTS_QUEUE = "email-order-queue", "email-ses-events-queue"
"""The queues whose messages end there."""

LETTERS_MAX = 2000
"""Letters that are looked at, at most: each may be as large as a message."""

HIDDEN_FOR = 300
"""Seconds for which a letter that was received is hidden from others: long enough for `LETTERS_MAX`."""

PAGE, WAIT = 10, 1
"""Letters of one answer, the most that SQS gives. Seconds to wait for one: then SQS asks all its servers,
so that an empty answer means that there are none ("Amazon SQS short and long polling", Developer Guide)."""


class Kind(StrEnum):
    """What a letter is."""

    ORDER = "order"
    SES_EVENT = "ses-event"
    OUTCOME = "outcome"
    LATE_NOTICE = "late-notice"
    STREAM_BATCH = "stream-batch"
    SCHEDULE = "schedule"
    INVOCATION = "invocation"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One dead letter.

    queue: its name without the environment. order_id: as logs show it, empty where it is not known.
    notification_id: of an event of SES's or an outcome, as far as it is known. reason: an error's name or
    message; empty where SQS itself moved the letter. detail: what EventBridge Scheduler
    says of it. execution: where to look, an ARN. sent_at: ISO 8601 UTC;
    of a letter that SQS moved, when its order came. receives: how often it was received.
    body: as it lies there. content: what the kind is about, without the envelopes that Lambda and SNS put
    around it: an event as JSON.

    Neither `repr` nor `show` gives out what may hold a customer's order.
    """

    queue: str
    message_id: str
    kind: Kind
    order_id: str
    notification_id: str
    reason: str
    detail: str = ""
    execution: str
    sent_at: str
    receives: int
    receipt: str = field(repr=False)
    body: str = field(repr=False)
    content: str = field(repr=False)


class Look(NamedTuple):
    """The letters of a queue, the oldest first; and about how many are there that could not be looked at."""

    letters: list[Letter]
    unseen: int


def peek(deployment: Deployment, base: str) -> Look:
    """Look at a dead-letter queue; each letter is back in it when this returns.

    It counts as a receive, which matters to no dead-letter queue.
    """
    with taken(deployment, base) as found:
        letters = sorted(found, key=lambda letter: (letter.sent_at, letter.message_id))
        return Look(letters, found.unseen)


class Taken:
    """Letters as they are received one by one, each once."""

    def __init__(self, deployment: Deployment, base: str) -> None:
        """Ask how many letters there are; none is received yet."""
        self._sqs, self._url = deployment.client("sqs"), deployment.queue_url(base)
        self._base = base
        self._there = waiting(deployment, base)
        self.receipts: dict[str, str] = {}

    def __iter__(self) -> Iterator[Letter]:
        """Receive, until there are no more or `LETTERS_MAX` are reached."""
        while len(self.receipts) < LETTERS_MAX and (messages := _received(self._sqs, self._url)):
            seen = self.receipts.keys() & {message["MessageId"] for message in messages}
            self.receipts.update((m["MessageId"], m["ReceiptHandle"]) for m in messages)
            yield from (read(self._base, m) for m in messages if m["MessageId"] not in seen)

    @property
    def unseen(self) -> int:
        """About how many letters were not received: another command has them, or they are too many."""
        return max(0, self._there - len(self.receipts))


@contextmanager
def taken(deployment: Deployment, base: str) -> Iterator[Taken]:
    """Receive letters; at the end those that were not deleted are put back.

    For `HIDDEN_FOR` seconds nobody else gets one of them.
    """
    found = Taken(deployment, base)
    sqs, url = deployment.client("sqs"), deployment.queue_url(base)
    try:
        yield found
    finally:
        entries = [
            {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
            for place, receipt in enumerate(found.receipts.values())
        ]
        for start in range(0, len(entries), PAGE):
            # One that was deleted meanwhile is among `Failed`, which is as it should be.
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries[start : start + PAGE])


def waiting(deployment: Deployment, base: str) -> int:
    """Return how many letters are in a dead-letter queue, about, with those that are hidden: SQS counts so."""
    answer = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment.queue_url(base),
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(map(int, answer["Attributes"].values()))


def unseen(base: str, number: int) -> str:
    """Say that letters of a queue could not be looked at, and what to do."""
    return (
        f"About {number} letters of {base} could not be looked at: another command has them, for "
        f"{HIDDEN_FOR // 60} minutes at most, or they are more than {LETTERS_MAX:,}. Ask again then."
    )


def delete(deployment: Deployment, letter: Letter) -> None:
    """Delete a letter that is `taken`: what is in it is lost."""
    deployment.client("sqs").delete_message(
        QueueUrl=deployment.queue_url(letter.queue), ReceiptHandle=letter.receipt
    )


def _received(sqs: Any, url: str) -> list[dict[str, Any]]:
    answer = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=PAGE,
        VisibilityTimeout=HIDDEN_FOR,
        WaitTimeSeconds=WAIT,
        AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        MessageAttributeNames=["All"],
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


_REASONS = ("reason", "ERROR_CODE", "ErrorMessage")
"""The message attributes that say why: ours, EventBridge Scheduler's, and Lambda's and SNS's."""


def read(queue: str, message: Mapping[str, Any]) -> Letter:
    """Read a letter as SQS hands it over. It may hold anything."""
    attributes = {
        name: without_addresses(attribute["StringValue"])
        for name, attribute in message.get("MessageAttributes", {}).items()
        if "StringValue" in attribute
    }
    body = message["Body"]
    kind, content = (Kind.ORDER, body) if queue != INTERNAL else _kind(body, attributes)
    fields = parsed(content)
    return Letter(
        queue=queue,
        message_id=message["MessageId"],
        kind=kind,
        order_id=_order_id(kind, fields),
        notification_id=_notification_id(kind, fields),
        reason=next((attributes[name] for name in _REASONS if attributes.get(name)), ""),
        detail=attributes.get("ERROR_MESSAGE", ""),
        execution=attributes.get("execution", ""),
        sent_at=iso(int(message["Attributes"]["SentTimestamp"]) / 1000),
        receives=int(message["Attributes"]["ApproximateReceiveCount"]),
        receipt=message["ReceiptHandle"],
        body=body,
        content=content,
    )


def parsed(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is, `{}` where it is none."""
    try:
        # Numbers are no matter here, and one of too many digits is an error to `int`.
        value = json.loads(text.removeprefix("\ufeff"), parse_int=float)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _kind(body: str, attributes: Mapping[str, str]) -> tuple[Kind, str]:
    """Tell a letter of the internal queue by its shape; return its content, too."""
    fields = parsed(body)
    if "requestPayload" in fields:
        # A destination's envelope around what a function was called with.
        body = json.dumps(fields["requestPayload"])
        fields = parsed(body)
    kind = Kind.UNKNOWN
    match fields:
        case {"Records": [{"Sns": {"Message": str(body)}}, *_]}:
            kind = Kind.SES_EVENT
        case {"TopicArn": _, "Message": str(body)}:
            kind = Kind.SES_EVENT
        case {"eventType": _, "mail": _}:
            kind = Kind.SES_EVENT
        case {"eventName": _, "dynamodb": _}:
            kind = Kind.OUTCOME
        case {"outcomesWaitSince": _} | {"sesEventsWaitSince": _}:
            kind = Kind.LATE_NOTICE
        case {"DDBStreamBatchInfo": _}:
            kind = Kind.STREAM_BATCH
        case _ if "ERROR_CODE" in attributes:
            kind = Kind.SCHEDULE
        case _ if "ErrorMessage" in attributes:
            kind = Kind.INVOCATION
    return kind, body


def _order_id(kind: Kind, fields: Mapping[str, Any]) -> str:
    match kind, fields:
        case Kind.ORDER, {"orderId": str(order_id)}:
            return shown(order_id)
        case Kind.OUTCOME, {"dynamodb": {"NewImage": {"orderId": {"S": str(order_id)}}}}:
            return shown(order_id)
    return ""


def _notification_id(kind: Kind, fields: Mapping[str, Any]) -> str:
    match kind, fields:
        case Kind.SES_EVENT, {
            "mail": {"tags": {ses_events.NOTIFICATION_TAG: [str(notification_id), *_]}}
        }:
            return notification_id
        case Kind.OUTCOME, {"dynamodb": {"Keys": {"notificationId": {"S": str(notification_id)}}}}:
            return notification_id
    return ""
