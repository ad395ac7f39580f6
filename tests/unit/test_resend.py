"""What an operator sends again on purpose is one more mail, however often the call is repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from steps import dedup, kinds, record, render, validate
from steps.contract import limits
from steps.contract.order_event import resend_event
from steps.kinds.parsing import Identity, InvalidEvent, identify, parse
from steps.ledger import rules
from tests.conftest import load_event
from tests.support.clock import NOW
from tests.support.in_memory_aws import TABLE
from tests.support.lambda_context import lambda_context
from tests.support.sample_mails import BRAND, NOTIFICATION_ID, order
from tests.support.table_in_memory import MEMORY

if TYPE_CHECKING:
    from steps.contract.state import State, StepEvent

AT = datetime.fromtimestamp(NOW, UTC)
ORDER = load_event("order")
FIRST = rules.notification_id(ORDER["orderId"], "order.confirmed", ORDER["customerEmail"])
CALL: Any = {"of": FIRST, "reason": "The customer deleted it", "by": "jo", "at": AT}
RESEND = resend_event(ORDER, **CALL)
MARK = RESEND["resend"]


def validated(event: dict[str, Any], now: datetime = AT) -> State:
    message: State = {"message": json.dumps(event), "attempt": 1, "lastReceive": False}
    return validate.validate(message, now)


def reasons(event: dict[str, Any], now: datetime = AT) -> list[tuple[str, str]]:
    with pytest.raises(InvalidEvent) as invalid:
        parse(json.dumps(event), now)
    return [(reason["path"], reason["reason"]) for reason in invalid.value.reasons]


# --- the event ------------------------------------------------------------------------------------


def test_an_event_is_marked_and_otherwise_stays_as_it_is() -> None:
    assert RESEND == ORDER | {
        "resend": {
            "of": FIRST,
            "reason": "The customer deleted it",
            "by": "jo",
            "at": "2027-01-15T08:00:00+00:00",
        }
    }
    assert "resend" not in ORDER
    again = resend_event(RESEND, **CALL | {"reason": "Lost again"})
    assert again == RESEND | {"resend": MARK | {"reason": "Lost again"}}


@pytest.mark.parametrize(
    ("mark", "named"),
    [
        ({"of": "ORDER123456"}, [("resend.of", "must be a notification id: 40 hex digits")]),
        ({"of": FIRST.upper()}, [("resend.of", "must be a notification id: 40 hex digits")]),
        ({"of": f"{FIRST}\n"}, [("resend.of", "must be a notification id: 40 hex digits")]),
        ({"of": 7}, [("resend.of", "must be a string")]),
        ({"reason": ""}, [("resend.reason", "must not be empty")]),
        ({"reason": "\u200b"}, [("resend.reason", "must not be empty")]),
        ({"reason": "x" * 201}, [("resend.reason", "must have at most 200 characters")]),
        ({"by": None}, [("resend.by", "must be a string")]),
        ({"by": "x" * 201}, [("resend.by", "must have at most 200 characters")]),
        ({"at": "yesterday"}, [("resend.at", "is not an ISO 8601 date and time")]),
        ({"at": "1999-01-01T00:00:00Z"}, [("resend.at", "must be in the years 2000 to 2099")]),
    ],
)
def test_a_wrong_mark_is_named_by_its_path(
    mark: dict[str, Any], named: list[tuple[str, str]]
) -> None:
    assert reasons(RESEND | {"resend": MARK | mark}) == named


@pytest.mark.parametrize("mark", [True, "", "again", [], 0])
def test_a_mark_is_an_object(mark: object) -> None:
    assert reasons(ORDER | {"resend": mark}) == [("resend", "must be an object")]


def test_each_part_of_a_mark_is_required() -> None:
    named = [(f"resend.{name}", "is required") for name in ("of", "reason", "by", "at")]
    assert reasons(ORDER | {"resend": {}}) == named


def test_an_event_without_a_mark_is_no_resend() -> None:
    assert validated(ORDER | {"resend": None}) == validated(ORDER)
    assert "resend" not in validated(ORDER)


def test_the_longest_texts_are_kept_on_one_line() -> None:
    longest = "x" * limits.RESEND_TEXT_MAX_LENGTH
    state = validated(resend_event(ORDER, **CALL | {"reason": longest, "by": "Jo\n  Doe\ud83d"}))
    assert (state["resend"]["reason"], state["resend"]["by"]) == (longest, "Jo Doe")


# --- its age --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds.names())
def test_a_resend_is_as_old_as_the_call_and_not_as_its_order(kind: str) -> None:
    max_age = kinds.kind(kind).max_age
    event = kinds.sample(kind) | {"eventTimestamp": "2024-10-08T12:00:00Z"}
    resent = resend_event(event, **CALL)
    parse(json.dumps(resent), AT + max_age)
    assert reasons(resent, AT + max_age + timedelta(seconds=1)) == [
        ("resend.at", f"is too long ago: {kind} is sent for {max_age.days} days after the resend")
    ]


def test_a_resend_is_not_of_the_future() -> None:
    skew = timedelta(seconds=limits.CLOCK_SKEW)
    parse(json.dumps(RESEND), AT - skew)
    assert reasons(RESEND, AT - skew - timedelta(seconds=1)) == [("resend.at", "is in the future")]
    local = RESEND | {"resend": MARK | {"at": "2027-01-15T08:00:00"}}
    ahead = skew + timedelta(seconds=limits.ZONES_AHEAD)
    parse(json.dumps(local), AT - ahead)
    assert reasons(local, AT - ahead - timedelta(seconds=1)) == [
        ("resend.at", "is in the future: a time without a zone counts as UTC")
    ]


# --- its identity ---------------------------------------------------------------------------------


def named(event: dict[str, Any] = ORDER, **changes: Any) -> str:
    return validated(resend_event(event, **CALL | changes))["notificationId"]


def test_the_same_call_again_is_the_same_mail_and_another_one_is_not() -> None:
    assert (
        named()
        == named(by="ann", at=AT - timedelta(hours=1))
        == named(reason="  The customer\n deleted it ")
    )
    assert named(ORDER | {"customerEmail": ORDER["customerEmail"].upper()}) == named()
    others = [
        named(reason="It went to the junk"),
        named(of="0" * 40),
        named(ORDER | {"orderTotal": "1.00"}),
        named(ORDER | {"customerEmail": "another@example.com"}),
        named(ORDER | {"orderId": "ORDER2"}),
        FIRST,
    ]
    assert len({named(), *others}) == 1 + len(others)


def test_an_id_of_a_resend_never_changes() -> None:
    assert named() == "0b974e675170c3856edc05d28ae0835dffefcfa3"
    assert validated(RESEND)["content"] == validated(ORDER)["content"]


def test_no_part_s_id_reads_like_a_resend() -> None:
    resent = (FIRST, "c", "r")
    whole = rules.notification_id("1", "order.shipped", "a@b.example", None, resent)
    like_it = {"shipmentId": json.dumps(resent)}
    assert rules.notification_id("1", "order.shipped", "a@b.example", like_it) != whole
    parcel = rules.notification_id("1", "order.shipped", "a@b.example", {"shipmentId": "P"}, resent)
    assert parcel != whole


@pytest.mark.parametrize("kind", kinds.names())
def test_the_raw_event_is_identified_as_the_valid_one(kind: str) -> None:
    resent = resend_event(kinds.sample(kind), **CALL)
    identity = identify(resent)
    assert identity
    assert identity.resent
    assert rules.notification_id(*identity) == validated(resent)["notificationId"]
    assert identity.resent[0] == FIRST


@pytest.mark.parametrize(
    "changes",
    [
        {"orderTotal": "a lot"},
        {"eventType": "order.lost"},
        {"resend": MARK | {"of": "that one"}},
        {"resend": True},
        {"resend": []},
    ],
)
def test_a_wrong_resend_is_never_taken_for_what_it_sends_again(changes: dict[str, Any]) -> None:
    assert identify(RESEND | changes) is None
    rejection = validated(RESEND | changes)["rejection"]
    assert rejection.keys() & {"claimed", "part", "resendOf"} == set()


def test_a_resend_that_has_become_too_old_names_its_own_notification() -> None:
    late = validated(RESEND, AT + timedelta(days=8))["rejection"]
    assert (late["claimed"], late["resendOf"]) == (named(), FIRST)
    assert "resendOf" not in validated(ORDER | {"orderTotal": "x"})["rejection"]


def test_a_resend_that_grows_too_large_names_its_own_notification() -> None:
    link = "https://shop.example/" + "\u5546" * 200
    items = [{"name": "Mug", "quantity": 1, "price": "1", "url": link}] * 200
    large = resend_event(ORDER | {"orderItems": items}, **CALL)
    rejection = validated(large)["rejection"]
    identity = identify(large)
    assert rejection["reasons"][0]["path"] == "$"
    assert identity
    assert rejection["claimed"] == rules.notification_id(*identity) != FIRST


def test_what_a_raw_event_identifies_has_no_resend_where_it_is_none() -> None:
    assert identify(ORDER) == Identity(
        ORDER["orderId"], "order.confirmed", ORDER["customerEmail"], {}, None
    )


# --- the record -----------------------------------------------------------------------------------

KEPT = {
    "resendOf": FIRST,
    "resend": {"reason": "The customer deleted it", "by": "jo", "at": "2027-01-15T08:00:00Z"},
}


def test_the_state_carries_the_mark_beside_the_order() -> None:
    state = validated(RESEND)
    assert state["resend"] == {"of": FIRST} | KEPT["resend"]  # type: ignore[operator]
    assert state["order"] == validated(ORDER)["order"]


@pytest.mark.usefixtures("ledger_in_memory")
def test_the_record_says_what_is_sent_again_and_who_said_so() -> None:
    state = validated(RESEND)
    claims = [dedup.claim(state, owner, table=TABLE, now=NOW)["result"] for owner in ("a", "b")]
    assert claims == ["NEW", "IN_PROGRESS"]
    (item,) = MEMORY.records()
    assert {name: item[name] for name in KEPT} == KEPT
    assert item["notificationId"] == state["notificationId"] != FIRST
    given_up = rules.given_up(
        notification_id=item["notificationId"], owner="a", reason="x", now=NOW
    )
    assert TABLE.write(given_up) is None
    assert (
        dedup.claim(state | {"startedAt": int(NOW) + 1}, "b", table=TABLE, now=NOW + 1)["result"]
        == "NEW"
    )
    (item,) = MEMORY.records()
    assert {name: item[name] for name in ("owner", *KEPT)} == {"owner": "b", **KEPT}


@pytest.mark.usefixtures("ledger_in_memory")
def test_a_record_that_was_deleted_comes_back_with_the_mark() -> None:
    state: State = {
        **validated(RESEND),
        "email": {"to": ORDER["customerEmail"]},  # type: ignore[typeddict-item]
        "receipt": {"messageId": "m", "sentAt": "s", "handoverId": "h"},
    }
    record.record_sent(state, "me", table=TABLE, now=NOW)
    (item,) = MEMORY.records()
    assert {name: item[name] for name in KEPT} == KEPT


@pytest.mark.usefixtures("ledger_in_memory")
def test_the_record_of_a_resend_that_came_too_late_names_the_first_mail() -> None:
    state = validated(RESEND, AT + timedelta(days=8))
    record.record_rejected(state, "me", table=TABLE, now=NOW)
    (item,) = MEMORY.records()
    assert item["resendOf"] == FIRST
    assert "resend" not in item


def test_a_claim_of_no_resend_has_no_mark() -> None:
    claim = rules.claim(
        notification_id=FIRST,
        order_id="1",
        event_type="order.confirmed",
        recipient="a@b.example",
        owner="me",
        now=NOW,
        resend=None,
    )
    assert claim.record.keys() & KEPT.keys() == set()


# --- the mail -------------------------------------------------------------------------------------


def test_a_mail_that_is_sent_again_begins_a_conversation_of_its_own() -> None:
    valid = order("order.confirmed")

    def headers(notification_id: str, *, resent: bool) -> dict[str, str]:
        return render.render(valid, BRAND, notification_id, resent=resent)["headers"]

    first, second = headers(NOTIFICATION_ID, resent=False), headers("0" * 40, resent=True)
    third = headers("1" * 40, resent=True)
    assert first.keys() == second.keys() == third.keys()
    assert len({mail["References"] for mail in (first, second, third)}) == 3
    assert second["References"].endswith("@shop.example>")
    assert headers(NOTIFICATION_ID, resent=False) == first


def test_the_step_renders_a_resend_as_one() -> None:
    def references(event: dict[str, Any]) -> str:
        step: StepEvent = {"execution": "e", "state": validated(event)}
        rendered: State = render.handler(step, lambda_context())
        assert rendered.get("resend") == validated(event).get("resend")
        return rendered["email"]["headers"]["References"]

    again = resend_event(ORDER, **CALL | {"reason": "Lost again"})
    other_kind = ORDER | {"eventType": "order.cancelled", "eventTimestamp": "2027-01-15T08:00:00Z"}
    assert references(ORDER) == references(other_kind)
    assert len({references(event) for event in (ORDER, RESEND, again)}) == 3
