"""Each path of the order workflow, on moto's interpreter, with the real handlers in process."""

from __future__ import annotations

import fnmatch
from itertools import pairwise

import botocore.session
import pytest

from statemachines.retries import NOT_RUN, SEND_AGAIN
from steps.contract import errors, limits
from steps.ledger.status import Status
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
        scenario.request(order_id),
        OrderSteps(scenario.throws),
        monkeypatch,
    )

    assert ended.path == scenario.path
    assert scenario.ended_as_expected(ended.status, ended.error, ended.cause)
    records = table_items()
    expected = scenario.records or ([scenario.record] if scenario.record else [])
    if not expected:
        assert all(record["status"] in (Status.CLAIMED, Status.SENDING) for record in records)
    else:
        assert len(records) == len(expected)
        for some in expected:
            assert any(some.items() <= record.items() for record in records)


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
            "SesUnreachable",
            "LedgerUnavailable",
            "Lambda.TooManyRequestsException",
        }
    )


@pytest.mark.parametrize(
    ("error", "end"),
    [
        *((e.__name__, "Deferred") for e in errors.DEFERRED),
        ("ClaimLost", "Deferred"),
        ("LedgerUnavailable", "Release"),
        # What says that the function did not run.
        ("Lambda.TooManyRequestsException", "Release"),
        ("Lambda.CodeArtifactUserPendingException", "Release"),
        ("Lambda.KMSDisabledException", "Release"),
        ("Lambda.ResourceNotReadyException", "Release"),
        ("Runtime.ImportModuleError", "Release"),
        ("Runtime.UserCodeSyntaxError", "Release"),
        ("KeyError", "Release"),  # raised while the code was loaded
        ("UnexpectedError", "Release"),
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
    following, _ = after_failure("Send", {"attempt": 1, "lastReceive": False}, error)
    assert following == end


@pytest.mark.parametrize("state", [n for n, s in STATES.items() if s["Type"] == "Task"])
def test_a_task_has_at_most_two_catches_and_is_not_retried_after_a_bug(state: str) -> None:
    assert len(STATES[state]["Catch"]) <= 2
    assert not is_retried(state, "UnexpectedError", 1)


def test_what_did_not_run_is_named_as_lambda_names_it() -> None:
    model = botocore.session.get_session().get_service_model("lambda")
    known = {f"Lambda.{error.name}" for error in model.operation_model("Invoke").error_shapes}
    for pattern in NOT_RUN:
        if pattern.startswith("Lambda."):
            assert fnmatch.filter(known, pattern)
            assert not fnmatch.fnmatch("Lambda.ServiceException", pattern)


@pytest.mark.parametrize(
    ("error", "attempt", "last_receive", "following"),
    [
        ("Lambda.Unknown", limits.QUEUE_MAX_RECEIVES, False, "Deferred"),
        ("Lambda.Unknown", 1, True, "RecordFailed"),
        ("UnexpectedError", limits.UNEXPECTED_MAX_ATTEMPTS - 1, False, "Failed"),
        ("UnexpectedError", limits.UNEXPECTED_MAX_ATTEMPTS, False, "RecordFailed"),
        ("UnexpectedError", 1, True, "RecordFailed"),
    ],
)
def test_giving_up_depends_on_the_attempt_and_the_error(
    error: str, attempt: int, following: str, *, last_receive: bool
) -> None:
    state_input = {"attempt": attempt, "lastReceive": last_receive}
    assert after_failure("Validate", state_input, error)[0] == following


@pytest.mark.parametrize(
    ("error", "following"),
    [
        ("LedgerUnavailable", "Deferred"),
        ("Lambda.Unknown", "Deferred"),
        ("UnexpectedError", "Failed"),
    ],
)
def test_giving_up_is_no_end_where_it_was_not_recorded(error: str, following: str) -> None:
    assert after_failure("RecordFailed", {}, error)[0] == following


def test_the_rendered_mail_takes_the_place_of_the_order() -> None:
    assert STATES["Render"]["ResultPath"] == "$"
