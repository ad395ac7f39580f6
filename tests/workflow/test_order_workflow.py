"""Each path of the order workflow, on moto's interpreter, with the real handlers in process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from statemachines.retries import SEND_AGAIN
from steps.contract import errors, limits
from tests.support.asl import ORDER_WORKFLOW, STATES, end_of, is_retried
from tests.support.in_memory_aws import table_items, tracking_table
from tests.support.moto_interpreter import run
from tests.support.scenarios import SCENARIOS, Scenario, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def aws_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table, a verified sender, and the functions' environment, all moto's."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        tracking_table(monkeypatch)
        yield


@pytest.mark.usefixtures("aws_world")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_path(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id = f"ORDER-{scenario.name}"
    if found := seeded(scenario, order_id):
        boto3.resource("dynamodb", region_name="us-east-1").Table("tracking").put_item(Item=found)

    ended = run(
        ORDER_WORKFLOW,
        {"message": scenario.message(order_id), "attempt": scenario.attempt},
        scenario.throws,
        monkeypatch,
    )

    assert ended.path == scenario.path
    assert scenario.ended_as_expected(ended.status, ended.error, ended.cause)
    records = table_items()
    if not scenario.record:
        assert all(r["status"] in ("CLAIMED", "SENDING") for r in records)
    else:
        (record,) = records
        assert scenario.record.items() <= record.items()


def test_scenarios_cover_every_state_choice_retry_and_catch() -> None:
    entered = {state for s in SCENARIOS for state in s.path}
    assert entered == set(STATES)
    for name, state in STATES.items():
        successors = [c["Next"] for c in state.get("Choices", [])] + [
            state[k] for k in ("Default", "Next") if k in state
        ]
        successors += [c["Next"] for c in state.get("Catch", [])]
        for successor in successors:
            assert any(
                (name, successor) in zip(s.path, s.path[1:], strict=False) for s in SCENARIOS
            ), f"no scenario goes from {name} to {successor}"
        if "Retry" in state:
            assert any(
                name in s.throws and is_retried(name, s.throws[name][0], 1) for s in SCENARIOS
            ), f"no scenario retries {name}"


def test_send_is_repeated_only_where_ses_certainly_has_nothing() -> None:
    (retry,) = STATES["Send"]["Retry"]
    assert (
        set(retry["ErrorEquals"])
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
def test_what_a_failed_send_means(error: str, end: str) -> None:
    state = {"attempt": 1, "error": {"Error": error}}
    assert end_of("Send", state) == end


@pytest.mark.parametrize("state", [n for n, s in STATES.items() if s["Type"] == "Task"])
def test_a_task_has_two_ways_out_at_most_and_a_bug_is_not_repeated(state: str) -> None:
    assert len(STATES[state]["Catch"]) <= 2
    assert not is_retried(state, "UnexpectedError", 1)


def test_whether_to_give_up_depends_on_the_attempt_and_the_error() -> None:
    def end(error: str, attempt: int) -> str | None:
        return end_of("Render", {"attempt": attempt, "error": {"Error": error}})

    assert end("Lambda.Unknown", limits.QUEUE_MAX_RECEIVES - 1) == "Deferred"
    assert end("Lambda.Unknown", limits.QUEUE_MAX_RECEIVES) is None
    assert end("UnexpectedError", limits.UNEXPECTED_MAX_ATTEMPTS - 1) == "Failed"
    assert end("UnexpectedError", limits.UNEXPECTED_MAX_ATTEMPTS) is None


def test_giving_up_comes_back_where_it_could_not_be_recorded_and_ends_at_a_bug() -> None:
    assert end_of("RecordFailed", {"error": {"Error": "LedgerUnavailable"}}) == "Deferred"
    assert end_of("RecordFailed", {"error": {"Error": "Lambda.Unknown"}}) == "Deferred"
    assert end_of("RecordFailed", {"error": {"Error": "UnexpectedError"}}) == "GaveUp"


def test_the_order_does_not_travel_with_its_mail() -> None:
    assert STATES["Render"]["ResultPath"] == "$"
