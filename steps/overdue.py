"""Overdue: write off the delayed mails of which SES never told the end.

SES gives a delayed mail up after 14 hours and reports a bounce; that event can be lost like any other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.aws.ledger_table import LedgerTable
from steps.contract import limits
from steps.contract.handler import lambda_handler, logger
from steps.contract.settings import FunctionSettings
from steps.ledger import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, kw_only=True)
class OverdueSettings(FunctionSettings):
    """Where records are kept."""

    tracking_table: str


def settle_overdue(*, table: LedgerTable, clock: Callable[[], float]) -> int:
    """Make each overdue record UNDELIVERED, for `OVERDUE_BUDGET` seconds; return how many were.

    Raises:
        LedgerUnavailable: the table did not answer. What is left is the next run's.
    """
    now, settled = clock(), 0
    for notification_id in table.find_overdue(now):
        # A record that is in the way was reported on meanwhile.
        if table.write(rules.overdue(notification_id=notification_id, now=now)) is None:
            settled += 1
        if clock() >= now + limits.OVERDUE_BUDGET:
            break
    return settled


@lambda_handler
def handler(_event: Mapping[str, object], _context: LambdaContext) -> None:
    """Take whatever the schedule sends. A repetition finds nothing left to do."""
    table = LedgerTable(OverdueSettings.from_env().tracking_table)
    logger.info("overdue", undelivered=settle_overdue(table=table, clock=time.time))
