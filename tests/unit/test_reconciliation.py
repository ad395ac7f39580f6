"""The nightly reconciliation: however the table is read, the same is found; what is not read is not lost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.client import BaseClient
from hypothesis import given
from hypothesis import strategies as st

from steps import reconciliation
from steps.aws import sources
from steps.aws.ledger_table import Page
from steps.contract import errors, limits
from steps.contract.state import encoded_size
from steps.ledger import unfinished
from steps.ledger.rules import iso
from steps.reports.reconciliation import day_before, united, unread
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import TABLE, claimed_record, set_environment, tracking_table
from tests.support.reports import RECONCILIATION_SETTINGS
from tests.support.table_in_memory import MEMORY, TableInMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.contract.report_tasks import Previous, TaskEvent
    from steps.ledger.rules import Record
    from steps.ledger.unfinished import Search
    from steps.reports.reconciliation import Found, Scan

MOMENT = datetime.fromtimestamp(NOW, UTC)
HOUR = 60 * 60
NIGHT_BEFORE: Previous = {"report": {"until": iso(NOW - 24 * HOUR)}}
CANARY = "CANARY-20261130T"
"""A number and a Z make it a canary's id."""
RECORDS = st.tuples(
    st.sampled_from(("CLAIMED", "SENDING", "SENT", "DELIVERED", "FAILED")),
    st.integers(0, 80),
    st.sampled_from(("ORDER", CANARY, "CANARY-CAGE", "jo@example.com ")),
    st.booleans(),
)


SEGMENT: reconciliation.Segment = {
    "segment": 0,
    "previous": NIGHT_BEFORE,
    "scan": unread()["segments"][0],
}


def record(status: str, hours: float, order: str = "ORDER1", **changes: object) -> Record:
    """Return a record that has been so for some hours."""
    return claimed_record(
        notificationId=f"{order}-{status}-{hours}",
        orderId=order,
        status=status,
        timestamp=iso(NOW - hours * HOUR),
        **changes,
    )


@dataclass(frozen=True)
class SlowTable(TableInMemory):
    """A table whose pages take some seconds each; those that are listed in `broken` give no answer."""

    clock: Clock = field(default_factory=Clock)
    seconds: float = 1
    broken: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def scan_segment(
        self, search: Search, segment: int, of: int, start: Mapping[str, str] | None = None
    ) -> Page:
        self.clock.sleep(self.seconds)
        self.asked.append(start["notificationId"] if start else "")
        if len(self.asked) in self.broken:
            raise errors.LedgerUnavailable("as asked")
        return super().scan_segment(search, segment, of, start)


def read_all(table: SlowTable, of: int) -> Found:
    """Read the whole table as the workflow does: in `of` segments, each call until its time is over."""
    parts = []
    for segment in range(of):
        state: reconciliation.Segment = {**SEGMENT, "segment": segment}
        while "start" in state["scan"]:
            state["scan"] = read_on(state, table)
        assert read_on(state, table) == state["scan"], "it is read to its end"
        parts.append(state["scan"]["found"])
    return united(reversed(parts))


def read_on(state: reconciliation.Segment, table: SlowTable) -> Scan:
    scan = reconciliation.scan(state, MOMENT, table=table, grace=300, clock=table.clock)
    assert "Error" not in scan
    return scan


@given(
    made=st.lists(RECORDS, max_size=40),
    of=st.integers(1, 9),
    page=st.integers(1, 7),
    pages=st.integers(1, 3),
)
def test_any_split_into_segments_pages_and_calls_finds_the_same(
    made: list[tuple[str, int, str, bool]], of: int, page: int, pages: int
) -> None:
    items: dict[str, Record] = {}
    expected = []
    for n, (status, hours, prefix, expired) in enumerate(made):
        kept = limits.RECORD_TTL // HOUR if expired else 0
        one = record(status, kept + hours, f"{prefix}{n:06}" + "Z" * (prefix == CANARY))
        items[one["notificationId"]] = one
        patience = {"CLAIMED": 1, "SENDING": 1, "SENT": 20}.get(status)
        if patience is not None and hours >= patience and not expired and prefix != CANARY:
            expected.append((status, hours - patience < 24))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SCAN_BUDGET", pages)
        patch.setattr(limits, "SCAN_SEGMENTS", of)
        split = read_all(SlowTable("tracking", items, page), of)
        patch.setattr(limits, "SCAN_SEGMENTS", 1)
        whole = read_all(SlowTable("tracking", items), 1)
    assert split == whole
    for kind, statuses in (("unsettled", {"CLAIMED", "SENDING"}), ("silent", {"SENT"})):
        found = [new for status, new in expected if status in statuses]
        assert split["stuck"].get(kind, 0) == len(found)
        assert split["new"].get(kind, 0) == sum(found)
    assert len(split["oldest"]) == min(len(expected), limits.SCAN_OLDEST)
    assert "@" not in json.dumps(split), "an order id may be somebody's address"


def full(pages: int) -> dict[str, Record]:
    return {f"{n:03}": record("SENT", 30 + n) | {"notificationId": f"{n:03}"} for n in range(pages)}


@pytest.fixture
def one_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCAN_SEGMENTS", 1)


@pytest.mark.usefixtures("one_segment")
def test_a_call_ends_in_time_and_the_next_goes_on() -> None:
    table = SlowTable("tracking", full(9), page=1, seconds=limits.SCAN_BUDGET / 4)
    first = read_on(SEGMENT, table)
    assert table.clock.elapsed == limits.SCAN_BUDGET
    assert first["start"] == {"orderId": "ORDER1", "notificationId": "003"}
    assert first["found"]["stuck"] == {"silent": 4}
    second = read_on({**SEGMENT, "scan": first}, table)
    assert second["found"]["stuck"] == {"silent": 8}
    third = read_on({**SEGMENT, "scan": second}, table)
    assert (third["found"]["stuck"], "start" in third) == ({"silent": 9}, False)
    assert [r["since"] for r in third["found"]["oldest"]] == sorted(
        r["timestamp"] for r in table.records()
    )
    assert table.asked == ["", *(f"{n:03}" for n in range(9))]


@pytest.mark.usefixtures("one_segment")
def test_what_was_read_before_the_table_stopped_answering_is_not_lost() -> None:
    table = SlowTable("tracking", full(4), page=1, broken=[3, 4])
    first = read_on(SEGMENT, table)
    assert first["start"]["notificationId"] == "001"
    assert first["found"]["stuck"] == {"silent": 2}
    with pytest.raises(errors.LedgerUnavailable):
        read_on({**SEGMENT, "scan": first}, table)
    assert read_on({**SEGMENT, "scan": first}, table)["found"]["stuck"] == {"silent": 4}


@pytest.mark.usefixtures("one_segment")
def test_a_call_ends_only_where_the_history_may_know_the_order() -> None:
    items = {key: one | {"orderId": "jo@example.com"} for key, one in full(3).items()}
    for key in ("100", "101"):
        items[key] = record("SENT", 30) | {"notificationId": key}
    table = SlowTable("tracking", items, page=1, seconds=limits.SCAN_BUDGET)
    assert read_on(SEGMENT, table)["start"] == {"orderId": "ORDER1", "notificationId": "100"}
    broken = SlowTable("tracking", items, page=1, broken=[2])
    with pytest.raises(errors.LedgerUnavailable):
        read_on(SEGMENT, broken)


@pytest.mark.usefixtures("one_segment")
def test_a_segment_that_never_ends_is_reported_and_not_cut_off() -> None:
    table = SlowTable("tracking", full(2), page=1)
    table.clock.sleep(limits.SCAN_DEADLINE)
    assert read_on(SEGMENT, table)["found"]["stuck"] == {"silent": 2}
    with pytest.raises(errors.SourceUnavailable, match="not read to its end within 6 hours"):
        read_on(SEGMENT, table)
    assert len(table.asked) == 3, "it asks for nothing then"


@pytest.mark.usefixtures("one_segment")
def test_where_the_last_report_is_not_known_all_is_new() -> None:
    gap: reconciliation.Segment = {**SEGMENT, "previous": {"Error": "x", "Cause": "y"}}
    table = SlowTable("tracking", {"1": record("SENT", 70), "2": record("CLAIMED", 70)})
    assert read_on(gap, table)["found"]["new"] == {"silent": 1, "unsettled": 1}
    assert read_on(SEGMENT, table)["found"]["new"] == {}


@pytest.mark.usefixtures("one_segment")
def test_the_day_s_canaries_are_counted_and_no_other_s() -> None:
    to_midnight = (MOMENT - MOMENT.replace(hour=0, minute=0, second=0)) / timedelta(hours=1)
    hours = [to_midnight + h for h in (-0.3, -0.2, 1, 24.2, 24.3)]
    items = {str(n): record("DELIVERED", h, "CANARY-20261130T031500Z") for n, h in enumerate(hours)}
    assert read_on(SEGMENT, SlowTable("tracking", items))["found"] == {
        "stuck": {},
        "new": {},
        "oldest": [],
        "canaries": 3,
    }


@pytest.mark.usefixtures("one_segment")
def test_the_state_stays_small_whatever_is_found() -> None:
    longest = {str(n): record("SENT", 30 + n, "O" * limits.ID_MAX_LENGTH) for n in range(100)}
    scanned = read_on(SEGMENT, SlowTable("tracking", longest, page=99, seconds=limits.SCAN_BUDGET))
    assert "start" in scanned
    segments = 2 * 8  # each once in the state of its iteration, once among the results
    assert segments * encoded_size(scanned) < limits.STATE_MAX_BYTES / 4


@pytest.mark.usefixtures("in_memory_aws")
def test_the_table_itself_gives_a_page_with_what_was_asked_for_and_no_more() -> None:
    for n in range(3):
        tracking_table().put_item(Item=record("SENT", 30, f"ORDER{n}"))
    tracking_table().put_item(Item={"notificationId": "pace", "freeFrom": 1})
    search = unfinished.search(NOW)
    pages = [TABLE.scan_segment(search, segment, 2) for segment in range(2)]
    assert all(page.start is None for page in pages)
    found = [one for page in pages for one in page.records]
    assert sorted(one["orderId"] for one in found) == ["ORDER0", "ORDER1", "ORDER2"]
    assert {name for one in found for name in one} == {"orderId", "status", "timestamp"}


def test_a_page_begins_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []
    start, last = ({"orderId": "ORDER1", "notificationId": key} for key in ("n-0", "n-1"))

    def answer(_: object, operation: str, request: dict[str, object]) -> dict[str, object]:
        requests.append((operation, request))
        return {"Items": [], "LastEvaluatedKey": {name: {"S": key} for name, key in last.items()}}

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    assert TABLE.scan_segment(unfinished.search(NOW), 3, 8, start) == Page([], last)
    ((operation, request),) = requests
    assert operation == "Scan"
    assert request["ExclusiveStartKey"] == {
        "orderId": {"S": "ORDER1"},
        "notificationId": {"S": "n-0"},
    }
    assert request["IndexName"] == "OrderIdIndex"
    assert (request["Segment"], request["TotalSegments"]) == (3, 8)
    assert request["Select"] == "SPECIFIC_ATTRIBUTES"
    assert "ConsistentRead" not in request


def test_both_counts_are_asked_for_of_the_day_and_a_little_around_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def values(*arguments: object, period: int) -> list[dict[datetime, float]]:
        asked.append((arguments, period))
        return [{MOMENT - timedelta(days=1): 7.0}, {MOMENT - timedelta(days=1): 8.0}]

    monkeypatch.setattr(sources, "metric_values", values)
    counted = reconciliation.mails(MOMENT, namespace="EmailNotification")
    assert (counted["ours"], counted["ses"]) == (7, 8)
    (((metrics, first, end), period),) = asked
    assert [tuple(metric) for metric in metrics] == [
        ("EmailNotification", "EmailSent", "Sum", {}),
        ("AWS/SES", "Send", "Sum", {}),
    ]
    assert (first, end) == day_before(MOMENT)
    assert period == 300


@pytest.mark.usefixtures("ledger_in_memory")
def test_the_handler_reads_a_segment_and_logs_the_verdict(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_environment(monkeypatch, RECONCILIATION_SETTINGS)
    monkeypatch.setattr(limits, "SCAN_SEGMENTS", 1)
    now = datetime.now(UTC).timestamp()
    MEMORY.put(record("SENT", (NOW - now) / HOUR + 30))
    event: TaskEvent = {"task": "scan", "now": iso(now), "state": {**SEGMENT}}
    scanned: Any = reconciliation.handler(event, LambdaContext())
    assert scanned["found"]["stuck"] == {"silent": 1}
    inputs = {
        "table": {"segments": [scanned]},
        "previous": {"report": {}},
        "mails": {"Error": "x", "Cause": "y"},
    }
    event = {"task": "report", "now": iso(now), "state": inputs}
    report: Any = reconciliation.handler(event, LambdaContext())
    assert "order-mail reconcile --env dev" in report["alert"]["message"]
    (line,) = caplog.records
    assert (line.message, vars(line)["stuck"]) == ("reconciliation", {"silent": 1})
