"""The bounds fit into each other: inner ones end first, and nothing expires before it was tried."""

from __future__ import annotations

from steps import limits


def worst_retries(calls: float, retries: int, interval: float, backoff: float) -> float:
    return calls * (1 + retries) + sum(interval * backoff**i for i in range(retries))


def test_a_step_ends_before_its_task_and_a_call_before_its_step() -> None:
    ledger_call = limits.LEDGER_ATTEMPTS * (
        limits.LEDGER_CONNECT_TIMEOUT + limits.LEDGER_READ_TIMEOUT
    )
    ses_call = limits.SES_CONNECT_TIMEOUT + limits.SES_READ_TIMEOUT
    # The write before SES, SES, and the backoff of the SDK between two tries of a write.
    assert ledger_call + 1 + ses_call < limits.STEP_FUNCTION_TIMEOUT + 2
    assert limits.STEP_FUNCTION_TIMEOUT < limits.STEP_TASK_TIMEOUT


def test_a_healthy_execution_with_a_throttled_send_ends_within_the_promised_30_seconds() -> None:
    waits = sum(
        limits.SEND_RETRY_INTERVAL * limits.SEND_RETRY_BACKOFF**i
        for i in range(limits.SEND_RETRIES)
    )
    assert waits <= 10


def test_the_machine_ends_before_the_dispatcher_and_the_dispatcher_before_the_queue() -> None:
    assert limits.STEP_TASK_TIMEOUT * 2 < limits.MACHINE_TIMEOUT <= 5 * 60
    assert limits.MACHINE_TIMEOUT + 5 < limits.DISPATCHER_TIMEOUT <= 15 * 60
    assert limits.QUEUE_VISIBILITY >= 6 * limits.DISPATCHER_TIMEOUT
    assert limits.QUEUE_VISIBILITY <= 12 * 60 * 60


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


def test_giving_up() -> None:
    assert not limits.gives_up("SendThrottled", limits.QUEUE_MAX_RECEIVES - 1)
    assert limits.gives_up("SendThrottled", limits.QUEUE_MAX_RECEIVES)
    assert limits.gives_up("UnexpectedError", limits.UNEXPECTED_MAX_ATTEMPTS)
