"""Each path of the order workflow, on moto's interpreter, with the real handlers in process."""

from __future__ import annotations

from itertools import pairwise

import pytest

from statemachines.retries import SEND_AGAIN
from steps.contract import errors, limits
from steps.ledger.rules import Status
from tests.support.asl import STATES, after_failure, is_retried, successors
from tests.support.in_memory_aws import table_items, tracking_table
from tests.support.moto_interpreter import OrderSteps, run
from tests.support.scenarios import SCENARIOS, Scenario, seeded

TRANSITIONS = {transition for s in SCENARIOS for transition in pairwise(s.path)}


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_path(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id = f"ORDER-{scenario.name}"
    if record := seeded(scenario, order_id):
        tracking_table().put_item(Item=record)

    ended = run(
        "order_workflow",
        {"message": scenario.message(order_id), "attempt": scenario.attempt},
        OrderSteps(scenario.throws),
        monkeypatch,
    )

    assert ended.path == scenario.path
    assert scenario.ended_as_expected(ended.status, ended.error, ended.cause)
    records = table_items()
    if not scenario.record:
        assert all(record["status"] in (Status.CLAIMED, Status.SENDING) for record in records)
    else:
        (record,) = records
        assert scenario.record.items() <= record.items()


def test_the_scenarios_enter_every_state() -> None:
    assert {state for s in SCENARIOS for state in s.path} == set(STATES)


@pytest.mark.parametrize("state", STATES)
def test_the_scenarios_take_every_way_out_of_a_state_and_every_retry(state: str) -> None:
    for successor in successors(STATES[state]):
        assert (state, successor) in TRANSITIONS
    if "Retry" in STATES[state]:
        assert any(
            state in s.throws and is_retried(state, s.throws[state][0], 1) for s in SCENARIOS
        )


def test_send_is_retried_only_after_errors_that_leave_ses_without_the_mail() -> None:
    (retrier,) = STATES["Send"]["Retry"]
    assert (
        set(retrier["ErrorEquals"])
        == set(SEND_AGAIN)
        == {
            "SendThrottled",
            "LedgerUnavailable",
            "Lambda.TooManyRequestsException",
        }
    )


@pytest.mark.parametrize(
    ("error", "end"),
    [
        *((e.__name__, "Deferred") for e in errors.DEFERRED),
        ("ClaimLost", "Deferred"),
        ("LedgerUnavailable", "Deferred"),
        ("Lambda.TooManyRequestsException", "Deferred"),
        ("UnexpectedError", "Failed"),
        ("SendOutcomeUnknown", "InDoubt"),
        # What Lambda, its runtimes and Step Functions say of a function that did not answer.
        ("Lambda.ServiceException", "InDoubt"),
        ("Lambda.Unknown", "InDoubt"),
        ("Runtime.ExitError", "InDoubt"),
        ("Runtime.OutOfMemory", "InDoubt"),
        ("Sandbox.Timedout", "InDoubt"),
        ("States.Timeout", "InDoubt"),
        ("Something.NobodyHasSeenYet", "InDoubt"),
    ],
)
def test_a_failed_send_ends_by_what_is_known_of_the_mail(error: str, end: str) -> None:
    following, _ = after_failure("Send", {"attempt": 1}, error)
    assert following == end


@pytest.mark.parametrize("state", [n for n, s in STATES.items() if s["Type"] == "Task"])
def test_a_task_has_at_most_two_catches_and_is_not_retried_after_a_bug(state: str) -> None:
    assert len(STATES[state]["Catch"]) <= 2
    assert not is_retried(state, "UnexpectedError", 1)


@pytest.mark.parametrize(
    ("error", "attempt", "following"),
    [
        ("Lambda.Unknown", limits.QUEUE_MAX_RECEIVES - 1, "Deferred"),
        ("Lambda.Unknown", limits.QUEUE_MAX_RECEIVES, "RecordFailed"),
        ("UnexpectedError", limits.UNEXPECTED_MAX_ATTEMPTS - 1, "Failed"),
        ("UnexpectedError", limits.UNEXPECTED_MAX_ATTEMPTS, "RecordFailed"),
    ],
)
def test_giving_up_depends_on_the_attempt_and_the_error(
    error: str, attempt: int, following: str
) -> None:
    assert after_failure("Render", {"attempt": attempt}, error)[0] == following


@pytest.mark.parametrize(
    ("error", "following"),
    [
        ("LedgerUnavailable", "Deferred"),
        ("Lambda.Unknown", "Deferred"),
        ("UnexpectedError", "GaveUp"),
    ],
)
def test_giving_up_is_tried_again_where_it_was_not_recorded_and_ends_at_a_bug(
    error: str, following: str
) -> None:
    assert after_failure("RecordFailed", {}, error)[0] == following


def test_the_rendered_mail_takes_the_place_of_the_order() -> None:
    assert STATES["Render"]["ResultPath"] == "$"
