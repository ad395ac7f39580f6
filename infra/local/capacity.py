"""What DynamoDB bills for a request, by the rules of its Developer Guide.

Sizes are in bytes, items in DynamoDB's own JSON (`{"orderId": {"S": "1"}}`). MiniStack's `ConsumedCapacity`
takes every read for one of at most 4 KB, and says nothing of a write whose condition fails, which is billed all
the same; so this module is the one place that counts units. The standard library only: it runs in the
emulator's environment, too.

Sources: "DynamoDB item sizes and formats", "DynamoDB read and write operations", "Using Global Secondary
Indexes in DynamoDB" (write capacity units, storage considerations).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Item = Mapping[str, Mapping[str, Any]]

WRITE_UNIT, READ_UNIT = 1024, 4096
"""Bytes that one write, and one strongly consistent read, covers."""

ENTRY_OVERHEAD = 100
"""Bytes that are billed as storage beside each item, and each entry of an index."""

_CONTAINER = 3
"""Bytes of a list or a map, beside one for each member."""


def item_bytes(item: Item) -> int:
    """Return an item's size: its attributes' names and values."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((type_, held),) = value.items()
    match type_:
        case "S":
            size = len(held.encode())
        case "N":
            size = _number_bytes(held)
        case "B":
            size = len(base64.b64decode(held))
        case "SS" | "NS" | "BS":
            size = sum(_value_bytes({type_[0]: member}) for member in held)
        case "L":
            size = _CONTAINER + sum(1 + _value_bytes(member) for member in held)
        case "M":
            size = _CONTAINER + len(held) + item_bytes(held)
        case _:  # BOOL, NULL
            size = 1
    return size


def _number_bytes(number: str) -> int:
    """Return about a byte for two significant digits, and one more; another one below zero."""
    mantissa = number.lower().partition("e")[0]
    digits = mantissa.lstrip("+-").replace(".", "").strip("0")
    return -(-len(digits) // 2) + 1 + mantissa.startswith("-")


def read_units(size: int, *, consistent: bool) -> float:
    """Return what reading `size` bytes takes; what is not there is one unit, too."""
    units = max(1, -(-size // READ_UNIT))
    return float(units) if consistent else units / 2


def write_units(before: Item | None, after: Item | None) -> int:
    """Return what a write takes of the table: the larger one of the item before and after it.

    For a write whose condition failed, both are the item as it stands.
    """
    return _units(max(item_bytes(before or {}), item_bytes(after or {})))


def index_units(
    index: Mapping[str, Any], key: list[str], before: Item | None, after: Item | None
) -> int:
    """Return what a write takes of one index, as DescribeTable shows it; `key`: the table's key attributes.

    None where its entry stays as it is, two writes where the entry's key changes.
    """
    old, new = index_entry(index, key, before), index_entry(index, key, after)
    if old == new:
        return 0
    if old and new and all(old[name] == new[name] for name in _keys(index)):
        return write_units(old, new)
    return sum(_units(item_bytes(entry)) for entry in (old, new) if entry)


def index_entry(index: Mapping[str, Any], key: list[str], item: Item | None) -> Item | None:
    """Return what an index has of an item; None where the item lacks the index's key."""
    if not item or any(name not in item for name in _keys(index)):
        return None
    projection = index["Projection"]
    if projection["ProjectionType"] == "ALL":
        return item
    names = {*_keys(index), *key, *projection.get("NonKeyAttributes", [])}
    return {name: value for name, value in item.items() if name in names}


def _keys(index: Mapping[str, Any]) -> list[str]:
    return [part["AttributeName"] for part in index["KeySchema"]]


def _units(size: int) -> int:
    return max(1, -(-size // WRITE_UNIT))
