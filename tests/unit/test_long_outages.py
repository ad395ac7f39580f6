"""Hours without SES, or without the table, in scaled time: what waits is not lost, and all goes on afterwards.

The clock is virtual and moves from one event to the next; SQS's rules, the dispatcher, the steps and
the table are the real ones (`tests.support.order_queue`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from steps.aws.late_notice import LateNotice
from steps.aws.ses import SendingAccount, Ses
from steps.contract import errors, limits
from steps.dispatch import Dispatcher
from steps.feedback import Feedback
from steps.ledger import rules
from tests.conftest import load_event
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import SES, TABLE, claimed_record, table_items
from tests.support.order_queue import QueueInMemory, WorkflowInProcess
from tests.support.pace_in_memory import PaceInMemory
from tests.support.ses_events import ses_event
from tests.support.table_in_memory import TableInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steps.contract.sqs_event import SqsRecord
    from steps.ledger.rules import Record

OUTAGE = 12 * 60 * 60
MAILS = 200
RATE = 14.0


REFUSALS = {
    "account paused": errors.SendingPaused,
    "configuration set paused": errors.SendingPaused,
    "quota used up": errors.QuotaExceeded,
    "sender not verified": errors.SenderNotReady,
}


def drain(queue: QueueInMemory, clock: Clock, take: Callable[[list[SqsRecord]], list[str]]) -> None:
    """Let a function take what is visible until the queue is empty."""
    for _ in range(50_000):
        if not queue.run(take):
            if queue.next_visible() == float("inf"):
                return
            clock.now = queue.next_visible()
    raise AssertionError("never ends")


class Outage:
    """All around the order path: one clock, and an SES that does not send until `until`."""

    def __init__(self, cause: str) -> None:
        self.clock = Clock()
        self.until = NOW + OUTAGE
        self.cause = cause
        self.sent: list[float] = []
        self.queue = QueueInMemory(self.clock)
        self.dispatcher = Dispatcher(
            workflow=WorkflowInProcess(
                clock=self.clock,
                sleep=self.clock.sleep,
                table=TABLE,
                ses=BrokenSes(**vars(SES), outage=self),
            ),
            queue=self.queue.door,
            pace=PaceInMemory(clock=self.clock, ask=self.sending_account),
            table=TABLE,
            clock=self.clock,
            sleep=self.clock.sleep,
            # One after the other: with a clock that only moves when told to, that is the same.
            each=lambda run, *arguments: list(map(run, *arguments)),
        )

    @property
    def broken(self) -> bool:
        return self.clock.now < self.until

    def sending_account(self) -> SendingAccount:
        stopped = self.broken and self.cause == "account paused"
        left = 0 if self.broken and self.cause == "quota used up" else 1000
        return SendingAccount(rate=RATE, quota_left=left, enabled=not stopped)

    def send(self) -> str:
        if self.broken:
            raise REFUSALS[self.cause]("as asked")
        self.sent.append(self.clock.now)
        return f"message-{len(self.sent)}"


@dataclass(frozen=True, kw_only=True)
class BrokenSes(Ses):
    """Accepts mails once the outage is over."""

    outage: Outage

    def send(self, *_: object, **__: object) -> str:
        return self.outage.send()


def events(count: int) -> list[str]:
    return [json.dumps(load_event("order") | {"orderId": f"ORDER{n}"}) for n in range(count)]


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize(
    ("cause", "mails"),
    [
        ("account paused", MAILS),
        ("quota used up", MAILS),
        ("configuration set paused", MAILS // 20),
        ("sender not verified", MAILS // 20),
    ],
)
def test_twelve_hours_without_ses_lose_no_mail(cause: str, mails: int) -> None:
    outage = Outage(cause)
    outage.queue.publish(*events(mails))
    drain(outage.queue, outage.clock, outage.dispatcher.run_batch)
    assert outage.queue.dead_letters == []
    assert outage.queue.expired == []
    assert len(outage.sent) == mails
    # The longest wait on the queue, an old answer of GetAccount, and the line at the rate.
    delay_at_most = limits.RETRY_DELAY_MAX + limits.ACCOUNT_RETRY + mails / RATE + 10
    assert max(outage.sent) - outage.until <= delay_at_most
    assert {item["status"] for item in table_items() if "status" in item} == {"SENT"}


# --- SES's events, without the table --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AwayTable(TableInMemory):
    """Answers once the outage is over."""

    clock: Clock
    until: float

    def read(
        self, notification_id: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> Record:
        if self.clock.now < self.until:
            self.clock.sleep(limits.LEDGER_CALL)
            raise errors.LedgerUnavailable("as asked")
        return super().read(notification_id, attributes, consistent=consistent)


def reported(hours: float) -> tuple[QueueInMemory, AwayTable, list[str]]:
    """Let SES report on 95 mails as the table goes away for so many hours, and let all go on to its end.

    Return the operators' notices, too.
    """
    notices: list[str] = []
    clock = Clock()
    table = AwayTable(name="tracking", clock=clock, until=NOW + hours * 60 * 60)
    queue = QueueInMemory(clock, limits.SES_EVENTS_VISIBILITY, limits.SES_EVENTS_REDRIVE_RECEIVES)
    for number in range(95):
        id_, message_id = f"{number:040}", f"message-{number}"
        table.put(claimed_record(notificationId=id_, status="SENT", messageId=message_id))
        queue.publish(ses_event("Delivery", notification_id=id_, message_id=message_id))
    feedback = Feedback(
        table=table,
        configuration_set=SES.configuration_set,
        dead_letter=lambda *_: pytest.fail("an event that is at no fault"),
        late=LateNotice(name="waiting", put=notices.append, clock=clock),
        clock=clock,
    )
    drain(queue, clock, feedback.take)
    return queue, table, notices


@pytest.mark.parametrize(("hours", "letters"), [(3 / 60, 0), (1, 1), (10, 10)])
def test_hours_without_the_table_lose_no_event_of_ses_s(hours: float, letters: int) -> None:
    queue, table, notices = reported(hours)
    assert notices == letters * [f'{{"waiting": "{rules.iso(NOW)}"}}']
    assert (queue.dead_letters, queue.expired) == ([], [])
    assert {record["status"] for record in table.records()} == {"DELIVERED"}
    assert table.clock.now - table.until <= limits.SES_EVENTS_VISIBILITY


def test_after_more_than_half_a_day_an_operator_hears_of_what_waits_for_the_table() -> None:
    queue, table, _ = reported(14)
    assert len(queue.dead_letters) == 95
    assert {record["status"] for record in table.records()} == {"SENT"}
