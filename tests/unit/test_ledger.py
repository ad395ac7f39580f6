"""Who may claim what, and that a write that comes late or again changes nothing."""

from __future__ import annotations

import boto3
import pytest

from steps import aws, ledger, limits
from steps.dedup import claim
from steps.errors import LedgerUnavailable
from steps.ledger import Duplicate, InProgress, New, Record, Status, TakeOver
from tests.aws_world import table_items

NOW = 1_800_000_000.0
ID = "a" * 40


def record(**changes: object) -> Record:
    put = ledger.claim(
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
def test_verdicts(found: Record, owner: str, verdict: ledger.Verdict) -> None:
    assert ledger.judge(found, owner=owner, now=NOW) == verdict


@pytest.mark.parametrize(
    ("found", "doubts", "in_doubt"),
    [
        (record(leaseUntil=int(NOW)), 0, False),
        (record(status="FAILED", doubts=2), 2, False),
        (record(status="SENDING", sendingAt=int(NOW) - limits.IN_DOUBT_GRACE), 1, True),
    ],
)
def test_take_overs(found: Record, doubts: int, in_doubt: bool) -> None:  # noqa: FBT001
    verdict = ledger.judge(found, owner="second", now=NOW)
    assert isinstance(verdict, TakeOver)
    assert verdict.in_doubt is in_doubt
    assert verdict.change.set["doubts"] == doubts
    assert verdict.change.values["found"] == "first"


@pytest.mark.usefixtures("aws_world")
def test_the_happy_path_writes_three_times_and_each_late_repetition_fails() -> None:
    now = NOW
    claimed = ledger.claim(
        notification_id=ID, order_id="1", event_type="e", recipient="r", owner="me", now=now
    )
    sending = ledger.sending(notification_id=ID, owner="me", now=now)
    sent = ledger.sent(notification_id=ID, owner="me", message_id="m", sent_at=ledger.iso(now))
    assert aws.write(claimed) is None
    assert aws.write(sending) is None
    assert aws.write(sending) is None, "our own lost answer"
    assert aws.write(sent) is None
    for late in (claimed, sending, sent):
        found = aws.write(late)
        assert found is not None
        assert found["status"] == "SENT"
    (item,) = table_items()
    assert (item["status"], item["messageId"]) == ("SENT", "m")
    assert item["ttl"] == int(now) + limits.RECORD_TTL


@pytest.mark.usefixtures("aws_world")
def test_only_the_owner_may_go_to_ses_and_may_again_after_a_refusal() -> None:
    claim = ledger.claim(
        notification_id=ID, order_id="1", event_type="e", recipient="r", owner="me", now=NOW
    )
    mine = ledger.sending(notification_id=ID, owner="me", now=NOW)
    aws.write(claim)
    assert aws.write(ledger.sending(notification_id=ID, owner="other", now=NOW)) is not None
    assert aws.write(mine) is None
    assert aws.write(ledger.refused(notification_id=ID, owner="other", now=NOW)) is not None
    assert aws.write(ledger.refused(notification_id=ID, owner="me", now=NOW)) is None
    assert aws.write(mine) is None
    assert aws.write(mine) is None


@pytest.mark.usefixtures("aws_world")
def test_a_change_of_a_record_that_is_not_there_makes_none() -> None:
    assert aws.write(ledger.sending(notification_id=ID, owner="me", now=NOW)) == {}
    assert table_items() == []


@pytest.mark.usefixtures("aws_world")
def test_of_two_that_take_over_one_gets_it() -> None:
    boto3.resource("dynamodb").Table("tracking").put_item(Item=record(leaseUntil=int(NOW) - 1))
    verdicts = [ledger.judge(record(leaseUntil=int(NOW) - 1), owner=o, now=NOW) for o in ("a", "b")]
    outcomes = [aws.write(v.change) for v in verdicts if isinstance(v, TakeOver)]
    assert outcomes[0] is None
    assert outcomes[1] is not None
    assert outcomes[1]["owner"] == "a"


def test_a_table_that_changes_all_the_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "write", lambda _request: record(leaseUntil=0))
    state: dict[str, object] = {
        "notificationId": ID,
        "orderId": "1",
        "order": {"eventType": "e", "customerEmail": "r"},
    }
    with pytest.raises(LedgerUnavailable):
        claim(state, "me", NOW)  # type: ignore[arg-type]
