"""Who may claim what, and that a write that comes late or again changes nothing."""

from __future__ import annotations

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.aws.ledger_table import LedgerTable
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable
from steps.dedup import claim
from steps.ledger import rules
from steps.ledger.rules import (
    Duplicate,
    InProgress,
    New,
    Record,
    Status,
    TakeOver,
    notification_id,
)
from tests.support.in_memory_aws import TABLE, table_items

NOW = 1_800_000_000.0
ID = "a" * 40


def record(**changes: object) -> Record:
    put = rules.claim(
        notification_id=ID,
        order_id="ORDER1",
        event_type="order.confirmed",
        recipient="customer@example.com",
        owner="first",
        now=NOW,
    )
    return dict(put.record) | changes


@pytest.mark.parametrize(
    ("found", "owner", "verdict"),
    [
        (record(), "first", New()),
        (record(), "second", InProgress(limits.CLAIM_LEASE)),
        (
            record(status="SENDING", sendingAt=int(NOW) - 10),
            "second",
            InProgress(limits.IN_DOUBT_GRACE - 10),
        ),
        (
            record(status="SENDING", sendingAt=int(NOW) - 10),
            "first",
            InProgress(limits.IN_DOUBT_GRACE - 10),
        ),
        *(
            (record(status=s), "second", Duplicate(s))
            for s in Status
            if s not in ("CLAIMED", "SENDING", "FAILED")
        ),
    ],
)
def test_verdicts(found: Record, owner: str, verdict: rules.Verdict) -> None:
    assert rules.judge(found, owner=owner, now=NOW) == verdict


@pytest.mark.parametrize(
    ("found", "resent", "in_doubt"),
    [
        (record(leaseUntil=int(NOW)), 0, False),
        (record(status="FAILED", resends=2), 2, False),
        (record(status="FAILED", doubts=2), 2, False),  # as older records have it
        (record(status="SENDING", sendingAt=int(NOW) - limits.IN_DOUBT_GRACE), 1, True),
    ],
)
def test_take_overs(found: Record, resent: int, in_doubt: bool) -> None:  # noqa: FBT001
    verdict = rules.judge(found, owner="second", now=NOW)
    assert isinstance(verdict, TakeOver)
    assert verdict.in_doubt is in_doubt
    assert verdict.update.set["resends"] == resent
    assert verdict.update.values["found"] == "first"


@pytest.mark.usefixtures("aws_world")
def test_the_happy_path_writes_three_times_and_each_late_repetition_fails() -> None:
    now = NOW
    claimed = rules.claim(
        notification_id=ID, order_id="1", event_type="e", recipient="r", owner="me", now=now
    )
    sending = rules.sending(notification_id=ID, owner="me", now=now)
    sent = rules.sent(notification_id=ID, owner="me", message_id="m", sent_at=rules.iso(now))
    assert TABLE.write(claimed) is None
    assert TABLE.write(sending) is None
    assert TABLE.write(sending) is None, "our own lost answer"
    assert TABLE.write(sent) is None
    for late in (claimed, sending, sent):
        found = TABLE.write(late)
        assert found is not None
        assert found["status"] == "SENT"
    (item,) = table_items()
    assert (item["status"], item["messageId"]) == ("SENT", "m")
    assert item["ttl"] == int(now) + limits.RECORD_TTL


@pytest.mark.usefixtures("aws_world")
def test_only_the_owner_may_go_to_ses_and_may_again_after_a_refusal() -> None:
    claim = rules.claim(
        notification_id=ID, order_id="1", event_type="e", recipient="r", owner="me", now=NOW
    )
    mine = rules.sending(notification_id=ID, owner="me", now=NOW)
    TABLE.write(claim)
    assert TABLE.write(rules.sending(notification_id=ID, owner="other", now=NOW)) is not None
    assert TABLE.write(mine) is None
    assert TABLE.write(rules.refused(notification_id=ID, owner="other", now=NOW)) is not None
    assert TABLE.write(rules.refused(notification_id=ID, owner="me", now=NOW)) is None
    assert TABLE.write(mine) is None
    assert TABLE.write(mine) is None


@pytest.mark.usefixtures("aws_world")
def test_a_change_of_a_record_that_is_not_there_makes_none() -> None:
    assert TABLE.write(rules.sending(notification_id=ID, owner="me", now=NOW)) == {}
    assert table_items() == []


@pytest.mark.usefixtures("aws_world")
def test_of_two_that_take_over_one_gets_it() -> None:
    boto3.resource("dynamodb").Table("tracking").put_item(Item=record(leaseUntil=int(NOW) - 1))
    verdicts = [rules.judge(record(leaseUntil=int(NOW) - 1), owner=o, now=NOW) for o in ("a", "b")]
    outcomes = [TABLE.write(v.update) for v in verdicts if isinstance(v, TakeOver)]
    assert outcomes[0] is None
    assert outcomes[1] is not None
    assert outcomes[1]["owner"] == "a"


def test_a_table_that_changes_all_the_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LedgerTable, "write", lambda *_: record(leaseUntil=0))
    state: dict[str, object] = {
        "notificationId": ID,
        "orderId": "1",
        "order": {"eventType": "e", "customerEmail": "r"},
    }
    with pytest.raises(LedgerUnavailable):
        claim(state, "me", table=TABLE, now=NOW)  # type: ignore[arg-type]


@given(st.text(), st.text(), st.text())
def test_a_notification_id_fits_a_tag_and_tells_triples_apart(a: str, b: str, c: str) -> None:
    name = notification_id(a, b, c)
    assert len(name) == 40
    assert set(name) <= set("0123456789abcdef")
    assert name != notification_id(a + b, "", c) or not b


def test_case_does_not_make_another_recipient() -> None:
    assert notification_id("1", "e", "A@B.example") == notification_id("1", "e", "a@b.example")


def test_ids_stay_what_they_are() -> None:
    assert (
        notification_id("ORDER123456", "order.confirmed", "customer@example.com")
        == "c482dadf29dd40c7786c39d5a8a6eeb264c7e796"
    )
