"""An erased record says nothing of its customer, ever again, and still keeps a second mail away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps import dedup, feedback, record, send
from steps.contract import errors, limits
from steps.contract.order_id import shown
from steps.contract.recipient import is_simulated
from steps.ledger import erasure, outcomes, rules, ses_events
from steps.ledger.rules import Duplicate, Record, Update
from steps.ledger.status import Status
from tests.support.clock import NOW
from tests.support.in_memory_aws import NO_FILES, STATE, TABLE, claim, claimed_record
from tests.support.sample_mails import NOTIFICATION_ID, email
from tests.support.ses_events import (
    BOUNCE,
    COMPLAINT,
    CONFIGURATION_SET,
    DELIVERY,
    EVERY_KIND,
    ses_event,
)
from tests.support.table_in_memory import MEMORY, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps.contract.state import State

ADDRESS = "customer@example.com"
ERASED_AT = rules.iso(NOW + 60)
COMPLAINED = "Complaint|ask Jane Doe|2026-11-24T08:00:03.000Z"
REJECTION: dict[str, Any] = {
    "orderId": "ORDER1",
    "customerEmail": ADDRESS,
    "event": json.dumps({"orderId": "ORDER1", "customerEmail": ADDRESS, "customerName": "Jane"}),
    "reasons": [{"path": "customerEmail", "reason": "is not an e-mail address: Jane"}],
    "claimed": NOTIFICATION_ID,
}


def erased(before: Record, now: float = NOW + 60) -> Record:
    """Return what a record is once it is erased."""
    return written(before, before["notificationId"], rules.erased(before, now))


def learned(before: Record, *events: str) -> Record:
    for text in events:
        event = ses_events.parse(text)
        assert event
        if update := rules.learn(before, event, by="x", now=NOW):
            before = written(before, NOTIFICATION_ID, update)
    return before


def complaint(word: str) -> str:
    return ses_event("Complaint", complaintFeedbackType=word)


# --- what is left ---------------------------------------------------------------------------------


def test_of_a_record_at_rest_goes_what_says_who_the_customer_is() -> None:
    before = learned(
        claimed_record(
            status="SENT",
            messageId="message-1",
            sendingAt=int(NOW),
            handoverId="h",
            content="0123456789abcdef",
            part={"shipmentId": "P1"},
            resendOf="5e" * 20,
            resend={"reason": "Jane asked", "by": "jo", "at": "2027-01-15T08:00:00Z"},
            ignored=2,
            ignoredAt="2027-01-15T08:00:00Z",
            resends=1,
            superseded={"message-0"},
        ),
        DELIVERY,
    )
    gone = {"content", "resend"}
    changed = {"customerEmail": "", "erasedAt": ERASED_AT, "sequence": before["sequence"] + 1}
    kept = {name: value for name, value in before.items() if name not in gone}
    assert before["events"]
    assert erased(before) == kept | changed


def test_of_an_invalid_event_goes_its_text() -> None:
    before = rules.rejected(
        notification_id="rejected-1", rejection=REJECTION, owner="me", now=NOW
    ).record
    assert erased(before) == {
        "notificationId": "rejected-1",
        "orderId": "ORDER1",
        "customerEmail": "",
        "status": "REJECTED",
        "timestamp": rules.iso(NOW),
        "owner": "me",
        "ttl": int(NOW) + limits.REJECTED_EVENT_TTL,
        "sequence": int(NOW * 1000) + 1,
        "reason": "InvalidEvent",
        "erasedAt": ERASED_AT,
    }


def test_an_id_that_could_be_an_address_becomes_what_logs_show() -> None:
    before = claimed_record(orderId=ADDRESS, part={"refundId": "jane@example.com"})
    after = erased(before)
    assert after["orderId"] == shown(ADDRESS)
    assert after["part"] == {"refundId": shown("jane@example.com")}
    assert "@" not in json.dumps(after, default=str)
    assert erased(after) == after | {"sequence": after["sequence"] + 1}


def test_what_a_provider_called_a_complaint_goes_and_what_ses_calls_it_stays() -> None:
    sent = claimed_record(status="SENT", messageId="message-1", sendingAt=int(NOW))
    called = learned(sent, complaint("ask Jane Doe"))
    assert called["reason"] == "ask Jane Doe"
    after = erased(called)
    assert "reason" not in after
    assert {e.partition("|")[0] for e in after["events"]} == {"Complaint"}
    assert "Jane" not in str(after)
    known = learned(sent, COMPLAINT, BOUNCE)
    after = erased(known)
    assert (after["reason"], after["events"]) == ("abuse", known["events"])


@pytest.mark.parametrize("again", [complaint("ask Jane Doe"), complaint("Jane")])
def test_a_complaint_in_a_provider_s_words_is_known_without_them(again: str) -> None:
    sent = claimed_record(status="SENT", messageId="message-1", sendingAt=int(NOW))
    after = erased(learned(sent, complaint("ask Jane Doe")))
    assert learned(after, again) == after
    event = ses_events.parse(again)
    assert event
    assert rules.is_known(after, event)
    assert rules.is_own(after, event, by="x")
    first = learned(erased(sent), again)
    assert first["status"] == "COMPLAINED"
    assert "Jane" not in str(first)


def test_a_receipt_is_no_event_and_changes_nothing_it_should_not() -> None:
    after = erased(claimed_record(status="SENDING", sendingAt=int(NOW), handoverId="h"))
    receipt = ses_events.receipt("m", "s")
    update = rules.learn(after, receipt, by="receipt", now=NOW)
    assert update
    now_sent = written(after, NOTIFICATION_ID, update)
    assert (now_sent["status"], now_sent["customerEmail"]) == ("SENT", "")
    assert rules.learn(now_sent, receipt, by="receipt", now=NOW) is None


def test_erasing_again_keeps_the_moment_of_the_first_time() -> None:
    once = erased(claimed_record(status="SENT", messageId="m"))
    assert erased(once, NOW + limits.DAY) == once | {"sequence": once["sequence"] + 1}


TEXT = st.text(min_size=1, max_size=30)


@given(TEXT, TEXT, TEXT, st.sampled_from(Status))
def test_nothing_of_what_somebody_wrote_is_left(
    order_id: str, name: str, word: str, status: Status
) -> None:
    secret = f"Zacharias {name}@"
    before = claimed_record(
        orderId=f"{order_id} {secret}",
        customerEmail=secret,
        part={"shipmentId": secret},
        status=status.value,
        event=secret,
        reasons=[secret],
        reason=f"{word}{secret}" if status is Status.COMPLAINED else "SendRejected",
        resend={"reason": secret, "by": secret, "at": secret},
        events={f"Complaint|{word}{secret}|2026#x"},
    )
    after = erased(before)
    assert "Zacharias" not in str(after)
    assert (after["status"], after["ttl"]) == (before["status"], before["ttl"])
    assert erasure.names(after, address=secret) is False


# --- what the shop is told ------------------------------------------------------------------------


def told(before: Record, after: Record) -> Any:
    return outcomes.outcome(before, after, at=NOW, source="s", release="r")


@pytest.mark.parametrize(
    "before",
    [
        *(claimed_record(status=status.value, endedAt=int(NOW), reason="x") for status in Status),
        rules.rejected(notification_id="r", rejection=REJECTION, owner="me", now=NOW).record,
        claimed_record(status="REJECTED", reason="InvalidEvent", reasons=["a: b"]),
        claimed_record(status="COMPLAINED", reason="ask Jane", events={f"{COMPLAINED}#x"}),
        claimed_record(status="COMPLAINED", reason="abuse"),
        claimed_record(status="SENT", orderId=ADDRESS),
    ],
)
def test_a_shop_is_told_nothing_of_the_erasure(before: Record) -> None:
    assert told(before, erased(before)) is None
    assert told(erased(before), erased(erased(before))) is None


def test_a_shop_is_told_what_comes_after_it() -> None:
    after = erased(claimed_record(status="SENT", messageId="message-1", orderId=ADDRESS))
    outcome = told(after, learned(after, BOUNCE))
    assert outcome["data"]["status"] == "BOUNCED"
    assert outcome["data"]["orderId"] == outcome["subject"] == shown(ADDRESS)


# --- nobody sends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["me", "another"])
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("changes", [{}, {"sendingAt": 1}, {"messageId": "m"}])
def test_whatever_is_erased_is_a_duplicate(
    status: Status, owner: str, changes: dict[str, object]
) -> None:
    after = erased(claimed_record("me", status=status.value, leaseUntil=0, **changes))
    verdict = rules.judge(after, owner=owner, started=int(NOW), now=NOW + limits.RECORD_TTL - 1)
    assert verdict == Duplicate(status)


def taken_over(before: Record) -> Update:
    verdict = rules.judge(before, owner="you", started=int(NOW) + 1, now=NOW)
    assert isinstance(verdict, rules.TakeOver)
    return verdict.update


def late_writes() -> Iterator[tuple[str, Record, rules.Put | Update]]:
    """Yield writes that were decided on before the erasure, and the record that they were decided on."""
    claimed = claimed_record("me", leaseUntil=0, content="c")
    call: Any = {"notification_id": NOTIFICATION_ID, "owner": "me", "now": NOW}
    for previous in (None, "call-1"):
        before = claimed | ({"handoverId": previous} if previous else {})
        sending = rules.sending(**call, handover_id="call-2", previous=previous)
        yield "sending", before, sending
    yield "the claim", claimed, claim()
    yield "a take-over", claimed, taken_over(claimed)
    for status in ("CLAIMED", "SENDING", "FAILED"):
        before = claimed | {"status": status}
        rejection: Any = {"notification_id": NOTIFICATION_ID, "rejection": REJECTION, "now": NOW}
        yield f"the end of {status}", before, rules.abandoned(**rejection)
    yield "a duplicate's note", claimed, rules.ignored(claimed, NOW)
    sent = claimed | {"status": "SENT", "messageId": "message-1", "sendingAt": int(NOW)}
    for text in (DELIVERY, complaint("ask Jane Doe")):
        event = ses_events.parse(text)
        assert event
        fold = rules.learn(sent, event, by="x", now=NOW)
        assert fold
        yield "an event of SES's", sent, fold
    restored = rules.restored(
        **call, order_id="ORDER1", recipient=ADDRESS, message_id="m", sent_at="s"
    )
    yield "a restored record", sent, restored
    rejected = rules.rejected(**call, rejection=REJECTION)
    yield "an invalid event", dict(rejected.record), rejected


@pytest.mark.usefixtures("ledger_in_memory")
@pytest.mark.parametrize(
    ("before", "late"),
    [pytest.param(before, late, id=name) for name, before, late in late_writes()],
)
def test_what_was_decided_before_the_erasure_comes_too_late(
    before: Record, late: rules.Put | Update
) -> None:
    MEMORY.put(before)
    assert TABLE.write(rules.erased(before, NOW)) is None
    tombstone = MEMORY.whole(NOTIFICATION_ID)
    assert TABLE.write(late) == tombstone
    assert MEMORY.whole(NOTIFICATION_ID) == tombstone


@pytest.mark.usefixtures("ledger_in_memory")
def test_an_erasure_does_not_undo_what_came_in_between() -> None:
    sent = claimed_record(status="SENT", messageId="message-1", sendingAt=int(NOW))
    for meanwhile in (
        learned(sent, BOUNCE),
        sent | {"owner": "another", "status": "CLAIMED"},
        erased(sent, NOW + 7),
    ):
        MEMORY.put(meanwhile)
        found = TABLE.write(rules.erased(sent, NOW + 60))
        assert found == MEMORY.whole(NOTIFICATION_ID) == meanwhile
        assert TABLE.write(rules.erased(found, NOW + 60)) is None
        after = MEMORY.whole(NOTIFICATION_ID)
        assert after["customerEmail"] == ""
        assert after["status"] == meanwhile["status"]
    MEMORY.items.clear()
    assert TABLE.write(rules.erased(sent, NOW)) == {}
    assert MEMORY.records() == [], "what is gone does not come back"


@pytest.mark.usefixtures("ledger_in_memory")
def test_a_tombstone_lasts_as_long_as_its_record_would_have() -> None:
    expired = claimed_record(ttl=int(NOW))
    MEMORY.put(expired)
    assert TABLE.write(rules.erased(expired, NOW)) is None
    assert MEMORY.whole(NOTIFICATION_ID)["customerEmail"] == ""
    assert TABLE.write(claim()) is None
    assert MEMORY.whole(NOTIFICATION_ID) == claimed_record()


# --- the steps ------------------------------------------------------------------------------------


def put_erased(**changes: object) -> None:
    MEMORY.put(erased(claimed_record("me", **changes)))


@pytest.mark.usefixtures("ledger_in_memory")
@pytest.mark.parametrize("status", Status)
def test_an_event_of_an_erased_record_is_a_duplicate(status: Status) -> None:
    put_erased(status=status.value, leaseUntil=0, content="0" * 16)
    before = MEMORY.records()
    state: State = {**STATE, "content": "1" * 16}
    assert dedup.claim(state, "me", table=TABLE, now=NOW)["result"] == "DUPLICATE"
    assert MEMORY.records() == before


@pytest.mark.usefixtures("ledger_in_memory")
@pytest.mark.parametrize(
    "changes", [{}, {"status": "SENDING", "handoverId": "h", "sendingAt": int(NOW)}]
)
def test_an_execution_that_is_under_way_does_not_reach_ses(changes: dict[str, object]) -> None:
    put_erased(**changes)
    before = MEMORY.records()
    nobody: Any = None
    with pytest.raises(errors.ClaimLost, match=r"^the record was erased$"):
        send.send(
            {**STATE, "email": email("order.confirmed")},
            "me",
            table=TABLE,
            ses=nobody,
            fetch=NO_FILES,
            handover_id="h",
            clock=lambda: NOW,
        )
    assert MEMORY.records() == before


@pytest.mark.usefixtures("ledger_in_memory")
@pytest.mark.parametrize("status", ["CLAIMED", "FAILED", "SENT", "REJECTED"])
def test_an_invalid_event_of_an_erased_record_leaves_no_text(status: str) -> None:
    put_erased(status=status)
    state: State = {
        **STATE,
        "notificationId": "rejected-1",
        "rejection": REJECTION | {"orderId": ADDRESS, "resendOf": "5e" * 20},  # type: ignore[typeddict-item]
    }
    recorded = record.record_rejected(state, "you", table=TABLE, now=NOW)
    assert recorded == {"status": "REJECTED", "settled": False}
    assert MEMORY.whole("rejected-1") == {
        "notificationId": "rejected-1",
        "orderId": shown(ADDRESS),
        "customerEmail": "",
        "status": "REJECTED",
        "timestamp": rules.iso(NOW),
        "owner": "you",
        "ttl": int(NOW) + limits.REJECTED_EVENT_TTL,
        "sequence": int(NOW * 1000),
        "resendOf": "5e" * 20,
        "reason": "InvalidEvent",
        "erasedAt": rules.iso(NOW),
    }
    assert "Jane" not in str(MEMORY.records())
    assert ADDRESS not in str(MEMORY.records())


@pytest.mark.usefixtures("ledger_in_memory")
def test_ses_s_word_of_an_erased_mail_is_folded_in() -> None:
    put_erased(status="SENDING", sendingAt=int(NOW), handoverId="h", customerEmail="a@b.example")
    for number, text in enumerate(EVERY_KIND):
        feedback.apply_event(
            text, table=TABLE, configuration_set=CONFIGURATION_SET, by=f"{number}", now=NOW
        )
    (after,) = MEMORY.records()
    assert (after["status"], after["customerEmail"]) == ("COMPLAINED", "")
    assert is_simulated(after["customerEmail"]) is False


@pytest.mark.usefixtures("ledger_in_memory")
def test_an_erased_mail_that_is_delayed_for_ever_is_written_off() -> None:
    put_erased(status="DELAYED", messageId="m", overdue="DELAYED", overdueAt=int(NOW))
    assert TABLE.write(rules.overdue(notification_id=NOTIFICATION_ID, now=NOW)) is None
    (after,) = MEMORY.records()
    assert (after["status"], after["customerEmail"]) == ("UNDELIVERED", "")


# --- finding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"customerEmail": "CUSTOMER@Example.com"}, True),
        ({"customerEmail": "Jo <customer@example.com>"}, True),
        ({"customerEmail": "a.customer@example.com"}, False),
        ({"customerEmail": "customer@example.com.au"}, False),
        ({"customerEmail": "customer@example.community"}, False),
        ({"customerEmail": ""}, False),
        ({"customerEmail": "", "orderId": "customer@example.com"}, True),
        ({"customerEmail": "", "orderId": "17/Customer@example.com."}, True),
        ({"customerEmail": "", "part": {"refundId": "customer@example.com"}}, True),
        ({"customerEmail": "", "resend": {"reason": "for customer@example.com"}}, True),
        ({"customerEmail": "", "reasons": ["customerEmail: 'customer@example.com' is"]}, True),
        *(
            ({"customerEmail": "", "event": event}, found)
            for event, found in (
                ('{"customerEmail": "Customer@example.com"}', True),
                ('{"customerEmail": "customer\\u0040example.com"}', True),
                ('{"customerEmail": "\\u0063ustomer@example\\u002Ecom"}', True),
                ('{"note": "one\\ncustomer@example.com"}', True),
                ('{"note": "one\\ttwo\\tcustomer@example.com\\r\\n"}', True),
                ('{"note": "{\\"to\\": \\"customer\\\\u0040example.com\\"}"}', True),
                ('{"orderUrl": "https://shop.example/?to=customer%40example.com&x"}', True),
                ('{"customerEmail": "custom', False),
                ('{"customerEmail": "another@example.com"}', False),
            )
        ),
    ],
)
def test_a_record_names_an_address_wherever_it_stands(
    changes: dict[str, object], *, found: bool
) -> None:
    record_ = claimed_record(**changes)
    assert erasure.names(record_, address=ADDRESS) is found
    assert erasure.names(record_, address=f" {ADDRESS.upper()} ") is found


@pytest.mark.parametrize("written_", ["jo@b\u00fccher.example", "JO@xn--bcher-kva.example"])
@pytest.mark.parametrize(
    "kept",
    [
        {"customerEmail": "jo@xn--bcher-kva.example"},
        {"customerEmail": "", "event": '"jo@b\u00fccher.example"'},
        {"customerEmail": "", "event": '"jo@b\\u00fccher.example"'},
        {"customerEmail": "", "event": '"jo@bu\\u0308cher.example"'},
    ],
)
def test_a_domain_is_found_in_either_alphabet(written_: str, kept: dict[str, object]) -> None:
    assert erasure.names(claimed_record(**kept), address=written_)


def test_what_is_no_address_is_looked_for_as_it_stands() -> None:
    assert erasure.names(claimed_record(customerEmail="jo at home"), address="Jo at home")
    assert not erasure.names(claimed_record(), address="jo at home")


@pytest.mark.parametrize(
    ("kept", "asked", "found"),
    [
        ("ORDER1", "ORDER1", True),
        ("ORDER1", "\u200eORDER1 ", True),
        ("ORDER1", "ORDER", False),
        ("ORDER1", "order1", False),
        (ADDRESS, ADDRESS, True),
        (shown(ADDRESS), ADDRESS, True),
        (shown(ADDRESS), shown(ADDRESS), True),
        ("UNKNOWN", "ORDER1", False),
    ],
)
def test_a_record_is_of_an_order(kept: str, asked: str, *, found: bool) -> None:
    record_ = claimed_record(orderId=kept)
    assert erasure.names(record_, order_id=asked) is found
    assert erasure.names(record_, order_id=asked, address="nobody@example.com") is found
    assert erasure.names(record_, order_id="OTHER", address=ADDRESS)
    assert not erasure.names(record_)


def test_an_item_that_is_no_record_names_nobody() -> None:
    assert not erasure.names({"notificationId": "attempts-1"}, order_id="ORDER1", address=ADDRESS)


EVENT = {"orderId": "ORDER1", "customerEmail": ADDRESS}
LETTERS = [
    pytest.param(json.dumps(EVENT), True, id="order event"),
    pytest.param(
        json.dumps({"Records": [{"Sns": {"Message": json.dumps(EVENT)}}]}), True, id="SNS"
    ),
    pytest.param(
        json.dumps(
            {"Records": [{"Sns": {"Message": json.dumps({"mail": {"destination": [ADDRESS]}})}}]}
        ),
        False,
        id="SES's event",
    ),
    pytest.param(
        json.dumps(
            {
                "dynamodb": {
                    "NewImage": {"orderId": {"S": "ORDER1"}, "customerEmail": {"S": ADDRESS}}
                }
            }
        ),
        True,
        id="stream",
    ),
    pytest.param('{"orderId" : "\\u004fRDER1", "to": "customer@example.com"', True, id="cut"),
]


@pytest.mark.parametrize(("body", "names_the_order"), LETTERS)
def test_a_dead_letter_names_an_address_or_an_order(body: str, *, names_the_order: bool) -> None:
    assert erasure.letter_names(body, address="Customer@EXAMPLE.com")
    assert not erasure.letter_names(body, address="stomer@example.com")
    assert erasure.letter_names(body, order_id="ORDER1") is names_the_order
    assert not erasure.letter_names(body, order_id="ORDER")
    assert erasure.letter_names(body, order_id="ORDER2", address=ADDRESS)
    assert not erasure.letter_names(body)


def test_a_number_among_the_items_is_no_order() -> None:
    body = json.dumps({"orderId": "7", "orderItems": [{"quantity": "1", "sku": "1"}]})
    assert not erasure.letter_names(body, order_id="1")
    assert erasure.letter_names(body, order_id="7")


@given(st.text(st.characters(codec="utf-8")), st.booleans())
def test_no_spelling_of_json_hides_an_address(text: str, ascii_: bool) -> None:  # noqa: FBT001
    spelt = "".join(f"\\u{ord(c):04x}" for c in ADDRESS)
    for address in (ADDRESS, spelt):
        body = json.dumps({"note": f"{text} <"}, ensure_ascii=ascii_)[:-2] + f'{address}>"}}'
        assert erasure.letter_names(body, address=ADDRESS)


@pytest.mark.parametrize(
    "body", ["\\" * 200_000, 'orderId"' * 30_000, "a@" * 100_000, " " * 200_000]
)
def test_a_hostile_letter_is_read_in_no_time(body: str) -> None:
    assert not erasure.letter_names(body, address=ADDRESS, order_id="ORDER1")
