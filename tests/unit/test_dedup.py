"""The dedup step where the record that it claims changes at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from steps.aws.ledger_table import LedgerTable
from steps.contract.errors import LedgerUnavailable
from steps.dedup import claim
from tests.support.clock import NOW
from tests.support.in_memory_aws import STATE, TABLE, claimed_record

if TYPE_CHECKING:
    from steps.ledger.rules import Record


@dataclass(frozen=True)
class ContendedTable(LedgerTable):
    """Every write comes too late: somebody else's claim is there, and has expired."""

    def write(self, _request: object) -> Record:
        return claimed_record("someone else", leaseUntil=0)


def test_a_record_that_changes_under_every_write_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailable):
        claim(STATE, "me", table=ContendedTable(TABLE.name), now=NOW)
