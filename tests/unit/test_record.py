"""The record step: whatever the record says by then, the end is true, and counted at least once."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from steps import record
from steps.aws.ledger_table import LedgerTable
from steps.contract import errors, limits
from steps.contract.handler import metrics
from steps.ledger import rules
from steps.ledger.status import Status
from tests.support.clock import NOW
from tests.support.in_memory_aws import STATE, TABLE, claimed_record
from tests.support.lambda_context import lambda_context
from tests.support.sample_mails import NOTIFICATION_ID, email
from tests.support.table_in_memory import MEMORY

if TYPE_CHECKING:
    from steps.contract.state import Recorded, State

pytestmark = pytest.mark.usefixtures("ledger_in_memory")

RECEIVED: State = {
    **STATE,
    "email": email("order.confirmed"),
    "receipt": {"messageId": "m", "sentAt": rules.iso(NOW), "handoverId": "this call"},
}
REFUSED: State = {**STATE, "error": {"Error": "SendRejected"}}
INVALID: State = {
    "attempt": 1,
    "lastReceive": False,
    "notificationId": "rejected-1",
    "rejection": {
        "orderId": "ORDER1",
        "customerEmail": "customer@example.com",
        "event": "{}",
        "reasons": [{"path": "eventTimestamp", "reason": "is too long ago"}],
        "claimed": NOTIFICATION_ID,
    },
}


@dataclass(frozen=True)
class LosesAnswers(LedgerTable):
    """Makes a write, loses the answer, and is asked again by the SDK."""

    lost: list[object] = field(default_factory=list)

    def write(self, request: rules.Put | rules.Update) -> rules.Record | None:
        if request not in self.lost:
            self.lost.append(request)
            super().write(request)
        return super().write(request)


def put(**changes: object) -> None:
    MEMORY.put(claimed_record(**changes))


def put_called(**changes: object) -> None:
    put(**({"status": "SENDING", "sendingAt": int(NOW), "handoverId": "this call"} | changes))


def counted(capsys: pytest.CaptureFixture[str]) -> list[str]:
    if metrics.metric_set:
        metrics.flush_metrics()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return [m["Name"] for line in lines for m in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]


def record_sent(table: LedgerTable = TABLE) -> Recorded:
    return record.record_sent(RECEIVED, "me", table=table, now=NOW)


@pytest.mark.parametrize("kind", [LedgerTable, LosesAnswers])
def test_an_acceptance_is_recorded_and_counted(
    kind: type[LedgerTable], capsys: pytest.CaptureFixture[str]
) -> None:
    put_called()
    assert record_sent(kind(TABLE.name)) == {"status": "SENT", "settled": True}
    (item,) = MEMORY.records()
    assert (item["status"], item["messageId"]) == ("SENT", "m")
    assert counted(capsys) == ["EmailSent"]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "CLAIMED"},
        {"owner": "another"},
        {"owner": "another", "status": "CLAIMED", "resends": 1},
        {"handoverId": "a later call"},
        {"status": "FAILED", "reason": "SendOutcomeUnknown"},
        {"status": "REJECTED", "reason": "InvalidEvent", "reasons": ["x"]},
    ],
)
@pytest.mark.parametrize("loses_answers", [True, False])
def test_a_receipt_is_proof_over_whatever_is_not_settled(
    changes: dict[str, Any], capsys: pytest.CaptureFixture[str], *, loses_answers: bool
) -> None:
    put_called(**changes)
    assert record_sent(LosesAnswers(TABLE.name) if loses_answers else TABLE)["settled"]
    (item,) = MEMORY.records()
    assert (item["status"], item["messageId"]) == ("SENT", "m")
    assert item["timestamp"] == rules.iso(NOW)
    assert not item.keys() & {"reason", "reasons"}
    assert counted(capsys) == ["EmailSent"]


def test_what_ses_s_event_has_said_already_is_not_counted_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(status="DELIVERED", messageId="m", promotedBy="an event", events={"Delivery|1"})
    assert record_sent() == {"status": "DELIVERED", "settled": True}
    assert counted(capsys) == []


@pytest.mark.parametrize(("resends", "counts"), [(0, ["EmailInDoubt"]), (1, [])])
def test_a_receipt_for_another_mail_than_the_recorded_one_is_the_proof_of_a_second_mail(
    resends: int, counts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(status="SENT", messageId="another", resends=resends)
    assert record_sent()["settled"]
    (item,) = MEMORY.records()
    assert (item["messageId"], item["secondMessageIds"]) == ("another", {"m"})
    assert counted(capsys) == counts
    assert record_sent()["settled"], "a repetition changes nothing"
    assert MEMORY.records() == [item]


def test_a_record_that_is_gone_is_restored_so_that_no_copy_sends_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert record_sent()["settled"]
    (item,) = MEMORY.records()
    assert {"status": "SENT", "orderId": "ORDER1", "messageId": "m"}.items() <= item.items()
    assert item["customerEmail"] == RECEIVED["email"]["to"]
    assert rules.judge(item, owner="other", started=int(NOW) + 1, now=NOW) == rules.Duplicate(
        Status.SENT
    )
    assert "EmailSent" in counted(capsys)


def test_a_record_that_keeps_changing_is_unavailable() -> None:
    @dataclass(frozen=True)
    class Contended(LedgerTable):
        def write(self, _request: object) -> rules.Record:
            return claimed_record("someone else")

    with pytest.raises(
        errors.LedgerUnavailable, match=r"^the record changed under the receipt each"
    ):
        record_sent(Contended(TABLE.name))


def test_giving_up_with_the_receipt_in_hand_records_that_the_mail_is_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_called()
    state: State = {**RECEIVED, "error": {"Error": "LedgerUnavailable"}}
    recorded = record.record_failed(state, "me", table=TABLE, now=NOW)
    assert recorded == {"status": "SENT", "settled": True}
    assert counted(capsys) == ["EmailSent"]


FAILED: State = {**STATE, "error": {"Error": "SendOutcomeUnknown"}}


@pytest.mark.parametrize("kind", [LedgerTable, LosesAnswers])
def test_a_mail_given_up_in_doubt_stays_in_doubt(
    kind: type[LedgerTable], capsys: pytest.CaptureFixture[str]
) -> None:
    put_called()
    recorded = record.record_failed(FAILED, "me", table=kind(TABLE.name), now=NOW)
    assert recorded == {"status": "FAILED", "settled": False}
    (item,) = MEMORY.records()
    assert (item["status"], item["reason"]) == ("FAILED", "SendOutcomeUnknown")
    assert isinstance(
        rules.judge(item, owner="redriven", started=int(NOW) + 1, now=NOW), rules.InProgress
    )
    assert counted(capsys) == [], "the dispatcher counts it with its dead letter"


@pytest.mark.parametrize(
    ("changes", "settled"),
    [
        ({"status": "DELIVERED", "messageId": "m"}, True),
        ({"status": "SENDING", "owner": "another", "sendingAt": int(NOW)}, False),
        ({"status": "CLAIMED", "owner": "another"}, False),
    ],
)
def test_giving_up_leaves_what_has_arrived_or_is_another_s(
    changes: dict[str, Any], capsys: pytest.CaptureFixture[str], *, settled: bool
) -> None:
    put(**changes)
    recorded = record.record_failed(FAILED, "me", table=TABLE, now=NOW)
    assert recorded == {"status": changes["status"], "settled": settled}
    assert counted(capsys) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "CLAIMED", "leaseUntil": int(NOW)},
        {"status": "SENDING", "sendingAt": int(NOW) - limits.CLAIM_LEASE},
    ],
)
def test_giving_up_ends_what_an_execution_left_that_is_over(changes: dict[str, Any]) -> None:
    put(owner="another", **changes)
    recorded = record.record_failed(FAILED, "me", table=MEMORY, now=NOW)
    assert recorded == {"status": "FAILED", "settled": False}
    item = MEMORY.whole(NOTIFICATION_ID)
    assert (item["status"], item.get("sendingAt")) == ("FAILED", changes.get("sendingAt"))


@pytest.mark.parametrize("owner", ["me", "another"])
@pytest.mark.parametrize("status", ["FAILED", "REJECTED"])
def test_giving_up_leaves_what_another_copy_has_ended(status: str, owner: str) -> None:
    put(status=status, owner=owner, reason="x")
    recorded = record.record_failed(FAILED, "me", table=TABLE, now=NOW)
    assert recorded == {"status": status, "settled": False}


@pytest.mark.parametrize("state", [FAILED, {"attempt": 5, "lastReceive": False}])
def test_giving_up_what_has_no_record_leaves_none(state: State) -> None:
    recorded = record.record_failed(state, "me", table=TABLE, now=NOW)
    assert recorded == {"status": "FAILED", "settled": False}
    assert MEMORY.records() == []


@pytest.mark.parametrize("kind", [LedgerTable, LosesAnswers])
def test_what_ses_refuses_may_be_claimed_anew_at_once(
    kind: type[LedgerTable], capsys: pytest.CaptureFixture[str]
) -> None:
    put_called()
    record.record_rejected(REFUSED, "me", table=kind(TABLE.name), now=NOW)
    (item,) = MEMORY.records()
    assert (item["status"], item["reason"]) == ("REJECTED", "SendRejected")
    verdict = rules.judge(item, owner="mended", started=int(NOW) + 1, now=NOW)
    assert isinstance(verdict, rules.TakeOver)
    assert not verdict.in_doubt
    assert counted(capsys) == ["EmailRejected"]


@pytest.mark.parametrize("kind", [LedgerTable, LosesAnswers])
def test_an_invalid_event_is_kept_and_counted_once(
    kind: type[LedgerTable], capsys: pytest.CaptureFixture[str]
) -> None:
    published: State = INVALID | {"publishedAt": int(NOW) - 3}
    record.record_rejected(published, "me", table=kind(TABLE.name), now=NOW)
    (item,) = MEMORY.records()
    assert item["publishedAt"] == int(NOW) - 3
    assert item["reasons"] == ["eventTimestamp: is too long ago"]
    assert counted(capsys) == ["EmailRejected"]
    record.record_rejected(INVALID, "published again", table=TABLE, now=NOW)
    assert counted(capsys) == []


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, True),
        ({"status": "FAILED"}, True),
        ({"status": "SENDING", "sendingAt": 1}, True),
        ({"status": "SENT", "messageId": "m"}, False),
        ({"status": "REJECTED"}, False),
    ],
)
def test_an_event_that_is_not_valid_any_more_ends_its_own_claim(
    changes: dict[str, Any], *, ends: bool
) -> None:
    put(**changes)
    record.record_rejected(INVALID, "me", table=TABLE, now=NOW)
    item = MEMORY.whole(NOTIFICATION_ID)
    assert (item.get("reason") == "InvalidEvent") is ends
    assert item["status"] == ("REJECTED" if ends else changes.get("status", "CLAIMED"))
    assert item.get("sendingAt") == changes.get("sendingAt"), "SES may have it still"


def test_a_claim_is_released_for_anyone_to_take_at_once() -> None:
    put()
    record.release(STATE, "another", table=TABLE, now=NOW)
    assert isinstance(
        rules.judge(MEMORY.records()[0], owner="b", started=int(NOW) + 1, now=NOW), rules.InProgress
    )
    assert record.release(STATE, "me", table=TABLE, now=NOW)["status"] == "CLAIMED"
    assert isinstance(
        rules.judge(MEMORY.records()[0], owner="b", started=int(NOW) + 1, now=NOW), rules.TakeOver
    )


def test_a_call_of_ses_is_not_released() -> None:
    put_called()
    assert record.release(STATE, "me", table=TABLE, now=NOW)["status"] == "SENDING"
    assert MEMORY.records()[0]["sendingAt"] == int(NOW)


# --- the function ---------------------------------------------------------------------------------

SENT = rules.sent(
    notification_id=NOTIFICATION_ID,
    owner="me",
    handover_id="this call",
    message_id="m",
    sent_at=rules.iso(NOW),
)
RESTORED = rules.restored(
    notification_id=NOTIFICATION_ID,
    order_id="ORDER1",
    recipient=RECEIVED["email"]["to"],
    owner="me",
    message_id="m",
    sent_at=rules.iso(NOW),
    now=NOW,
)


def refused(reason: str) -> rules.Update:
    return rules.refused_as_it_is(
        notification_id=NOTIFICATION_ID, owner="me", reason=reason, now=NOW
    )


def given_up(reason: str) -> rules.Update:
    return rules.given_up(notification_id=NOTIFICATION_ID, owner="me", reason=reason, now=NOW)


CALLED = claimed_record(status="SENDING", sendingAt=int(NOW), handoverId="this call")
WITHOUT_CLAIM: Any = {
    **INVALID,
    "rejection": {k: v for k, v in INVALID["rejection"].items() if k != "claimed"},
}


def kept(state: State) -> rules.Put:
    return rules.rejected(
        notification_id="rejected-1", rejection=state["rejection"], owner="me", now=NOW
    )


@pytest.mark.parametrize(
    ("outcome", "state", "before", "writes", "answer"),
    [
        ("SENT", RECEIVED, CALLED, [SENT], ("SENT", True)),
        ("SENT", RECEIVED, {}, [SENT, RESTORED], ("SENT", True)),
        ("FAILED", RECEIVED, CALLED, [SENT], ("SENT", True)),
        ("FAILED", RECEIVED, {}, [SENT, RESTORED], ("SENT", True)),
        (
            "FAILED",
            FAILED,
            CALLED,
            [given_up("SendOutcomeUnknown")],
            ("FAILED", False),
        ),
        (
            "REJECTED",
            REFUSED,
            CALLED,
            [refused("SendRejected")],
            ("REJECTED", False),
        ),
        (
            "REJECTED",
            INVALID,
            CALLED,
            [
                rules.abandoned(
                    notification_id=NOTIFICATION_ID, rejection=INVALID["rejection"], now=NOW
                ),
                kept(INVALID),
            ],
            ("REJECTED", False),
        ),
        ("REJECTED", WITHOUT_CLAIM, CALLED, [kept(WITHOUT_CLAIM)], ("REJECTED", False)),
        (
            "RELEASED",
            STATE,
            claimed_record(),
            [rules.released(notification_id=NOTIFICATION_ID, owner="me", now=NOW)],
            ("CLAIMED", False),
        ),
        (
            "RELEASED",
            STATE,
            claimed_record("another", status="SENT", messageId="m"),
            [rules.released(notification_id=NOTIFICATION_ID, owner="me", now=NOW)],
            ("SENT", True),
        ),
    ],
)
def test_the_function_writes_what_the_outcome_says_and_answers_what_the_record_is(
    monkeypatch: pytest.MonkeyPatch,
    *,
    outcome: str,
    state: State,
    before: rules.Record,
    writes: list[rules.Put | rules.Update],
    answer: tuple[str, bool],
) -> None:
    if before:
        MEMORY.put(before)
    written: list[rules.Put | rules.Update] = []

    def write(table: LedgerTable, request: rules.Put | rules.Update) -> rules.Record | None:
        assert table.name == TABLE.name
        written.append(request)
        return MEMORY.write(request)

    monkeypatch.setattr(LedgerTable, "write", write)
    monkeypatch.setattr(time, "time", lambda: NOW)
    event: Any = {"execution": "me", "outcome": outcome, "state": state}
    recorded = record.handler(event, lambda_context())
    assert written == writes
    assert (recorded["status"], recorded["settled"]) == answer


@pytest.mark.parametrize(("outcome", "said"), [("SENT", []), ("FAILED", ["SENT"])])
def test_that_a_receipt_is_recorded_is_logged_only_where_it_was_not_at_first(
    outcome: str, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    put(status="SENDING", sendingAt=int(NOW))
    event: Any = {"execution": "me", "outcome": outcome, "state": RECEIVED}
    record.handler(event, lambda_context())
    recorded = [vars(line)["status"] for line in caplog.records if line.message == "recorded"]
    assert recorded == said


def test_a_second_mail_is_named_in_the_answer_by_what_the_record_is_already() -> None:
    put(status="DELIVERED", messageId="another", resends=1)
    assert record_sent() == {"status": "DELIVERED", "settled": True}


def test_a_receipt_of_the_version_before_is_proof_too(monkeypatch: pytest.MonkeyPatch) -> None:
    put(status="SENDING", sendingAt=int(NOW))
    receipt: Any = {k: v for k, v in RECEIVED["receipt"].items() if k != "handoverId"}
    written: list[rules.Put | rules.Update] = []

    def write(_: LedgerTable, request: rules.Put | rules.Update) -> rules.Record | None:
        written.append(request)
        return MEMORY.write(request)

    monkeypatch.setattr(LedgerTable, "write", write)
    state: State = {**RECEIVED, "receipt": receipt}
    assert record.record_sent(state, "me", table=TABLE, now=NOW)["settled"]
    assert written[0].values["handover"] == "", "the name of no call"
    assert MEMORY.records()[0]["status"] == "SENT"


def test_a_second_mail_is_told_from_one_that_ended_undelivered() -> None:
    bounce = "Bounce|Transient/MailboxFull|2026-11-24T08:00:00.000Z#x"
    put(status="UNDELIVERED", messageId="another", resends=1, events={bounce})
    assert record_sent() == {"status": "UNDELIVERED", "settled": True}
    (item,) = MEMORY.records()
    assert (item["secondMessageIds"], item["endedAt"]) == ({"m"}, int(NOW))


def test_an_acceptance_that_this_step_itself_wrote_is_counted_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for promoted_by, counts in (({"promotedBy": "receipt"}, ["EmailSent"]), ({}, ["EmailSent"])):
        put(status="SENT", messageId="m", **promoted_by)
        record_sent()
        assert counted(capsys) == counts
        metrics.clear_metrics()
    put_called(owner="another")
    record_sent()
    assert MEMORY.records()[0]["promotedBy"] == "receipt"


def test_a_record_that_changes_once_is_written_over() -> None:
    put_called(owner="another", status="DELIVERED", messageId="another")
    assert record_sent()["settled"]
    assert MEMORY.records()[0]["secondMessageIds"] == {"m"}
