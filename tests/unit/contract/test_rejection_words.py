"""What is said of a rejection in logs and alerts: fields and fixed words, nothing of the event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from hypothesis import example, given
from hypothesis import strategies as st

from steps import validate
from steps.contract import limits
from steps.contract.rejection_words import named
from steps.kinds.parsing import InvalidEvent, parse
from tests.conftest import load_event

if TYPE_CHECKING:
    from steps.contract.state import StepEvent

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ORDER = load_event("order")


def words(**fields: object) -> list[str]:
    """Return what is said of the example event with these fields."""
    with pytest.raises(InvalidEvent) as invalid:
        parse(json.dumps(ORDER | fields), NOW)
    return named(invalid.value.reasons)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"eventType": "order.paid"}, ["eventType: is not one of the known kinds"]),
        ({"customerEmail": "jane doe@x.example"}, ["customerEmail: is not an e-mail address"]),
        (
            {"orderItems": [{"name": "Tea", "quantity": 1}, {"name": "Cup", "quantity": 1}]},
            ["orderItems[].price: is required"],
        ),
        (
            {"orderItems": 1, "orderTotal": "a", "customerName": 1, "orderTimestamp": ""},
            [
                "customerName: must be a string",
                "orderItems: must be a list",
                'orderTotal: must be an amount such as "29.99"',
            ],
        ),
    ],
    ids=["kind", "address", "items", "the first three"],
)
def test_a_reason_is_a_path_and_fixed_words(fields: dict[str, object], said: list[str]) -> None:
    assert words(**fields) == said


def test_sizes_do_not_make_two_reasons_of_one() -> None:
    sizes = (246_001, 250_999)
    assert named([{"path": "$", "reason": f"takes {n} bytes: send less"} for n in sizes]) == [
        "$: takes N bytes"
    ]


SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF), min_size=4, max_size=30)


@given(value=SECRETS, field=st.sampled_from([*ORDER, "locale", "eventType", "orderUrl"]))
@example(value="(secret)@x.example", field="customerEmail")
@example(value="secret\u0130@x.example", field="customerEmail")
@example(value="a@secret..example", field="customerEmail")
def test_nothing_of_an_event_s_values_is_said(value: str, field: str) -> None:
    try:
        parse(json.dumps(ORDER | {field: f"\x00{value}\x00"}), NOW)
    except InvalidEvent as invalid:
        for said in named(invalid.reasons):
            assert value not in said
            assert "@" not in said
            assert len(said) <= limits.REASON_NAMED_LENGTH


def test_the_log_line_names_the_order_and_the_reasons_and_is_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    message = json.dumps(ORDER | {"eventType": "order.paid", "customerEmail": "secret"})
    event: StepEvent = {
        "execution": "arn:execution",
        "state": {"message": message, "attempt": 1, "lastReceive": False},
    }
    validate.handler(event, LambdaContext())
    (record,) = caplog.records
    line = vars(record)
    assert line["message"] == "event rejected"
    assert line["order_id"] == ORDER["orderId"]
    assert line["reasons"] == [
        "eventType: is not one of the known kinds",
        "customerEmail: is not an e-mail address",
    ]
    assert "secret" not in str(line)
