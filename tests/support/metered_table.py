"""The tracking table in memory, with a meter: what DynamoDB charges for each call.

Source: "DynamoDB read and write operations" and "Provisioned throughput considerations for Global Secondary
Indexes", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from steps.ledger.rules import Put
from tests.support.table_in_memory import TableInMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steps.ledger.rules import Record, Update

KB = 1024


def size(value: Any) -> int:
    """Return a value's bytes in an item ("DynamoDB Item sizes and formats", Developer Guide)."""
    match value:
        case str():
            return len(value.encode())
        case int() | Decimal():
            return -(-len(str(value)) // 2) + 1
        case set():
            return sum(map(size, value))
        case dict():
            return 3 + sum(size(name) + size(member) + 1 for name, member in value.items())
    raise AssertionError(value)


def total(item: Record) -> int:
    """Return an item's bytes."""
    return sum(size(name) + size(value) for name, value in item.items())


def units(item: Record, of: int = KB) -> int:
    """Return how many units of so many bytes an item is: one at least."""
    return max(1, -(-total(item) // of))


@dataclass(frozen=True)
class Index:
    """A global secondary index: its key, and all that an entry has."""

    name: str
    key: frozenset[str]
    attributes: frozenset[str]

    @classmethod
    def of(cls, index: dict[str, Any]) -> Index:
        """Return the index that a template or a table's description tells of."""
        key = {attribute["AttributeName"] for attribute in index["KeySchema"]}
        kept = {"notificationId", *key, *index["Projection"].get("NonKeyAttributes", ())}
        return cls(index["IndexName"], frozenset(key), frozenset(kept))

    def entry(self, item: Record) -> Record:
        """Return an item's entry; `{}` where it has none."""
        if not self.key <= item.keys():
            return {}
        return {name: item[name] for name in self.attributes & item.keys()}

    def units(self, old: Record, new: Record) -> int:
        """Return what a change of the item costs the index."""
        before, after = self.entry(old), self.entry(new)
        if before == after:
            return 0
        moved = before and after and any(before[name] != after[name] for name in self.key)
        return units(before) + units(after) if moved else max(units(before), units(after))


@dataclass(frozen=True, kw_only=True)
class MeteredTable(TableInMemory):
    """Notes each call's units: of a write those of the table and of each index, by its name; of a read all."""

    indexes: tuple[Index, ...]
    writes: list[dict[str, int]] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)

    def write(self, request: Put | Update) -> Record | None:
        key = (
            request.record["notificationId"]
            if isinstance(request, Put)
            else request.notification_id
        )
        old = self.items.get(key, {})
        standing = super().write(request)
        new = self.items.get(key, {})
        charged = {"table": max(units(old), units(new))}
        charged |= {index.name: cost for index in self.indexes if (cost := index.units(old, new))}
        self.writes.append(charged)
        return standing

    def read(
        self, notification_id: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> Record:
        whole = units(self.items.get(notification_id, {}), 4 * KB)
        self.reads.append(whole if consistent else whole / 2)
        return super().read(notification_id, attributes, consistent=consistent)
