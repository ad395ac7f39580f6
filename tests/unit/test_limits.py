"""The bounds fit into each other: each function is run into its worst case, on a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from statemachines.order_workflow import TIMEOUTS
from steps import bounce_rate, cost_monitoring, dedup, dispatch, feedback, record, send
from steps.aws import ledger_table, queue, ses, sources, workflow
from steps.aws.ledger_table import LedgerTable
from steps.aws.pace import Pace
from steps.aws.queue import OrderQueue
from steps.aws.ses import SendingAccount, Ses
from steps.aws.workflow import OrderExecution, OrderWorkflow
from steps.contract import errors, limits
from steps.ledger.rules import Status
from tests.support.asl import STATES, states_of
from tests.support.in_memory_aws import SES, TABLE
from tests.support.sample_mails import NOTIFICATION_ID, email
from tests.unit.test_feedback import event

if TYPE_CHECKING:
    from steps.ledger.rules import Put, Record, Update

NOW = 1_800_000_000.0
STATE: Any = {
    "attempt": 1,
    "notificationId": NOTIFICATION_ID,
    "orderId": "ORDER1",
    "order": {"eventType": "order.confirmed", "customerEmail": "customer@example.com"},
    "email": email("order.confirmed"),
    "receipt": {"messageId": "message-1", "sentAt": "2026-11-24T08:00:00Z"},
}


@dataclass
class Clock:
    """Moves only when something takes its time."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def takes(self, seconds: float) -> None:
        self.now += seconds

    @property
    def spent(self) -> float:
        return self.now - NOW


@dataclass(frozen=True)
class SlowTable(LedgerTable):
    """Takes all the time that a call may take, and finds a record that changes again and again."""

    clock: Clock
    finds: Record | None = None

    def write(self, _request: Put | Update) -> Record | None:
        self.clock.takes(limits.LEDGER_CALL)
        return self.finds

    def read(self, _notification_id: str) -> Record:
        self.clock.takes(limits.LEDGER_CALL)
        return self.finds or {}

    def find_by_message_id(self, _message_id: str) -> str | None:
        self.clock.takes(limits.LEDGER_CALL)
        return NOTIFICATION_ID


@dataclass(frozen=True, kw_only=True)
class SlowSes(Ses):
    """Refuses after all the time that a call may take."""

    clock: Clock

    def send(self, *_: object, **__: object) -> str:
        self.clock.takes(limits.SES_CALL)
        raise errors.SendThrottled("as asked")


STALE = {
    "notificationId": NOTIFICATION_ID,
    "orderId": "ORDER1",
    "owner": "someone else",
    "status": Status.CLAIMED,
    "leaseUntil": 0,
}


def slow_table(clock: Clock, finds: Record | None = None) -> SlowTable:
    return SlowTable(TABLE.name, clock, finds)


def test_dedup_holds_its_writes() -> None:
    clock = Clock()
    with pytest.raises(errors.LedgerUnavailable):
        dedup.claim(STATE, "me", table=slow_table(clock, STALE), now=NOW)
    assert clock.spent == TIMEOUTS["dedup"] - limits.OWN_TIME


def test_send_holds_ses_between_two_writes() -> None:
    clock = Clock()
    slow_ses = SlowSes(**vars(SES), clock=clock)
    with pytest.raises(errors.SendThrottled):
        send.send(STATE, "me", table=slow_table(clock), ses=slow_ses, clock=clock)
    assert clock.spent == TIMEOUTS["send"] - limits.OWN_TIME


@pytest.mark.parametrize(
    "step",
    [
        partial(record.record_sent, STATE, "me"),
        partial(record.record_rejected, STATE | {"error": {"Error": "x"}}, "me", now=NOW),
        partial(
            record.record_failed, STATE | {"error": {"Error": "x"}, "claim": {}}, "me", now=NOW
        ),
    ],
)
def test_record_holds_its_write(step: Any) -> None:
    clock = Clock()
    step(table=slow_table(clock))
    assert clock.spent <= TIMEOUTS["record"] - limits.OWN_TIME


def test_feedback_holds_an_event_that_is_folded_again_and_again() -> None:
    clock = Clock()
    legacy = event("Bounce", legacy=True, bounceType="Permanent", bounceSubType="General")
    with pytest.raises(errors.LedgerUnavailable):
        feedback.apply_event(legacy, table=slow_table(clock, STALE))
    assert clock.spent == limits.FEEDBACK_TIMEOUT - limits.OWN_TIME


@dataclass(frozen=True, kw_only=True)
class SlowWorkflow(OrderWorkflow):
    arn: str = ""
    clock: Clock

    def run(self, **_: str) -> OrderExecution:
        self.clock.takes(limits.WORKFLOW_CALL)
        raise errors.WorkflowUnavailable("as asked")


@dataclass(frozen=True, kw_only=True)
class SlowQueue(OrderQueue):
    url: str = ""
    dead_letters_url: str = ""
    clock: Clock

    def postpone(self, *_: object) -> None:
        self.clock.takes(limits.QUEUE_CALL)


@dataclass
class LongLine(Pace):
    """Every slot but the last that a dispatcher can wait for is taken."""

    waits: Clock = field(default_factory=Clock)

    def _move(self, _update: str, _condition: str, values: dict[str, int]) -> int | None:
        self.waits.takes(limits.LEDGER_CALL)
        return values[":latest"] + values[":span"] if ":latest" in values else None


def test_the_dispatcher_holds_one_of_everything() -> None:
    clock = Clock()

    def ask() -> SendingAccount:
        clock.takes(limits.SES_CALL)
        return SendingAccount(rate=1e6, quota_left=1000, enabled=True)

    dispatcher = dispatch.Dispatcher(
        workflow=SlowWorkflow(clock=clock),
        queue=SlowQueue(clock=clock),
        pace=LongLine(TABLE.name, clock, ask, waits=clock),
        clock=clock,
        sleep=clock.takes,
        each=lambda run, *arguments: list(map(run, *arguments)),
    )
    message: dispatch.SqsRecord = {
        "messageId": "m",
        "receiptHandle": "r",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": "1"},
    }
    dispatcher.run_batch([message])
    assert clock.spent == pytest.approx(limits.DISPATCHER_TIMEOUT - limits.OWN_TIME, abs=0.01)


@pytest.mark.parametrize("function", [cost_monitoring, bounce_rate])
def test_a_report_holds_all_its_sources(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    class Slow:
        """Any client: each call takes its time and finds nothing."""

        def __getattr__(self, _operation: str) -> Any:
            def call(**_: object) -> Any:
                clock.takes(limits.REPORT_CALL)
                return {"ResultsByTime": [], "Items": [], "MetricDataResults": []}

            return call

        def get_paginator(self, _operation: str) -> Any:
            class Pages:
                paginate = staticmethod(lambda **query: [Slow().get_metric_data(**query)])

            return Pages()

    for client in ("cost_explorer", "cloudwatch", "sesv2", "dynamodb"):
        monkeypatch.setattr(sources, client, Slow)
    name = "CostSettings" if function is cost_monitoring else "BounceRateSettings"
    fields = {"reports_table": "", "system": "", "budget": 1, "dashboard_url": ""}
    fields |= {"configuration_set": "", "auto_pause": False}
    settings = getattr(function, name)
    function.tasks(settings(**{k: fields[k] for k in settings.__dataclass_fields__})).run({})
    assert clock.spent == limits.REPORT_FUNCTION_TIMEOUT - limits.OWN_TIME


@pytest.mark.usefixtures("aws_world")
@pytest.mark.parametrize(
    ("client", "call"),
    [
        (ledger_table.dynamodb, limits.LEDGER_CALL),
        (ses.sesv2, limits.SES_CALL),
        (queue.sqs, limits.QUEUE_CALL),
        (workflow.stepfunctions, limits.WORKFLOW_CALL),
        *((client, limits.REPORT_CALL) for client in (sources.cloudwatch, sources.dynamodb)),
    ],
)
def test_a_call_takes_what_its_client_allows(client: Any, call: float) -> None:
    config = client().meta.config
    attempts = config.retries["total_max_attempts"]
    waits = limits.SDK_BACKOFF * (attempts - 1)
    assert attempts * (config.connect_timeout + config.read_timeout) + waits == call


@pytest.mark.parametrize("machine", ["cost_analysis", "bounce_rate_check"])
def test_a_report_s_workflow_holds_every_retry_and_ends_before_the_next_run(machine: str) -> None:
    states = states_of(machine)
    (collect, *_) = (b["States"] for b in states["Collect"]["Branches"])
    (asking,) = (s for s in collect.values() if s["Type"] == "Task")
    in_a_row = [
        asking,
        *(states[n] for n in ("Report", "Pause", "Alert", "Keep", "AlertFailed") if n in states),
    ]
    longest = 0.0
    for state in in_a_row:
        retry = state["Retry"][-1]
        longest += (1 + retry["MaxAttempts"]) * state["TimeoutSeconds"]
        longest += sum(
            retry["IntervalSeconds"] * retry["BackoffRate"] ** i
            for i in range(retry["MaxAttempts"])
        )
    assert longest <= limits.REPORT_MACHINE_TIMEOUT < 60 * 60
    if "Pause" in states:
        assert longest == limits.REPORT_MACHINE_TIMEOUT


def test_the_machine_holds_its_longest_path_and_express_holds_the_machine() -> None:
    def longest_from(name: str) -> int:
        state = STATES[name]
        ways = [*state.get("Choices", []), *state.get("Catch", []), state]
        following = {way[key] for way in ways for key in ("Next", "Default") if key in way}
        own: int = state.get("TimeoutSeconds", 0)
        return own + max(map(longest_from, following), default=0)

    assert longest_from("Validate") == limits.MACHINE_TIMEOUT <= 5 * 60


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
    executions = limits.QUEUE_MAX_RECEIVES * limits.DISPATCHER_TIMEOUT
    assert sum(delays) + executions < limits.QUEUE_RETENTION - 7 * limits.DAY
