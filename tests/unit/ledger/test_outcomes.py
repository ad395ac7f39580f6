"""What a change of a record says to the shop, and what it never says."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steps import kinds
from steps.contract import limits, outcome_schema
from steps.contract.outcome_event import OutcomeData
from steps.ledger import outcomes, rules, ses_events
from steps.ledger.status import Status
from tests.support.clock import NOW
from tests.support.in_memory_aws import claimed_record
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.ses_events import BOUNCE, COMPLAINT, DELAY, DELIVERY, EVERY_KIND, MOMENT
from tests.support.table_in_memory import written

if TYPE_CHECKING:
    from steps.contract.outcome_event import OutcomeEvent
    from steps.ledger.rules import Record

TOLD = {
    "FAILED",
    "SENT",
    "DELAYED",
    "UNDELIVERED",
    "DELIVERED",
    "REJECTED",
    "BOUNCED",
    "COMPLAINED",
}
SENDING = claimed_record(status="SENDING", sendingAt=int(NOW))
SENT = claimed_record(
    status="SENT", messageId="message-1", timestamp="2026-11-24T07:59:58Z", sequence=7
)


def said(before: Record, after: Record) -> OutcomeEvent | None:
    """Return what is said by those attributes alone that the function reads."""
    before, after = (
        {name: record[name] for name in outcomes.ATTRIBUTES if name in record}
        for record in (before, after)
    )
    return outcomes.outcome(before, after, at=NOW, source="/order-mail/test", release="1.2.3")


def data(before: Record, after: Record) -> OutcomeData:
    outcome = said(before, after)
    assert outcome
    jsonschema.validate(outcome, outcome_schema.schema())
    return outcome["data"]


def learned(record: Record, *events: str) -> Record:
    """Return what becomes of a record by events of SES's."""
    for text in events:
        event = ses_events.parse(text)
        assert event
        update = rules.learn(record, event, by="x", now=NOW)
        if update:
            record = written(record, NOTIFICATION_ID, update)
    return record


def test_the_event_is_a_cloud_event() -> None:
    assert said(SENDING, SENT) == {
        "specversion": "1.0",
        "id": f"{NOTIFICATION_ID}-7",
        "source": "/order-mail/test",
        "type": "order-mail.sent",
        "subject": "ORDER1",
        "time": "2027-01-15T08:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:order-mail:outcome:1",
        "data": {
            "notificationId": NOTIFICATION_ID,
            "sequence": 7,
            "orderId": "ORDER1",
            "eventType": "order.confirmed",
            "status": "SENT",
            "previousStatus": "SENDING",
            "messageId": "message-1",
            "occurredAt": "2026-11-24T07:59:58Z",
            "release": "1.2.3",
        },
    }


@pytest.mark.parametrize("status", Status)
def test_a_shop_is_told_of_each_status_from_the_sending_on_and_of_what_was_not_sent(
    status: Status,
) -> None:
    after = claimed_record(status=status.value, endedAt=int(NOW))
    assert (said({}, after) is not None) is (status in TOLD)
    assert said(after, after | {"events": {"x"}, "ignored": 1}) is None, "bookkeeping"


@pytest.mark.parametrize(
    ("order_id", "recipient", "told"),
    [
        ("CANARY-20261130T031500Z", "success+canary-1@simulator.amazonses.com", False),
        ("CANARY-7", "customer@example.com", True),
        ("DEMO-1", "success@simulator.amazonses.com", True),
        ("MY-CANARY-1", "success@simulator.amazonses.com", True),
    ],
)
@pytest.mark.parametrize("status", sorted(TOLD))
def test_no_shop_is_told_of_a_canary_and_of_every_order_of_its_own(
    status: str, order_id: str, recipient: str, *, told: bool
) -> None:
    record = claimed_record(
        status=status, orderId=order_id, customerEmail=recipient, endedAt=int(NOW)
    )
    assert (said({}, record) is not None) is told
    assert recipient not in json.dumps(said({}, record))


def test_what_is_told_is_the_same_in_the_schema() -> None:
    assert set(get_args(get_type_hints(OutcomeData)["status"])) == TOLD == set(outcomes.TOLD)


@pytest.mark.parametrize("name", kinds.names())
def test_a_part_of_any_kind_is_told_by_its_own_id(name: str) -> None:
    if identity := kinds.kind(name).identity:
        told = said(SENDING, SENT | {"eventType": name, "part": {identity: "P1"}})
        assert told
        assert told["data"][identity] == "P1"  # type: ignore[literal-required]


def test_the_schema_is_the_one_in_the_repository() -> None:
    written_ = json.loads(outcome_schema.SCHEMA.read_text("utf-8"))
    assert written_ == outcome_schema.schema(), "run python -m steps.contract.outcome_schema"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([DELIVERY], ("DELIVERED", None, "2026-11-24T08:00:01.000Z")),
        ([DELAY], ("DELAYED", "MailboxFull", MOMENT)),
        ([DELIVERY, BOUNCE], ("BOUNCED", "Permanent/General", MOMENT)),
        ([BOUNCE, DELIVERY], ("BOUNCED", "Permanent/General", MOMENT)),
        ([COMPLAINT], ("COMPLAINED", "abuse", MOMENT)),
    ],
)
def test_what_ses_reported_is_told_with_its_time_and_reason(
    events: list[str], expected: tuple[str, str | None, str]
) -> None:
    told = data(SENT, learned(SENT, *events))
    assert (told["status"], told.get("reason"), told["occurredAt"]) == expected
    assert told["previousStatus"] == "SENT"
    assert told["messageId"] == "message-1"


def test_an_acceptance_that_only_an_event_tells_of_is_told() -> None:
    told = data(SENDING, learned(SENDING, DELIVERY))
    assert (told["status"], told["previousStatus"]) == ("DELIVERED", "SENDING")


def test_a_record_from_before_there_was_a_sequence_is_told_all_the_same() -> None:
    before = {name: value for name, value in SENT.items() if name != "sequence"}
    outcome = said(SENDING, before)
    assert outcome
    assert outcome["id"] == f"{NOTIFICATION_ID}-0"


@pytest.mark.parametrize("reason", ["Permanent/jane@example.com", "Jane Doe", "x" * 65])
def test_a_reason_that_is_no_plain_word_is_not_told(reason: str) -> None:
    assert "reason" not in data(SENT, SENT | {"status": "BOUNCED", "reason": reason})


def test_another_reason_of_the_same_status_is_told() -> None:
    delayed = learned(SENT, DELAY)
    told = data(delayed, delayed | {"reason": "InternalFailure", "sequence": 9})
    assert (told["status"], told["previousStatus"]) == ("DELAYED", "DELAYED")
    assert told["reason"] == "InternalFailure"


def test_a_mail_that_is_written_off_has_the_time_of_that() -> None:
    delayed = learned(SENT, DELAY)
    update = rules.overdue(notification_id=NOTIFICATION_ID, now=NOW)
    told = data(delayed, written(delayed, NOTIFICATION_ID, update))
    assert (told["status"], told["reason"]) == ("UNDELIVERED", "NoReportAfterDelay")
    assert told["occurredAt"] == "2027-01-15T08:00:00Z"


def test_a_mail_that_was_sent_again_names_the_one_before() -> None:
    assert data(SENDING, SENT | {"resendOf": "5e" * 20})["resendOf"] == "5e" * 20
    assert "resendOf" not in data(SENDING, SENT)


def test_a_rejection_names_the_wrong_fields_and_not_what_was_in_them() -> None:
    rejection = {
        "orderId": "UNKNOWN",
        "customerEmail": "jane@example.com",
        "event": '{"customerName": "Jane"}',
        "reasons": [
            {"path": "customerEmail", "reason": "is not an e-mail address: jane@"},
            {"path": "orderItems[0].price", "reason": "must be an amount"},
            {"path": "customerEmail", "reason": "twice"},
            {"path": "jane@example.com", "reason": "is no path of ours"},
        ],
        "eventType": "order.shipped",
        "part": {"shipmentId": "P1"},
        "resendOf": "5e" * 20,
    }
    put = rules.rejected(notification_id="r", rejection=rejection, owner="me", now=NOW)
    told = data({}, written({}, "r", put))
    assert told["reason"] == "InvalidEvent"
    assert told["fields"] == ["customerEmail", "orderItems[0].price"]
    assert (told["shipmentId"], told["eventType"]) == ("P1", "order.shipped")
    assert told["resendOf"] == "5e" * 20
    assert "jane" not in json.dumps(told).lower()


@given(st.text() | st.sampled_from(["Jane.Doe", "abuse", "other"]), st.text(max_size=40))
def test_no_word_of_a_provider_s_is_passed_on_that_could_be_a_name_or_an_address(
    word: str, moment: str
) -> None:
    events = {f"Complaint|{word}|{moment}"}
    after = SENT | {"status": "COMPLAINED", "reason": word, "events": events}
    told = data(SENT, after)
    assert told.get("reason") == (word if word in ses_events.COMPLAINTS else None)
    assert "@" not in json.dumps(told)
    assert told["occurredAt"] in (moment, SENT["timestamp"])


@given(st.text(min_size=1))
@example("A\nB\x00\x7f\ufffe\ufdd0")
@example("jane@example.com")
@example(" ")
def test_the_subject_is_what_an_attribute_of_a_cloud_event_may_be(order_id: str) -> None:
    """No control characters, no noncharacters, not empty (CloudEvents 1.0.2, "Type System"), no address."""
    after = SENT | {"orderId": order_id}
    outcome = said(SENDING, after)
    assert outcome
    assert re.fullmatch(r"[\w.#/-]+", outcome["subject"], re.ASCII)
    assert outcome["data"]["orderId"] == order_id


def test_a_record_in_the_place_of_an_expired_one_is_told_like_any_other() -> None:
    def rejected(now: float) -> Record:
        rejection = {
            "orderId": "ORDER1",
            "customerEmail": "",
            "event": "{}",
            "reasons": [{"path": "orderItems", "reason": "is required"}],
        }
        return rules.rejected(notification_id="r", rejection=rejection, owner="me", now=now).record

    told = data(rejected(NOW), rejected(NOW + limits.REJECTED_EVENT_TTL))
    assert told["status"] == "REJECTED"
    assert "previousStatus" not in told


@given(st.permutations(EVERY_KIND), st.integers(0, len(EVERY_KIND)))
def test_the_last_word_told_is_what_the_record_says(events: list[str], count: int) -> None:
    record, told = SENDING, []
    for event in events[:count]:
        before, record = record, learned(record, event)
        if outcome := said(before, record):
            told.append(outcome["data"])
    sequences = [one["sequence"] for one in told]
    assert sequences == sorted(set(sequences))
    if told:
        assert told[-1]["status"] == record["status"]
        assert told[-1].get("reason") == record.get("reason")
        assert told[-1]["messageId"] == record["messageId"]
    else:
        assert record["status"] == "SENDING"


@pytest.mark.parametrize("missing", ["status", "orderId", "notificationId", "timestamp"])
def test_what_is_no_record_is_refused(missing: str) -> None:
    broken: dict[str, Any] = {name: value for name, value in SENT.items() if name != missing}
    with pytest.raises(KeyError):
        said({}, broken)
    with pytest.raises(ValueError, match="is not a valid Status"):
        said({}, SENT | {"status": "LOST"})
