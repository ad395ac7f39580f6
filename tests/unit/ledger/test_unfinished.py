"""Which records are stuck: each status, one second too young and just old enough."""

from __future__ import annotations

import pytest

from steps.contract import limits
from steps.contract.canary import is_named
from steps.contract.report_tasks import Unfinished
from steps.ledger import rules, unfinished
from steps.ledger.rules import iso
from steps.ledger.status import Status
from tests.support.clock import NOW
from tests.support.in_memory_aws import claimed_record
from tests.support.table_in_memory import TableInMemory

HOUR = 60 * 60
LONG_AGO = 30 * 24 * HOUR
STUCK = {Status.CLAIMED: HOUR, Status.SENDING: HOUR, Status.SENT: 20 * HOUR}
"""After how many seconds a status is stuck; the others never are."""


CANARY = "CANARY-20261130T031500Z"


def found(*records: rules.Record, grace: int = 300, **options: object) -> list[str]:
    """Return the orders that the search finds, and that are of a kind or canaries."""
    table = TableInMemory("tracking")
    for n, record in enumerate(records):
        table.put(record | {"notificationId": str(n)})
    search = unfinished.search(NOW, grace=grace, **options)  # type: ignore[arg-type]
    return [
        r["orderId"]
        for r in table.scan_segment(search, 0, 1).records
        if unfinished.kind(r, NOW, grace=grace) or (options and is_named(r["orderId"]))
    ]


def record(status: str, age: float, **changes: object) -> rules.Record:
    return claimed_record(orderId="ORDER1", status=status, timestamp=iso(NOW - age), **changes)


@pytest.mark.parametrize("status", Status)
def test_a_status_is_stuck_from_its_age_on_or_never(status: Status) -> None:
    if status in STUCK:
        assert found(record(status, STUCK[status])) == ["ORDER1"]
        assert found(record(status, STUCK[status] - 1)) == []
    else:
        assert found(record(status, LONG_AGO)) == []


def test_what_is_expired_or_a_canary_s_or_no_record_is_left_out() -> None:
    stuck = record("SENT", LONG_AGO)
    assert found(record("SENT", limits.RECORD_TTL - 1)) == ["ORDER1"]
    assert found(record("SENT", limits.RECORD_TTL)) == []
    assert found(stuck | {"orderId": CANARY}) == []
    assert found(record("SENDING", LONG_AGO) | {"orderId": CANARY}) == []
    assert found(stuck | {"orderId": "CANARY-CAGE"}) == ["CANARY-CAGE"], "a shop's own order"
    assert found({"freeFrom": 1, "rate": 14}, {"executions": {"x"}, "ttl": int(NOW) + 1}) == []


def test_what_waits_by_a_setting_is_not_stuck() -> None:
    grace = 12 * HOUR
    after = grace + limits.RETRY_DELAY_MAX
    assert found(record("SENDING", after), grace=grace) == ["ORDER1"]
    assert found(record("SENDING", after - 1), grace=grace) == []
    assert found(record("SENT", STUCK[Status.SENT]), grace=grace) == ["ORDER1"]


def test_the_canaries_between_two_moments_are_found_whatever_became_of_them() -> None:
    canaries = [
        record("DELIVERED", age) | {"orderId": f"CANARY-20261130T000{age:03}Z"}
        for age in (101, 100, 1, 0)
    ]
    others = [record("DELIVERED", 50), record("SENT", LONG_AGO)]
    others += [record("DELIVERED", 50) | {"orderId": "CANARY-CAGE"}]
    assert found(*canaries, *others, canaries=(NOW - 100, NOW)) == [
        "CANARY-20261130T000100Z",
        "CANARY-20261130T000001Z",
        "ORDER1",
    ]


def test_each_kind_is_told_by_its_record() -> None:
    assert unfinished.kind(record("CLAIMED", HOUR), NOW) is Unfinished.UNSETTLED
    assert unfinished.kind(record("SENDING", HOUR), NOW) is Unfinished.UNSETTLED
    assert unfinished.kind(record("SENT", LONG_AGO), NOW) is Unfinished.SILENT
    assert unfinished.kind(record("SENT", LONG_AGO) | {"orderId": CANARY}, NOW) is None


def test_no_address_and_no_order_is_read() -> None:
    assert unfinished.READ == ("orderId", "status", "timestamp")
    assert unfinished.search(NOW).attributes == unfinished.READ
