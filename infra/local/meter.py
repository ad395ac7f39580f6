"""What the emulator counts beside its work: DynamoDB's units, and the functions' time.

It counts from its start on; `GET /_laptop/meter` tells. Who wants the figures of a while takes the difference.
The standard library only: it runs in the emulator's environment.

Units are by the function that asked, and by table or index (`email-delivery-tracking-dev/OrderIdIndex`). Time
is the invocation's as the platform's REPORT line has it, in ms, and the process's CPU time in it; an
environment's first invocation, whose CPU time includes its start, is `cold`.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.local import capacity

Json = dict[str, Any]
PATH = "/_laptop/meter"

NS_IN_MS = 1_000_000


class Meter:
    """Sums of units and time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._units: dict[str, dict[str, dict[str, float]]] = {
            kind: defaultdict(lambda: defaultdict(float)) for kind in ("writeUnits", "readUnits")
        }
        self._time: dict[str, dict[str, dict[str, float]]] = {
            how: defaultdict(lambda: defaultdict(float)) for how in ("warm", "cold")
        }

    def wrote(self, caller: str, table: Json, before: Any, after: Any) -> None:
        """Count a write; where its condition failed, the item is the same before and after."""
        key = [part["AttributeName"] for part in table["KeySchema"]]
        with self._lock:
            taken = self._units["writeUnits"][caller]
            taken[table["TableName"]] += capacity.write_units(before, after)
            for index in table.get("GlobalSecondaryIndexes") or []:
                if units := capacity.index_units(index, key, before, after):
                    taken[f"{table['TableName']}/{index['IndexName']}"] += units

    def read(self, caller: str, where: str, size: int, *, consistent: bool) -> None:
        """Count a read of `size` bytes from a table or an index."""
        with self._lock:
            units = capacity.read_units(size, consistent=consistent)
            self._units["readUnits"][caller][where] += units

    def ran(self, function: str, *, cold: bool, ms: float, cpu_ms: float) -> None:
        """Count an invocation."""
        with self._lock:
            time = self._time["cold" if cold else "warm"][function]
            time["invocations"] += 1
            time["ms"] += ms
            time["cpuMs"] += cpu_ms

    def told(self) -> Json:
        """Return `{writeUnits, readUnits: {function: {where: units}}, warm, cold: {function: {...}}}`."""
        with self._lock:
            return {
                name: {outer: dict(inner) for outer, inner in sums.items()}
                for name, sums in (self._units | self._time).items()
            }


def cpu_ms(process: int | None) -> float:
    """Return the CPU time of a process's threads so far, in ms (proc(5), `schedstat`); 0 without a process."""
    spent = 0
    for thread in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):  # it has just ended
            spent += int(thread.read_text().split()[0])
    return spent / NS_IN_MS
