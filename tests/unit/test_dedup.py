"""The dedup step: who gets a claim, what the others are told, and what is counted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from steps import dedup
from steps.aws.ledger_table import LedgerTable
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable
from steps.contract.handler import metrics
from steps.ledger import rules
from tests.support import in_memory_aws
from tests.support.clock import NOW
from tests.support.in_memory_aws import STATE, TABLE, claimed_record
from tests.support.lambda_context import lambda_context
from tests.support.table_in_memory import MEMORY

if TYPE_CHECKING:
    from steps.contract.state import Claim
    from steps.ledger.rules import Put, Record, Update

pytestmark = pytest.mark.usefixtures("ledger_in_memory")

NEW: Claim = {"result": "NEW", "retryAfter": 0}  # type: ignore[typeddict-item]
LINKED: Claim = {**NEW, "linked": True}
LATER = NOW + limits.IN_DOUBT_GRACE


def claim(table: LedgerTable = TABLE, now: float = LATER, **grace: int) -> Claim:
    return dedup.claim(STATE, "me", table=table, now=now, **grace)


def test_a_notification_without_a_record_is_claimed() -> None:
    assert claim(now=NOW) == NEW
    assert MEMORY.records() == [claimed_record("me")]
    assert metrics.metric_set == {}


@pytest.mark.parametrize(
    ("changes", "answer", "counted"),
    [
        ({"owner": "me"}, NEW, []),
        ({"owner": "me", "inDoubt": True}, NEW, ["EmailInDoubt"]),
        ({"leaseUntil": 0}, NEW, []),
        *(
            (claimed | {"attachmentsLinked": "NotFound"}, LINKED, counted)
            for claimed, counted in (
                ({"owner": "me"}, []),
                ({"leaseUntil": 0}, []),
                ({"status": "SENDING", "sendingAt": NOW}, ["EmailInDoubt"]),
            )
        ),
        ({"status": "SENDING", "sendingAt": NOW}, NEW, ["EmailInDoubt"]),
        (
            {"status": "SENDING", "sendingAt": NOW + 5},
            {"result": "IN_PROGRESS", "retryAfter": 5},
            [],
        ),
        (
            {"status": "SENT", "messageId": "m"},
            {"result": "DUPLICATE", "retryAfter": 0},
            ["EmailDuplicate"],
        ),
    ],
)
def test_a_record_that_is_there_is_taken_over_or_left_alone(
    changes: dict[str, Any], answer: Claim, counted: list[str]
) -> None:
    MEMORY.put(claimed_record(**({"owner": "another"} | {k: _int(v) for k, v in changes.items()})))
    assert claim() == answer
    assert list(metrics.metric_set) == counted
    assert (MEMORY.records()[0]["owner"] == "me") is (answer["result"] == "NEW")


SAYS: Any = STATE | {"content": "this"}


def test_a_claim_keeps_which_part_it_is_about_and_what_its_mail_says() -> None:
    kept = {"part": {"shipmentId": "P1"}, "content": "this", "publishedAt": int(NOW) - 3}
    assert dedup.claim(SAYS | kept, "me", table=TABLE, now=NOW) == NEW
    assert MEMORY.records() == [claimed_record("me", **kept)]


def test_a_duplicate_that_says_something_else_leaves_a_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = claimed_record("another", status="SENT", messageId="m", content="that")
    MEMORY.put(sent)
    for now in (LATER, LATER + 60):
        assert dedup.claim(SAYS, "me", table=TABLE, now=now)["result"] == "DUPLICATE"
    trace = {"ignored": 2, "ignoredAt": rules.iso(LATER + 60)}
    assert MEMORY.records() == [sent | trace | {"sequence": sent["sequence"] + 2}]
    assert [(line.levelname, vars(line)["status"]) for line in caplog.records] == [
        ("WARNING", "SENT")
    ] * 2


@pytest.mark.parametrize(
    ("kept", "state"), [({"content": "this"}, SAYS), ({}, SAYS), ({"content": "this"}, STATE)]
)
def test_a_repetition_leaves_none_and_so_does_an_older_release(
    kept: dict[str, str], state: Any
) -> None:
    sent = claimed_record("another", status="SENT", messageId="m", **kept)
    MEMORY.put(sent)
    assert dedup.claim(state, "me", table=TABLE, now=LATER)["result"] == "DUPLICATE"
    assert MEMORY.records() == [sent]


def test_a_claim_that_is_taken_over_is_of_what_the_new_event_says() -> None:
    before = {"status": "FAILED", "endedAt": 0, "content": "that", "publishedAt": int(NOW) - 3}
    MEMORY.put(claimed_record("another", **before))
    assert dedup.claim(SAYS | {"publishedAt": int(LATER) - 1}, "me", table=TABLE, now=LATER) == NEW
    assert (record := MEMORY.records()[0])["content"] == "this"
    assert record["publishedAt"] == int(LATER) - 1
    MEMORY.put(claimed_record("another", **before))
    assert dedup.claim(SAYS, "me", table=TABLE, now=LATER) == NEW
    assert "publishedAt" not in MEMORY.records()[0], "that was another message's"


def _int(value: object) -> object:
    return int(value) if isinstance(value, float) else value


def test_an_execution_takes_over_only_what_ended_before_it_began() -> None:
    MEMORY.put(claimed_record("another", status="FAILED", endedAt=int(LATER) - 1))
    assert claim() == {"result": "IN_PROGRESS", "retryAfter": limits.RETRY_DELAY_MIN}
    of_the_version_before: Any = {k: v for k, v in STATE.items() if k != "startedAt"}
    assert dedup.claim(of_the_version_before, "me", table=TABLE, now=LATER) == NEW


def test_how_long_a_mail_in_doubt_waits_is_the_function_s_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    MEMORY.put(claimed_record("another", status="SENDING", sendingAt=int(NOW)))
    waits = {"result": "IN_PROGRESS", "retryAfter": 400 - limits.IN_DOUBT_GRACE}
    assert claim(grace=400) == waits
    settings = dedup.DedupSettings(tracking_table=TABLE.name, in_doubt_grace_seconds=400)
    in_memory_aws.set_environment(monkeypatch, settings)
    monkeypatch.setattr(time, "time", lambda: LATER)
    event: Any = {"execution": "me", "state": STATE}
    assert dedup.handler(event, lambda_context()) == waits
    monkeypatch.setattr(time, "time", lambda: NOW + 400)
    assert dedup.handler(event, lambda_context()) == NEW
    assert MEMORY.records()[0]["owner"] == "me"


@dataclass(frozen=True)
class ContendedTable(LedgerTable):
    """Has these records in the way of as many writes, one after the other, then takes any."""

    records: list[Record] = field(default_factory=list)
    writes: list[Put | Update] = field(default_factory=list)

    def write(self, request: Put | Update) -> Record | None:
        self.writes.append(request)
        return self.records.pop(0) if self.records else None


EXPIRED = claimed_record("someone else", leaseUntil=0)


def test_a_record_that_changes_under_every_write_is_unavailable() -> None:
    contended = ContendedTable(TABLE.name, [EXPIRED] * 9)
    with pytest.raises(LedgerUnavailable, match=r"^the record changed under the claim each time$"):
        claim(contended)
    assert len(contended.writes) == limits.CLAIM_WRITES


def test_a_record_that_is_deleted_meanwhile_is_claimed_like_one_that_never_was() -> None:
    in_doubt = claimed_record("someone else", status="SENDING", sendingAt=0)
    contended = ContendedTable(TABLE.name, [in_doubt, {}])
    assert claim(contended, now=NOW) == NEW
    assert metrics.metric_set == {}
    assert [type(write) for write in contended.writes] == [rules.Put, rules.Update, rules.Put]
    assert contended.writes[0] == contended.writes[2] == in_memory_aws.claim("me")
