"""Who may claim what, and that a write that comes late or again changes nothing."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.contract import limits
from steps.ledger import rules
from steps.ledger.rules import (
    Duplicate,
    InProgress,
    New,
    Record,
    TakeOver,
    Update,
    notification_id,
)
from steps.ledger.status import UNSENT, Status, fold
from tests.support.clock import NOW
from tests.support.in_memory_aws import (
    TABLE,
    claim,
    claimed_record,
)
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.table_in_memory import MEMORY

if TYPE_CHECKING:
    from random import Random


@pytest.mark.parametrize(
    ("existing", "owner", "verdict"),
    [
        (claimed_record("first"), "first", New()),
        (claimed_record("first"), "second", InProgress(limits.CLAIM_LEASE)),
        (
            claimed_record("first", status="SENDING", sendingAt=int(NOW) - 10),
            "second",
            InProgress(limits.IN_DOUBT_GRACE - 10),
        ),
        (
            claimed_record("first", status="SENDING", sendingAt=int(NOW) - 10),
            "first",
            InProgress(limits.IN_DOUBT_GRACE - 10),
        ),
        *(
            (
                claimed_record("first", status=status, endedAt=int(NOW) + 1, **extra),
                owner,
                InProgress(limits.RETRY_DELAY_MIN),
            )
            # What ended since this execution began is not its to begin anew.
            for owner in ("first", "second")
            for status, extra in (
                ("FAILED", {}),
                ("REJECTED", {}),
                ("UNDELIVERED", {"messageId": "m"}),
            )
        ),
        (
            claimed_record(
                "first", status="UNDELIVERED", messageId="m", secondMessageIds=frozenset({"x"})
            ),
            "second",
            Duplicate(Status.UNDELIVERED),  # of two mails that SES has, one may arrive yet
        ),
        *(
            (
                claimed_record("first", status=status, messageId="m"),
                "second",
                Duplicate(status),
            )
            for status in Status
            if status not in UNSENT | {Status.UNDELIVERED}
        ),
    ],
)
def test_an_existing_record_is_judged_by_its_status_and_its_owner(
    existing: Record, owner: str, verdict: rules.Verdict
) -> None:
    assert rules.judge(existing, owner=owner, started=int(NOW) + 1, now=NOW) == verdict


EXPRESS = "arn:aws:states:us-east-1:123456789012:express:email-order-workflow-dev:{}:0a1b-2c"


@pytest.mark.parametrize("name", ["{}", EXPRESS])
def test_what_a_message_had_refused_its_second_delivery_does_not_begin_anew(name: str) -> None:
    """The message leaves the queue with the first's end: a claim of the second would be nobody's."""
    first, twin, mended = (name.format(f"ORDER-1-{end}") for end in ("1a2b-1", "1a2b-2", "3c4d-1"))
    refused = claimed_record(first, status="REJECTED", endedAt=int(NOW), reason="SendRejected")
    judge = partial(rules.judge, refused, started=int(NOW) + 1, now=NOW)
    assert judge(owner=twin) == Duplicate(Status.REJECTED)
    assert isinstance(judge(owner=mended), rules.TakeOver)
    # Whose event that was is not told, and a valid one of the owner's may wait on the queue.
    abandoned = refused | {"reason": "InvalidEvent", "reasons": ["orderTotal: no"]}
    assert isinstance(
        rules.judge(abandoned, owner=twin, started=int(NOW) + 1, now=NOW), rules.TakeOver
    )
    in_doubt = claimed_record(
        first, status="REJECTED", endedAt=int(NOW), reason="SendRejected", sendingAt=0
    )
    assert isinstance(
        rules.judge(in_doubt, owner=twin, started=int(NOW) + 1, now=NOW), rules.TakeOver
    )


@pytest.mark.parametrize(
    ("existing", "resends", "in_doubt"),
    [
        (claimed_record("first", leaseUntil=int(NOW)), 0, False),
        (claimed_record("first", status="REJECTED", resends=1), 1, False),  # refused by SES
        (claimed_record("first", status="UNDELIVERED", messageId="m"), 1, False),
        *(
            (
                claimed_record("first", status=status, sendingAt=int(NOW) - limits.IN_DOUBT_GRACE),
                1,
                True,
            )
            for status in ("FAILED", "REJECTED")
        ),
        (claimed_record("first", status="FAILED", resends=2), 2, False),
        (claimed_record("first", status="FAILED", doubts=2), 2, False),  # as older records have it
        (
            claimed_record("first", status="SENDING", sendingAt=int(NOW) - limits.IN_DOUBT_GRACE),
            1,
            True,
        ),
    ],
)
def test_an_expired_failed_or_doubtful_record_is_taken_over(
    existing: Record, resends: int, *, in_doubt: bool
) -> None:
    verdict = rules.judge(existing, owner="second", started=int(NOW) + 1, now=NOW)
    assert isinstance(verdict, TakeOver)
    assert verdict.in_doubt is in_doubt
    assert verdict.update.set["resends"] == resends
    assert verdict.update.values["found"] == "first"


def sending(owner: str = "me", call: str = "call-1", previous: str | None = None) -> Update:
    return rules.sending(
        notification_id=NOTIFICATION_ID,
        owner=owner,
        handover_id=call,
        previous=previous,
        now=NOW,
    )


def refused(owner: str = "me", call: str = "call-1") -> Update:
    return rules.refused(notification_id=NOTIFICATION_ID, owner=owner, handover_id=call, now=NOW)


def sent(owner: str = "me", call: str = "call-1") -> Update:
    return rules.sent(
        notification_id=NOTIFICATION_ID,
        owner=owner,
        handover_id=call,
        message_id="m",
        sent_at=rules.iso(NOW),
    )


@pytest.mark.usefixtures("ledger_in_memory")
def test_the_happy_path_writes_three_times_and_each_late_repetition_fails() -> None:
    assert TABLE.write(claim()) is None
    assert TABLE.write(sending()) is None
    assert TABLE.write(sent()) is None
    for late in (claim(), sending(), refused(), sent()):
        in_the_way = TABLE.write(late)
        assert in_the_way is not None
        assert in_the_way["status"] == "SENT"
    (item,) = MEMORY.records()
    assert (item["status"], item["messageId"]) == ("SENT", "m")
    assert item["ttl"] == int(NOW) + limits.RECORD_TTL


@pytest.mark.usefixtures("ledger_in_memory")
def test_only_the_owner_may_go_to_ses_and_may_again_after_a_refusal() -> None:
    TABLE.write(claim())
    assert TABLE.write(sending("other")) is not None
    assert TABLE.write(sending()) is None
    assert TABLE.write(refused("other")) is not None
    assert TABLE.write(refused()) is None
    assert TABLE.write(sending(call="call-2", previous="call-1")) is None


@pytest.mark.usefixtures("ledger_in_memory")
def test_what_the_network_delivers_late_of_an_earlier_call_changes_nothing() -> None:
    TABLE.write(claim())
    TABLE.write(sending())
    TABLE.write(refused())
    refused_record = MEMORY.whole(NOTIFICATION_ID)
    assert TABLE.write(sending()) == refused_record
    TABLE.write(sending(call="call-2", previous="call-1"))
    at_the_second_call = MEMORY.whole(NOTIFICATION_ID)
    for late in (sending(), refused(), sent(), sending(call="call-2", previous="call-1")):
        assert TABLE.write(late) == at_the_second_call


@pytest.mark.usefixtures("ledger_in_memory")
def test_an_update_of_a_record_that_does_not_exist_creates_none() -> None:
    assert TABLE.write(sending()) == {}
    assert MEMORY.records() == []


@pytest.mark.usefixtures("ledger_in_memory")
def test_of_two_executions_that_take_over_one_gets_the_claim() -> None:
    expired = claimed_record("first", leaseUntil=int(NOW) - 1)
    MEMORY.put(expired)
    verdicts = [
        rules.judge(expired, owner=owner, started=int(NOW) + 1, now=NOW) for owner in ("a", "b")
    ]
    answers = [TABLE.write(v.update) for v in verdicts if isinstance(v, TakeOver)]
    assert answers[0] is None
    assert answers[1] is not None
    assert answers[1]["owner"] == "a"


STATUSES = st.lists(st.sampled_from([status for status in Status if status not in UNSENT]))


@given(st.sampled_from(list(Status)), STATUSES, st.randoms())
def test_order_and_repetition_make_no_difference_to_the_status(
    start: Status, reported: list[Status], random: Random
) -> None:
    shuffled = [*reported, *random.choices(reported, k=5)] if reported else []
    random.shuffle(shuffled)
    folded = fold(start, reported)
    assert fold(start, shuffled) == folded
    one_by_one = start
    for status in shuffled:
        one_by_one = fold(one_by_one, [status])
    assert one_by_one == folded


def test_a_late_bounce_beats_delivered_and_a_complaint_beats_all() -> None:
    for reported in permutations([Status.DELIVERED, Status.BOUNCED]):
        assert fold(Status.SENT, reported) == "BOUNCED"
    for reported in permutations(
        [Status.DELIVERED, Status.BOUNCED, Status.COMPLAINED, Status.DELAYED]
    ):
        assert fold(Status.SENT, reported) == "COMPLAINED"


@given(st.text(), st.text(), st.text())
def test_a_notification_id_fits_a_tag_and_differs_for_each_triple(a: str, b: str, c: str) -> None:
    name = notification_id(a, b, c)
    assert len(name) == 40
    assert set(name) <= set("0123456789abcdef")
    assert name != notification_id(a + b, "", c) or not b


def test_a_recipient_in_other_case_is_the_same_recipient() -> None:
    assert notification_id("1", "e", "A@B.example") == notification_id("1", "e", "a@b.example")


@pytest.mark.parametrize(
    ("identity", "golden"),
    [
        (
            ("ORDER123456", "order.confirmed", "customer@example.com"),
            "c482dadf29dd40c7786c39d5a8a6eeb264c7e796",
        ),
        (
            ("ORDER123456", "order.shipped", "customer@example.com"),
            "715ab042cbb5d5733e815663e69ccf4a49e77ac7",
        ),
        (
            ("ORDER123456", "order.shipped", "customer@example.com", {"shipmentId": "P1"}),
            "672f4b16e8fb561a1877874994e7a5780cdfdab8",
        ),
        (
            ("N° 7", "order.refunded", "Zoë@Example.COM", {"refundId": "R-1"}),
            "ff7a7e7813f50f94f3d11e387af93438ea4ef520",
        ),
    ],
)
def test_an_id_never_changes(identity: Any, golden: str) -> None:
    assert notification_id(*identity) == golden


@given(st.text(), st.dictionaries(st.just("shipmentId"), st.text(min_size=1), max_size=1))
def test_each_part_of_an_order_is_a_notification_of_its_own(
    order_id: str, part: dict[str, str]
) -> None:
    whole = notification_id(order_id, "order.shipped", "a@b.example")
    of_part = notification_id(order_id, "order.shipped", "a@b.example", part)
    assert (of_part == whole) is (not part)
    assert notification_id(order_id, "order.shipped", "a@b.example", {}) == whole
