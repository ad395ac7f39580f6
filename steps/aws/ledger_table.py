"""The tracking table: carries out the ledger's writes, reads records, finds those that are overdue or stuck."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from steps.aws.sdk import client_config, error_code, translated
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable, OrderMailError, UnexpectedError
from steps.ledger.rules import Put, Record, Update
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from botocore.exceptions import ClientError
    from mypy_boto3_dynamodb import DynamoDBClient

    from steps.ledger.unfinished import Search

ORDER_ID_INDEX = "OrderIdIndex"
OVERDUE_INDEX = "OverdueIndex"

serialize = TypeSerializer().serialize
deserialize = TypeDeserializer().deserialize

_OUR_FAULT = {
    "ItemCollectionSizeLimitExceededException",
    "SerializationException",
    "ValidationException",
}
"""Answers that say that the request itself is wrong (Amazon DynamoDB Developer Guide, "Error handling").

Any other is about the moment: a throttle, a key that cannot be used just now, a permission or a table that
a deployment has yet to bring. It passes, or somebody mends it while the messages wait.
"""


@functools.cache
def dynamodb() -> DynamoDBClient:
    """Return the client of the tracking table."""
    return boto3.client(
        "dynamodb",
        config=client_config(
            connect=limits.LEDGER_CONNECT_TIMEOUT,
            read=limits.LEDGER_READ_TIMEOUT,
            attempts=limits.LEDGER_ATTEMPTS,
        ),
    )


@functools.cache
def scanner() -> DynamoDBClient:
    """Return the client that reads a whole index: a page of 1 MB takes its time, and nobody waits for it."""
    return boto3.client(
        "dynamodb",
        config=client_config(
            connect=limits.REPORT_CONNECT_TIMEOUT,
            read=limits.REPORT_READ_TIMEOUT,
            attempts=limits.REPORT_ATTEMPTS,
        ),
    )


def ledger_errors() -> AbstractContextManager[None]:
    """Raise LedgerUnavailable for what passes, UnexpectedError for what does not."""

    def refused(error: ClientError) -> type[OrderMailError]:
        return UnexpectedError if error_code(error) in _OUR_FAULT else LedgerUnavailable

    return translated("DynamoDB", LedgerUnavailable, refused)


class Page(NamedTuple):
    """The records that a page of a Scan has; `start` is where the next one begins, None after the last.

    `start` is the key of an entry of the index: an order id is in it, as it is.
    """

    records: list[Record]
    start: dict[str, str] | None


@dataclass(frozen=True)
class LedgerTable:
    """The tracking table called `name`.

    Every method raises LedgerUnavailable where the table throttled, answered 5xx or not at all.
    """

    name: str

    def write(self, request: Put | Update) -> Record | None:
        """Make one conditional write.

        Returns:
            None where the write was made, else the record that stood in its way. A record that does not
            exist stands in the way as `{}`.
        """
        arguments = self._arguments(request)
        with ledger_errors():
            try:
                if isinstance(request, Put):
                    dynamodb().put_item(**arguments)
                else:
                    dynamodb().update_item(**arguments)
            except dynamodb().exceptions.ConditionalCheckFailedException as failed:
                # `Item` comes with ReturnValuesOnConditionCheckFailure; the stubs do not know it.
                response: Mapping[str, Any] = failed.response
                return as_record(response.get("Item", {}))
        return None

    def read(
        self, notification_id: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> Record:
        """Read these attributes of a record; `{}` where there is none.

        Half as dear where it need not be `consistent`: then it may be as it was a moment ago.
        """
        names = {f"#{name}": name for name in attributes}
        with ledger_errors():
            answer = dynamodb().get_item(
                TableName=self.name,
                Key={"notificationId": serialize(notification_id)},
                ConsistentRead=consistent,
                ProjectionExpression=", ".join(names),
                ExpressionAttributeNames=names,
            )
        return as_record(answer.get("Item", {}))

    def whole(self, notification_id: str) -> Record:
        """Read a record as it is, consistently; `{}` where there is none."""
        with ledger_errors():
            answer = dynamodb().get_item(
                TableName=self.name,
                Key={"notificationId": serialize(notification_id)},
                ConsistentRead=True,
            )
        return as_record(answer.get("Item", {}))

    def find_of_order(self, order_id: str) -> Iterator[Record]:
        """Find the records of an order and read each whole, consistently. The index lags the table a little."""
        start: dict[str, Any] = {}
        while True:
            with ledger_errors():
                answer = dynamodb().query(
                    TableName=self.name,
                    IndexName=ORDER_ID_INDEX,
                    KeyConditionExpression="orderId = :order",
                    ExpressionAttributeValues={":order": serialize(order_id)},
                    ProjectionExpression="notificationId",
                    **start,
                )
            for item in answer["Items"]:
                if record := self.whole(deserialize(item["notificationId"])):
                    yield record
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _arguments(self, request: Put | Update) -> dict[str, Any]:
        names = {f"#{a}": a for a in ("status", "owner", "ttl") if f"#{a}" in request.condition}
        values = {f":{name}": value for name, value in request.values.items()}
        arguments: dict[str, Any] = {
            "TableName": self.name,
            "ConditionExpression": request.condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if isinstance(request, Put):
            arguments["Item"] = {name: serialize(value) for name, value in request.record.items()}
        else:
            clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": []}
            changes = [("SET", "#{0} = :new_{0}", a, v) for a, v in request.set.items()]
            changes += [("ADD", "#{0} :new_{0}", a, v) for a, v in request.add.items()]
            changes += [("ADD", "#{0} :new_{0}", a, 1) for a in request.counted]
            for verb, clause, attribute, value in changes:
                clauses[verb].append(clause.format(attribute))
                names[f"#{attribute}"] = attribute
                values[f":new_{attribute}"] = value
            for attribute in request.remove:
                clauses["REMOVE"].append(f"#{attribute}")
                names[f"#{attribute}"] = attribute
            arguments["Key"] = {"notificationId": serialize(request.notification_id)}
            arguments["UpdateExpression"] = " ".join(
                f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts
            )
        return arguments | {
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {name: serialize(v) for name, v in values.items()},
        }

    def find_overdue(self, now: float) -> Iterator[str]:
        """Find the delayed mails of which SES should have told the end by `now`, the oldest first.

        A page is asked for when it is needed. The index lags the table a little.
        """
        start: dict[str, Any] = {}
        while True:
            with ledger_errors():
                answer = dynamodb().query(
                    TableName=self.name,
                    IndexName=OVERDUE_INDEX,
                    KeyConditionExpression="overdue = :delayed AND overdueAt <= :now",
                    ExpressionAttributeValues={
                        ":delayed": serialize(Status.DELAYED),
                        ":now": serialize(int(now)),
                    },
                    Limit=limits.OVERDUE_PAGE,
                    **start,
                )
            yield from (deserialize(item["notificationId"]) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def scan_segment(
        self, search: Search, segment: int, of: int, start: Mapping[str, str] | None = None
    ) -> Page:
        """Read one page of a segment (0, 1, ... of `of`) of all records; return those searched for.

        It reads `OrderIdIndex`: its entries are a third of their records, it has no items but records, and it
        has partitions of its own, so the order path's reads have theirs. A page is 1 MB, found or not, and lags
        the table a little ("Working with scans", Amazon DynamoDB Developer Guide).
        """
        names = {f"#{name}": name for name in search.attributes}
        first: dict[str, Any] = (
            {"ExclusiveStartKey": {name: serialize(key) for name, key in start.items()}}
            if start
            else {}
        )
        with ledger_errors():
            answer = scanner().scan(
                TableName=self.name,
                IndexName=ORDER_ID_INDEX,
                Segment=segment,
                TotalSegments=of,
                Select="SPECIFIC_ATTRIBUTES",
                ProjectionExpression=", ".join(names),
                FilterExpression=search.condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    f":{name}": serialize(value) for name, value in search.values.items()
                },
                **first,
            )
        last = answer.get("LastEvaluatedKey")
        return Page(
            records=[as_record(item) for item in answer["Items"]],
            start=as_record(last) if last else None,
        )


def as_record(item: Mapping[str, Any]) -> Record:
    """Return an item as the SDK has it (`{"orderId": {"S": ...}}`) as a record."""
    return {name: deserialize(value) for name, value in item.items()}
