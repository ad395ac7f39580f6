"""The `pace` item without a table."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steps.aws.pace import Answer, Inside, Outside, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass
class PaceItem:
    """The item that all dispatchers share. `clock` is the table's; without one it tells no time."""

    clock: Callable[[], float] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    writes: int = 0
    """How often a dispatcher wrote to it, in vain or not."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class PaceInMemory(Pace):
    """Keeps to a `PaceItem`."""

    table: str = ""
    dispatchers: int = field(default=5, kw_only=True)
    item: PaceItem = field(default_factory=PaceItem)

    def update(
        self, changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
    ) -> Answer:
        item = self.item.attributes
        with self.item.lock:
            self.item.writes += 1
            if made := when is None or _holds(when, item):
                item |= changes
                item |= {name: item[name] + by for name, by in moved.items()}
            at = float(int(self.item.clock())) if self.item.clock else None
            return Answer(made=made, item=dict(item), at=at)


def _holds(condition: Outside, item: Mapping[str, Any]) -> bool:
    moment = item.get(condition.attribute)
    inside = moment is not None and condition.after < moment <= condition.until
    return inside == isinstance(condition, Inside)
