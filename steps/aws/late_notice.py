"""Lets the operators know that something waits, long before any of it is given up."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.contract import limits
from steps.contract.errors import OrderMailError
from steps.contract.handler import logger
from steps.ledger import rules

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(kw_only=True)
class LateNotice:
    """Puts a letter an hour into the dead letters, which have an alarm; what waits has none.

    It remembers the last one, so each execution environment of a function has one of its own.

    name: of the letter's only field, which has the moment since when something waits, in ISO 8601. put: puts a
    letter there, or raises. clock: in epoch seconds.
    """

    name: str
    put: Callable[[str], None]
    clock: Callable[[], float] = time.time
    given: float = 0.0

    def of(self, since: float) -> None:
        """Give notice where what waits has done so for too long: since this moment, in epoch seconds."""
        now = self.clock()
        if now - since < limits.LATE_NOTICE_AFTER or now - self.given < limits.LATE_NOTICE_EVERY:
            return
        try:
            self.put(json.dumps({self.name: rules.iso(since)}))
            self.given = now
        except OrderMailError as error:
            logger.warning("no notice given", reason=str(error))
