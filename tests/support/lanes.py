"""Which worker of pytest-xdist runs which file: tests that wait beside tests that compute.

Those of the local stack and of the browser mostly wait, the others compute. Some workers take the ones first,
some the others, so that both are under way from the beginning to the end; whoever has nothing left helps.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xdist.workermanage import WorkerController

WAITING = ("tests/local/", "tests/browser/")
"""The folders whose tests wait."""

WAITERS = 4
"""Workers that take them first, each with a local stack of its own."""

LESS_URGENT = 5
"""Niceness of those that compute: a stack then answers nearly as it does alone. Much more would leave them
nothing where other programs are busy, too."""

LONGEST = (
    "tests/local/test_chaos.py",
    "tests/local/test_scheduled_workflows.py",
    "tests/local/test_operator_dead.py",
    "tests/local/test_documents.py",
    "tests/local/test_operator_doctor.py",
    "tests/local/test_stack_lifecycle.py",
    "tests/local/test_operator_find.py",
    "tests/unit/test_types.py",
    "tests/unit/test_authoring.py",
    "tests/infra/test_judges.py",
    "tests/unit/test_long_outages.py",
    "tests/workflow/test_order_workflow.py",
)
"""What begins first, since a run ends with its last file. A wrong order costs seconds, and no test."""


def workers() -> int:
    """Return how many workers there are: those that wait, and one that computes for each core."""
    return WAITERS + (os.cpu_count() or 1)


def waits(worker: str) -> bool:
    """Whether a worker (`gw0`, `gw1`, ...) takes the tests that wait first."""
    return int(worker.removeprefix("gw")) < WAITERS


def next_file(worker: str, files: Iterable[str]) -> str:
    """Choose what a worker runs next: of its own kind if there is any, the longest first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    return min(
        files,
        key=lambda file: (
            file.startswith(WAITING) != waits(worker),
            ranks.get(file, len(LONGEST)),
        ),
    )


class Lanes(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Hands out whole files, as `--dist loadfile` does, in the order of `next_file`."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        file = next_file(node.gateway.id, self.workqueue)
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)
