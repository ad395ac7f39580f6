"""The bounds fit into each other: inner ones end first, and nothing expires before it was tried."""

from __future__ import annotations

from statemachines.order_workflow import TIMEOUTS
from steps.contract import limits
from tests.support.asl import STATES
from tests.support.scenarios import SENT


def test_a_healthy_execution_with_a_throttled_send_ends_within_the_promised_30_seconds() -> None:
    waits = sum(
        limits.SEND_RETRY_INTERVAL * limits.SEND_RETRY_BACKOFF**i
        for i in range(limits.SEND_RETRIES)
    )
    assert waits <= 10


def test_the_machine_holds_each_step_once_and_express_holds_the_machine() -> None:
    longest = sum(
        STATES[name]["TimeoutSeconds"] for name in SENT if "TimeoutSeconds" in STATES[name]
    )
    assert longest == limits.MACHINE_TIMEOUT <= 5 * 60


def test_a_task_waits_for_its_function_s_own_report() -> None:
    for step, seconds in TIMEOUTS.items():
        assert STATES[step.capitalize()]["TimeoutSeconds"] > seconds


def test_the_queue_waits_for_the_dispatcher() -> None:
    assert limits.WORKFLOW_READ_TIMEOUT > limits.MACHINE_TIMEOUT
    assert limits.DISPATCHER_TIMEOUT <= 15 * 60
    assert 6 * limits.DISPATCHER_TIMEOUT <= limits.QUEUE_VISIBILITY <= 12 * 60 * 60


def test_a_claim_outlives_its_execution_and_grace_outlives_a_claim() -> None:
    assert limits.CLAIM_LEASE > limits.MACHINE_TIMEOUT
    assert limits.IN_DOUBT_GRACE >= limits.IN_DOUBT_GRACE_MIN > limits.CLAIM_LEASE


def test_waiting_mails_survive_twelve_hours_and_reach_the_dead_letters_before_they_expire() -> None:
    delays = [limits.retry_delay(n) for n in range(1, limits.QUEUE_MAX_RECEIVES)]
    assert delays[:3] == [5, 10, 20]
    assert delays == sorted(delays)
    assert max(delays) == limits.RETRY_DELAY_MAX <= 12 * 60 * 60
    assert sum(delays) > 3 * limits.DAY > 12 * 60 * 60
    # A dead letter keeps its age: an operator has a week left even after the longest wait.
    executions = limits.QUEUE_MAX_RECEIVES * limits.MACHINE_TIMEOUT
    assert sum(delays) + executions < limits.QUEUE_RETENTION - 7 * limits.DAY
