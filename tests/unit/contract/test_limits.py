"""The bounds fit into each other: each function is run into its worst case, on a clock of its own."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.response import StreamingBody

from statemachines.order_workflow import TIMEOUTS
from steps import (
    bounce_rate,
    canary,
    cost_monitoring,
    dedup,
    dispatch,
    feedback,
    outcomes,
    reconciliation,
    record,
    rejections,
    send,
)
from steps.aws import ledger_table, objects, queue, ses, sources, topic, workflow
from steps.aws.late_notice import LateNotice
from steps.aws.ledger_table import LedgerTable, Page
from steps.aws.pace import Answer
from steps.aws.queue import OrderQueue
from steps.aws.ses import SendingAccount, Ses
from steps.aws.topic import NotTaken, OutcomesTopic
from steps.aws.workflow import OrderExecution, OrderWorkflow
from steps.contract import errors, limits
from steps.ledger import rules
from steps.mail.documents import Attachable
from steps.reports.reconciliation import unread
from tests.support import asl
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import SES, STATE, TABLE, claimed_record
from tests.support.order_queue import sqs_record
from tests.support.pace_in_memory import PaceInMemory
from tests.support.reports import (
    BOUNCE_RATE_SETTINGS,
    CANARY_SETTINGS,
    COST_SETTINGS,
    RECONCILIATION_SETTINGS,
    REJECTIONS_SETTINGS,
)
from tests.support.sample_mails import NOTIFICATION_ID, email
from tests.support.ses_events import BOUNCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from steps.aws.pace import Outside
    from steps.contract.outcome_event import OutcomeEvent
    from steps.contract.report_tasks import TaskEvent
    from steps.contract.state import Recorded, Reference, State
    from steps.ledger.rules import Put, Record, Update
    from steps.ledger.unfinished import Search
    from steps.outcomes import StreamRecord

SENT: State = {
    **STATE,
    "email": email("order.confirmed"),
    "receipt": {"messageId": "message-1", "sentAt": "2026-11-24T08:00:00Z", "handoverId": "c"},
}


@dataclass(frozen=True)
class SlowTable(LedgerTable):
    """Takes all the time that a call may take, and has a record that changes again and again."""

    clock: Clock
    record: Record | None = None

    def write(self, _request: Put | Update) -> Record | None:
        self.clock.sleep(limits.LEDGER_CALL)
        return self.record

    def read(
        self, _notification_id: str, _attributes: Sequence[str], *, consistent: bool = True
    ) -> Record:
        del consistent  # Either takes its time.
        self.clock.sleep(limits.LEDGER_CALL)
        return self.record or {}


@dataclass(frozen=True)
class CalledBefore(SlowTable):
    """Has these records in the way of as many writes, then takes any."""

    records: list[Record] = field(default_factory=list)

    def write(self, request: Put | Update) -> Record | None:
        super().write(request)
        return self.records.pop() if self.records else None


@dataclass(frozen=True, kw_only=True)
class SlowSes(Ses):
    """Refuses after all the time that a call may take."""

    clock: Clock

    def send(self, *_: object, **__: object) -> str:
        self.clock.sleep(limits.SES_CALL)
        raise errors.SendThrottled("as asked")


EXPIRED = claimed_record("someone else", leaseUntil=0)
CALLED = claimed_record("me", handoverId="another call")


def slow_table(clock: Clock, record: Record | None = None) -> SlowTable:
    return SlowTable(TABLE.name, clock, record)


def test_dedup_has_time_for_all_its_writes() -> None:
    clock = Clock()
    with pytest.raises(errors.LedgerUnavailable):
        dedup.claim(STATE, "me", table=slow_table(clock, EXPIRED), now=NOW)
    assert clock.elapsed == TIMEOUTS["dedup"] - limits.OWN_TIME


@dataclass
class SlowS3:
    """Takes so long for each object."""

    clock: Clock
    delays: list[float]

    def get_object(self, **_: str) -> dict[str, object]:
        self.clock.sleep(self.delays.pop(0))
        return {"ContentLength": 2, "Body": StreamingBody(io.BytesIO(b"%P"), 2)}


LAST_MOMENT = limits.ATTACHMENTS_BUDGET - 0.001
INVOICE: Reference = {
    "uri": "s3://shop/mails/1",
    "sha256": hashlib.sha256(b"%P").hexdigest(),
    "fileName": "Invoice.pdf",
}
TERMS: Reference = {**INVOICE, "fileName": "Terms.pdf"}


@pytest.mark.parametrize(
    ("delays", "error", "seconds"),
    [
        ([0, LAST_MOMENT], errors.SendThrottled, TIMEOUTS["send"] - limits.OWN_TIME),
        # That the time for both is over at the second the clock of the process says: see test_objects.
        (
            [LAST_MOMENT, 0.001],
            errors.AttachmentsLinked,
            limits.ATTACHMENTS_BUDGET + limits.LEDGER_CALL,
        ),
    ],
)
def test_send_has_time_for_attachments_for_ses_and_a_write_before_and_after(
    delays: list[float],
    error: type[errors.OrderMailError],
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    slow_s3 = SlowS3(clock, [*delays])
    monkeypatch.setattr(objects, "s3", lambda: slow_s3)
    called_before = [CALLED] if error is errors.SendThrottled else []
    with pytest.raises(error):
        send.send(
            {**SENT, "email": {**SENT["email"], "attachments": [INVOICE, TERMS]}},
            "me",
            table=CalledBefore(TABLE.name, clock, records=[*called_before]),
            ses=SlowSes(**vars(SES), clock=clock),
            fetch=partial(
                send.fetch,
                attachable=Attachable.of("s3://shop/", "pdf"),
                objects=objects.Objects(clock=clock),
            ),
            handover_id="this call",
            clock=clock,
        )
    assert clock.elapsed == pytest.approx(seconds, abs=0.01)
    assert seconds <= TIMEOUTS["send"] - limits.OWN_TIME


REJECTED: State = {
    **STATE,
    "rejection": {
        "orderId": "x",
        "customerEmail": "",
        "event": "",
        "reasons": [],
        "claimed": NOTIFICATION_ID,
    },
}


@pytest.mark.parametrize(
    "record_outcome",
    [
        partial(record.record_sent, SENT, "me"),
        partial(record.record_rejected, REJECTED, "me"),
        partial(record.record_failed, SENT, "me"),
    ],
)
def test_record_has_time_for_its_writes(record_outcome: Callable[..., Recorded]) -> None:
    clock = Clock()
    with suppress(errors.LedgerUnavailable):
        record_outcome(table=slow_table(clock, EXPIRED), now=NOW)
    assert clock.elapsed == TIMEOUTS["record"] - limits.OWN_TIME


@dataclass(frozen=True)
class ChangingTable(SlowTable):
    """Takes a write that is made so late that it is at fault: the last that an event may be folded by."""

    writes: list[Put | Update] = field(default_factory=list)

    def write(self, request: Put | Update) -> Record | None:
        self.writes.append(request)
        super().write(request)
        if len(self.writes) == limits.FOLD_ATTEMPTS:
            raise errors.UnexpectedError("as asked")
        return self.record


def slow_notice(clock: Clock) -> LateNotice:
    """Take all the time that a call may take for a notice."""
    return LateNotice(name="", put=lambda _: clock.sleep(limits.QUEUE_CALL), clock=clock)


def give_feedback(clock: Clock, table: SlowTable) -> list[str]:
    """Fold an old batch whose second event is the last that there is time to begin; return what stays."""
    beginnings: list[float] = []

    class Slow(feedback.Feedback):
        def fold(self, message: str, *, by: str) -> None:
            beginnings.append(clock.elapsed)
            if len(beginnings) == 1:  # Just before there is no more time for another.
                clock.sleep(limits.FEEDBACK_BUDGET - 0.001)
            else:
                super().fold(message, by=by)

    slow = Slow(
        table=table,
        configuration_set=SES.configuration_set,
        dead_letter=lambda *_: clock.sleep(limits.QUEUE_CALL),
        late=slow_notice(clock),
        clock=clock,
    )
    batch = [
        sqs_record(BOUNCE, message_id=str(number), receives=limits.SES_EVENT_RECEIVES, sent_at=0)
        for number in range(limits.FEEDBACK_BATCH)
    ]
    staying = slow.take(batch)
    assert len(beginnings) == 2
    return staying


@pytest.mark.parametrize(("kind", "first"), [(ChangingTable, 2), (SlowTable, 1)])
def test_feedback_has_time_for_a_last_event_that_is_folded_to_no_end_and_a_letter(
    kind: type[SlowTable], first: int
) -> None:
    """The event's own letter, or the notice that the batch waits."""
    clock = Clock()
    staying = give_feedback(clock, kind(TABLE.name, clock, EXPIRED | {"sendingAt": 1}))
    assert staying == [str(number) for number in range(first, limits.FEEDBACK_BATCH)]
    assert clock.elapsed == pytest.approx(limits.FEEDBACK_TIMEOUT - limits.OWN_TIME, abs=0.01)


def test_an_event_that_is_not_folded_comes_back_within_the_grace_of_its_mail() -> None:
    assert (
        6 * limits.FEEDBACK_TIMEOUT + limits.FEEDBACK_WINDOW
        <= limits.SES_EVENTS_VISIBILITY
        < limits.IN_DOUBT_GRACE
    )


def test_what_waits_for_the_table_outlasts_ten_hours_and_becomes_a_letter_before_it_expires() -> (
    None
):
    last = (limits.SES_EVENTS_REDRIVE_RECEIVES - 1) * limits.SES_EVENTS_VISIBILITY
    assert 10 * 60 * 60 < last < limits.QUEUE_RETENTION - 7 * limits.DAY
    assert limits.SES_EVENT_RECEIVES < limits.SES_EVENTS_REDRIVE_RECEIVES <= 1000, "SQS's most"


@dataclass(frozen=True, kw_only=True)
class SlowWorkflow(OrderWorkflow):
    arn: str = ""
    clock: Clock

    def run(self, **_: str) -> OrderExecution:
        self.clock.sleep(limits.WORKFLOW_CALL)
        return OrderExecution(arn="", status="FAILED", error="States.Runtime")


@dataclass(frozen=True, kw_only=True)
class SlowQueue(OrderQueue):
    url: str = ""
    dead_letters_url: str = ""
    clock: Clock

    def postpone(self, *_: object) -> None:
        self.clock.sleep(limits.QUEUE_CALL)


@dataclass
class LongLine(PaceInMemory):
    """Takes all the time that a call may take; each slot but the last that can be waited for is taken."""

    table_clock: Clock = field(default_factory=Clock)

    def update(
        self, changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
    ) -> Answer:
        # The first answer comes at once, so that there is time to wait for the second.
        self.table_clock.sleep(limits.LEDGER_CALL if self.table_clock.elapsed else 0)
        if when and when.attribute == "freeFrom":
            last = when.until if moved else when.until - limits.CLOCK_TOLERANCE * 1000 - 1
            return Answer(made=bool(moved), item={"freeFrom": last + sum(moved.values())}, at=None)
        return super().update(changes, when, moved)


@dataclass(frozen=True)
class SlowTopic(OutcomesTopic):
    clock: Clock

    def publish(self, outcomes: Sequence[OutcomeEvent]) -> NotTaken:
        assert len(outcomes) <= limits.OUTCOMES_PER_PUBLISH
        self.clock.sleep(limits.TOPIC_CALL)
        return NotTaken(again=frozenset({9}) if outcomes[-1]["id"] == "last" else frozenset())


def test_outcomes_have_time_for_a_batch_a_letter_and_a_notice() -> None:
    clock = Clock()

    def read(change: StreamRecord) -> OutcomeEvent:
        number = change["dynamodb"]["SequenceNumber"]
        if not number:
            raise ValueError
        outcome: Any = {"id": "last" if number == limits.OUTCOME_BATCH - 1 else ""}
        return outcome  # type: ignore[no-any-return]

    teller = outcomes.Teller(
        topic=SlowTopic("", clock),
        read=read,
        set_aside=lambda _, __: clock.sleep(limits.QUEUE_CALL),
        late=slow_notice(clock),
    )
    changes: Any = [
        {"dynamodb": {"SequenceNumber": number, "ApproximateCreationDateTime": 0}}
        for number in range(limits.OUTCOME_BATCH)
    ]
    teller.tell(changes)
    assert clock.elapsed == limits.OUTCOMES_TIMEOUT - limits.OWN_TIME


def test_what_the_topic_does_not_take_is_tried_again_for_longer_than_an_outage_of_an_hour() -> None:
    assert 60 * 60 < limits.OUTCOME_MAX_AGE < limits.DAY, "a stream keeps a change for a day"
    assert limits.OUTCOME_RETRIES > 60 * 60, "even if Lambda waits for no more than a second"


def test_the_dispatcher_has_time_for_one_of_everything() -> None:
    clock = Clock()

    waited = NOW + limits.ACCOUNT_WAIT - 0.001

    def ask() -> SendingAccount:
        if not clock.elapsed:
            clock.now = waited
            raise errors.SesUnavailable("as asked")
        clock.sleep(limits.SES_CALL)
        return SendingAccount(rate=1e6, quota_left=1000, enabled=True)

    pace = LongLine("", clock, ask, lambda _: None, table_clock=clock)
    pace._rests_from = round((NOW + limits.DAY) * 1000)  # At rest a mail would not wait in line.
    dispatcher = dispatch.Dispatcher(
        workflow=SlowWorkflow(clock=clock),
        queue=SlowQueue(clock=clock),
        pace=pace,
        table=slow_table(clock),
        clock=clock,
        sleep=clock.sleep,
        each=lambda run, *arguments: list(map(run, *arguments)),
    )
    dispatcher.run_batch([sqs_record(receives=2)])
    assert clock.elapsed == pytest.approx(limits.DISPATCHER_TIMEOUT - limits.OWN_TIME, abs=0.01)


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize(
    ("run_report", "calls"),
    [
        (cost_monitoring.tasks(COST_SETTINGS).run, limits.REPORT_CALLS),
        (bounce_rate.tasks(BOUNCE_RATE_SETTINGS).run, 5),
        (reconciliation.tasks(RECONCILIATION_SETTINGS).run, 2),
    ],
    ids=["cost", "bounce rate", "reconciliation"],
)
def test_a_check_has_time_for_all_its_sources_and_for_what_it_keeps(
    run_report: Callable[[TaskEvent], object], calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def call_slowly(*_: object) -> dict[str, list[object]]:
        clock.sleep(limits.REPORT_CALL)
        return {"ResultsByTime": [], "Items": []}

    def count_slowly(
        metrics: list[object], *_: object, **__: object
    ) -> list[dict[datetime, float]]:
        clock.sleep(limits.REPORT_CALL)
        return [{} for _ in metrics]

    monkeypatch.setattr(BaseClient, "_make_api_call", call_slowly)
    monkeypatch.setattr(sources, "metric_values", count_slowly)
    run_report({"task": "check"})
    assert clock.elapsed == calls * limits.REPORT_CALL
    all_calls = limits.REPORT_CALLS * limits.REPORT_CALL
    assert all_calls == limits.REPORT_FUNCTION_TIMEOUT - limits.OWN_TIME
    assert 2 * limits.REPORT_CALL < limits.RECONCILIATION_TIMEOUT - limits.OWN_TIME


@pytest.mark.usefixtures("in_memory_aws")
def test_the_rejections_have_time_for_all_their_calls_whatever_the_logs_are_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()

    def call_slowly(_: object, operation: str, __: object) -> dict[str, object]:
        logs = operation == "FilterLogEvents"
        # The last page of the logs begins just before there is no more time for another.
        asks_first = clock.elapsed < 3 * limits.REPORT_CALL
        clock.sleep(limits.REJECTION_LOGS_BUDGET - 1 if logs and asks_first else limits.REPORT_CALL)
        return {"Items": [], "events": [], "nextToken": "more"}

    def count_slowly(*_: object, **__: object) -> list[dict[datetime, float]]:
        clock.sleep(limits.REPORT_CALL)
        return [{}, {}]

    monkeypatch.setattr(BaseClient, "_make_api_call", call_slowly)
    monkeypatch.setattr(sources, "metric_values", count_slowly)
    event = {"source": "aws.cloudwatch", "alarmData": {}}
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert rejections.watch(event, now, settings=REJECTIONS_SETTINGS, clock=clock)
    assert clock.elapsed == limits.REJECTIONS_TIMEOUT - limits.OWN_TIME - 1
    assert limits.REJECTIONS_TIMEOUT <= 15 * 60, "Lambda's longest"


@pytest.mark.usefixtures("in_memory_aws")
def test_the_canary_has_time_for_all_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, now = Clock(), datetime(2026, 11, 30, 3, 15, tzinfo=UTC)
    last = {"date": "20261130T021500Z", "publishedAt": "2026-11-30T02:15:00+00:00", "told": None}
    kept: dict[str, object] = {"Items": [{"report": {"S": json.dumps(last)}}]}

    def call_slowly(_: object, operation: str, __: object) -> dict[str, object]:
        clock.sleep(limits.LEDGER_CALL if operation == "GetItem" else limits.REPORT_CALL)
        return kept if operation == "Query" else {}

    monkeypatch.setattr(BaseClient, "_make_api_call", call_slowly)
    report = canary.watch({}, now, settings=CANARY_SETTINGS)
    assert report
    assert report["verdict"] == "MISSING"
    assert clock.elapsed == limits.CANARY_TIMEOUT - limits.OWN_TIME


@dataclass(frozen=True)
class EndlessTable(LedgerTable):
    """Has one page more than a call has time for; the last takes all the time that a page may take."""

    clock: Clock

    def scan_segment(
        self, _search: Search, segment: int, of: int, start: Mapping[str, str] | None = None
    ) -> Page:
        assert (segment, of) == (0, limits.SCAN_SEGMENTS)
        self.clock.sleep(limits.REPORT_CALL if start else limits.SCAN_BUDGET - 1)
        return Page([], {"orderId": "more"})


def test_a_scan_has_time_for_the_page_that_it_begins_last() -> None:
    clock = Clock()
    segment: reconciliation.Segment = {
        "segment": 0,
        "previous": {"report": {}},
        "scan": unread()["segments"][0],
    }
    now = datetime.fromtimestamp(clock(), UTC)
    table = EndlessTable(TABLE.name, clock)
    assert "start" in reconciliation.scan(segment, now, table=table, grace=0, clock=clock)
    assert clock.elapsed == limits.RECONCILIATION_TIMEOUT - limits.OWN_TIME - 1
    assert limits.RECONCILIATION_TIMEOUT <= 15 * 60, "Lambda's longest"


def test_what_waits_is_not_taken_for_stuck() -> None:
    assert limits.UNSETTLED_AFTER > limits.RETRY_DELAY_MAX + limits.CLAIM_LEASE
    assert limits.UNSETTLED_AFTER > limits.IN_DOUBT_GRACE + limits.RETRY_DELAY_MAX
    ses_tries, lambda_keeps = 14 * 60 * 60, 6 * 60 * 60
    assert ses_tries + max(lambda_keeps, rules.OVERDUE_GRACE) <= limits.SILENT_AFTER


REPORT_CLIENTS = (
    ledger_table.scanner,
    sources.cost_explorer,
    sources.cloudwatch,
    sources.sesv2,
    sources.dynamodb,
    sources.logs,
    sources.sns,
)


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize(
    ("client", "seconds"),
    [
        (ledger_table.dynamodb, limits.LEDGER_CALL),
        (ses.sesv2, limits.SES_CALL),
        (queue.sqs, limits.QUEUE_CALL),
        (topic.sns, limits.TOPIC_CALL),
        (workflow.stepfunctions, limits.WORKFLOW_CALL),
        *((client, limits.REPORT_CALL) for client in REPORT_CLIENTS),
    ],
)
def test_a_call_takes_no_longer_than_its_client_is_configured_to(
    client: Callable[[], BaseClient], seconds: float
) -> None:
    config: Any = client().meta.config
    attempts = config.retries["total_max_attempts"]
    waits = limits.SDK_BACKOFF * (attempts - 1)
    assert attempts * (config.connect_timeout + config.read_timeout) + waits == seconds


def test_a_report_s_workflow_has_time_for_every_retry_and_ends_before_the_next_run() -> None:
    cost_analysis, bounce_rate_check = (
        asl.longest_path(asl.machine(name), asl.longest_run)
        for name in ("cost_analysis", "bounce_rate_check")
    )
    assert cost_analysis < bounce_rate_check == limits.REPORT_MACHINE_TIMEOUT < 60 * 60


def test_the_reconciliation_has_time_for_a_scan_until_its_deadline_and_ends_before_the_next() -> (
    None
):
    longest = asl.longest_path(asl.machine("reconciliation"), _longest_run_with_scan)
    assert longest == limits.RECONCILIATION_MACHINE_TIMEOUT < 24 * 60 * 60


def _longest_run_with_scan(state: asl.AslState) -> float:
    """The last call of a segment may begin at the deadline."""
    if processor := state.get("ItemProcessor"):
        return limits.SCAN_DEADLINE + asl.longest_run(processor["States"]["Scan"])
    return asl.longest_run(state)


def test_the_order_workflow_has_time_for_its_longest_path_and_express_for_the_workflow() -> None:
    seconds = asl.longest_path(asl.ORDER_WORKFLOW, lambda state: state.get("TimeoutSeconds", 0))
    assert seconds == limits.MACHINE_TIMEOUT <= 5 * 60


def test_a_task_waits_for_its_function_s_own_report() -> None:
    for step, seconds in TIMEOUTS.items():
        assert asl.STATES[step.capitalize()]["TimeoutSeconds"] > seconds


def test_a_message_that_kills_its_dispatcher_becomes_a_dead_letter_before_it_expires() -> None:
    assert limits.QUEUE_REDRIVE_RECEIVES * limits.QUEUE_VISIBILITY < (
        limits.QUEUE_RETENTION - 7 * limits.DAY
    )
    # A living dispatcher gives up long before; what is in doubt is settled within its grace.
    in_doubt = limits.IN_DOUBT_GRACE_MAX // limits.RETRY_DELAY_MAX
    assert limits.QUEUE_MAX_RECEIVES + 2 * in_doubt < limits.QUEUE_REDRIVE_RECEIVES


def test_a_message_stays_hidden_while_its_dispatcher_may_run() -> None:
    assert limits.WORKFLOW_READ_TIMEOUT > limits.MACHINE_TIMEOUT
    assert limits.DISPATCHER_TIMEOUT <= 15 * 60
    needed = 6 * limits.DISPATCHER_TIMEOUT + limits.DISPATCHER_WINDOW_MAX
    assert needed <= limits.QUEUE_VISIBILITY <= 12 * 60 * 60


def test_a_claim_outlives_its_execution_and_grace_outlives_a_claim() -> None:
    assert limits.CLAIM_LEASE > limits.MACHINE_TIMEOUT
    assert limits.IN_DOUBT_GRACE >= limits.IN_DOUBT_GRACE_MIN > limits.CLAIM_LEASE


def test_a_mail_waits_for_its_attachments_no_longer_than_its_patience_and_a_delay() -> None:
    delays = [
        min(limits.retry_delay(receives), limits.ATTACHMENT_RETRY_MAX)
        for receives in range(1, limits.QUEUE_MAX_RECEIVES)
    ]
    tries = next(n for n in range(len(delays)) if sum(delays[:n]) >= limits.ATTACHMENT_PATIENCE)
    assert sum(delays[:tries]) <= limits.ATTACHMENT_PATIENCE + limits.ATTACHMENT_RETRY_MAX
    assert tries < 15 < limits.QUEUE_MAX_RECEIVES, "each is paid for, and counts as a receive"


def test_attachments_in_base64_and_the_mail_s_parts_stay_below_what_ses_slows_down() -> None:
    line, break_ = 76, 2
    encoded = limits.ATTACHMENTS_MAX_BYTES * 4 / 3 * (line + break_) / line
    assert encoded + 2 * limits.MAIL_PART_MAX_BYTES < 10_000_000


def test_a_mail_can_wait_for_days_and_becomes_a_dead_letter_before_it_expires() -> None:
    delays = [limits.retry_delay(n) for n in range(1, limits.QUEUE_MAX_RECEIVES)]
    assert delays[:3] == [5, 10, 20]
    assert delays == sorted(delays)
    assert max(delays) == limits.RETRY_DELAY_MAX <= 12 * 60 * 60
    assert sum(delays) > 3 * limits.DAY > 12 * 60 * 60
    # A dead letter keeps its age: an operator has a week left even after the longest wait.
    executions = limits.QUEUE_MAX_RECEIVES * limits.DISPATCHER_TIMEOUT
    assert sum(delays) + executions < limits.QUEUE_RETENTION - 7 * limits.DAY


def test_what_outlives_another_does_so_by_its_margin() -> None:
    assert limits.CLAIM_LEASE - limits.MACHINE_TIMEOUT == 15
    assert limits.IN_DOUBT_GRACE_MIN - limits.CLAIM_LEASE == 1
    assert asl.STATES["Send"]["TimeoutSeconds"] == limits.IN_DOUBT_GRACE_LOCAL_MIN
    assert limits.WORKFLOW_READ_TIMEOUT - limits.MACHINE_TIMEOUT == 5
    assert limits.QUEUE_VISIBILITY == 6 * limits.DISPATCHER_TIMEOUT + limits.DISPATCHER_WINDOW_MAX
    assert limits.STATE_MAX_BYTES - limits.MESSAGE_MAX_BYTES == limits.TASK_ENVELOPE_BYTES
