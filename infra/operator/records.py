"""Records of the tracking table as an operator looks for them: by notification or order."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from steps.aws.ledger_table import ORDER_ID_INDEX, as_record
from steps.contract import limits
from steps.contract.order_id import UNKNOWN_ORDER, shown
from steps.contract.text import NOTIFICATION_ID, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.operator.aws import Deployment
    from steps.ledger.rules import Record

RECORD_ID = re.compile(rf"(rejected-)?{NOTIFICATION_ID.pattern}")
"""Other keys of the table are no records: the pace, and what counts attempts."""

AT_ONCE = 16


def by_id(deployment: Deployment, notification_id: str) -> Record:
    """Read a whole record, consistently; `{}` where there is none."""
    answer = deployment.client("dynamodb").get_item(
        TableName=_table(deployment),
        Key={"notificationId": {"S": notification_id}},
        ConsistentRead=True,
    )
    return as_record(answer.get("Item", {}))


def of_order(deployment: Deployment, order_id: str) -> list[Record]:
    """Read what `OrderIdIndex` has of an order's records: id, status, timestamp, address, event type."""
    if not 0 < len(order_id) <= limits.ID_MAX_LENGTH:
        return []
    return list(_query(deployment, order_id))


def whole(deployment: Deployment, found: Iterable[Record]) -> list[Record]:
    """Read all of records that an index knows of, the first written first; those that are gone are left out."""
    ids = dict.fromkeys(record["notificationId"] for record in found)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        records = pool.map(lambda id_: by_id(deployment, id_), ids)
    return sorted(filter(None, records), key=lambda record: int(record.get("sequence", 0)))


def find(deployment: Deployment, term: str) -> list[Record]:
    """Return every record of the order that a term belongs to.

    term: an order id or a notification id. A record that is of no order comes alone.
    """
    order_id = identifier(term)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # An erased record has what logs show in place of an order id that may be an address.
        orders = [
            pool.submit(of_order, deployment, id_)
            for id_ in {order_id, shown(order_id)}
            if order_id
        ]
        named = by_id(deployment, term) if RECORD_ID.fullmatch(term) else {}
    found = [*([named] if named else []), *(r for order in orders for r in order.result())]
    if named and (other := named["orderId"]) not in {order_id, UNKNOWN_ORDER}:
        found += of_order(deployment, other)
    return whole(deployment, found)


def _query(deployment: Deployment, order_id: str) -> Iterator[Record]:
    pages = (
        deployment.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=_table(deployment),
            IndexName=ORDER_ID_INDEX,
            KeyConditionExpression="orderId = :order",
            ExpressionAttributeValues={":order": {"S": order_id}},
        )
    )
    for page in pages:
        yield from map(as_record, page["Items"])


def _table(deployment: Deployment) -> str:
    return deployment.name("email-delivery-tracking")
