"""The deployed local stack as the tests see it, and how they wait for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from infra.local.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


class LocalStack(World):
    """The running stack, with what only tests ask."""

    def wait_for_status(self, order_id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until an order's record has one of the statuses; return the record."""
        record: dict[str, Any] = until(
            lambda: r if (r := self.record(order_id)).get("status") in statuses else None,
            seconds=seconds,
            what=lambda: f"{order_id} to be {'/'.join(statuses)}, it is {self.record(order_id)}",
        )
        return record

    def paths(self, order_id: str) -> list[list[str]]:
        """Return the path of each ended execution of an order, the oldest first."""
        return [self.path(e["executionArn"]) for e in self.executions(order_id)]

    def path(self, execution: str) -> list[str]:
        """Return the states that an execution entered."""
        events = self.history(execution)
        return [
            e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e
        ]


def until(
    found: Callable[[], Any], *, seconds: float = 60, what: Callable[[], str] | str = "it"
) -> Any:
    """Wait until `found` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {seconds} s for {what if isinstance(what, str) else what()}"
            )
        time.sleep(0.2)
    return result
