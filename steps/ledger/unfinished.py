"""Unfinished: the records that say no end when they should have, and the search that finds them. Pure.

A record is unsettled when it is CLAIMED or SENDING for too long, and silent when it is SENT and SES has said
nothing of its mail for longer than it tries to deliver one. FAILED is no such record: its event is in the dead
letters. The canaries' records are left out, and so are those that have expired and are not deleted yet: they
are older than a record is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.contract import limits
from steps.contract.canary import ORDER_PREFIX, is_named
from steps.contract.report_tasks import Unfinished
from steps.ledger.rules import iso
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.ledger.rules import Record

READ = ("orderId", "status", "timestamp")
"""What is read of a record: no address, no order."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A Scan's filter over `values` (without the leading colon), and the attributes that it reads.

    In `condition` each attribute is written with a `#`.
    """

    condition: str
    values: Mapping[str, Any]
    attributes: tuple[str, ...] = READ


def before(kind: Unfinished, now: float, *, grace: int = limits.IN_DOUBT_GRACE) -> str:
    """Return the moment (ISO 8601) since which a record of that kind must have been so, to count at `now`.

    `grace`: seconds that a mail in doubt waits for SES's own event; what waits by a setting is not stuck.
    """
    if kind is Unfinished.SILENT:
        return iso(now - limits.SILENT_AFTER)
    return iso(now - max(limits.UNSETTLED_AFTER, grace + limits.RETRY_DELAY_MAX))


def search(
    now: float, *, grace: int = limits.IN_DOUBT_GRACE, canaries: tuple[float, float] | None = None
) -> Search:
    """Return the search for what is unfinished at `now`, and for the canaries sent between two moments."""
    condition = (
        "(#status IN (:claimed, :sending) AND #timestamp <= :unsettled)"
        " OR (#status = :sent AND #timestamp <= :silent)"
    )
    values: dict[str, Any] = {
        "claimed": Status.CLAIMED,
        "sending": Status.SENDING,
        "sent": Status.SENT,
        "unsettled": before(Unfinished.UNSETTLED, now, grace=grace),
        "silent": before(Unfinished.SILENT, now, grace=grace),
        "expired": iso(now - limits.RECORD_TTL),
    }
    if canaries:
        of_the_day = "begins_with(#orderId, :canary) AND #timestamp >= :from AND #timestamp < :to"
        condition = f"({condition}) OR ({of_the_day})"
        values |= {"canary": ORDER_PREFIX, "from": iso(canaries[0]), "to": iso(canaries[1])}
    return Search(condition=f"#timestamp > :expired AND ({condition})", values=values)


def kind(record: Record, now: float, *, grace: int = limits.IN_DOUBT_GRACE) -> Unfinished | None:
    """Return which kind a record is that the search found at `now`; None for one that is no such record.

    The search knows a canary by what its order id begins with, and so may a shop's own order's.
    """
    if is_named(record["orderId"]):
        return None
    found = Unfinished.SILENT if record["status"] == Status.SENT else Unfinished.UNSETTLED
    may_be = record["status"] in (Status.CLAIMED, Status.SENDING, Status.SENT)
    return found if may_be and record["timestamp"] <= before(found, now, grace=grace) else None
