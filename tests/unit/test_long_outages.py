"""Twelve hours without SES, in scaled time: every mail waits, none is lost, all go out afterwards.

The clock is virtual and moves from one event to the next; SQS's rules, the dispatcher, the steps and
the table are the real ones (`tests.support.order_queue`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from steps.aws.ses import SendingAccount, Ses
from steps.contract import errors, limits
from steps.dispatch import Dispatcher
from tests.conftest import load_event
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import SES, TABLE, table_items
from tests.support.order_queue import QueueInMemory, WorkflowInProcess
from tests.support.pace_in_memory import PaceInMemory

OUTAGE = 12 * 60 * 60
MAILS = 200
RATE = 14.0


REFUSALS = {
    "account paused": errors.SendingPaused,
    "configuration set paused": errors.SendingPaused,
    "quota used up": errors.QuotaExceeded,
    "sender not verified": errors.SenderNotReady,
}


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

    def run(self) -> None:
        """Let dispatchers take what is visible until the queue is empty."""
        for _ in range(50_000):
            if not self.queue.run(self.dispatcher):
                self.clock.now = self.queue.next_visible()
                if self.clock.now == float("inf"):
                    return
        raise AssertionError("never ends")


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
    outage.run()
    assert outage.queue.dead_letters == []
    assert outage.queue.expired == []
    assert len(outage.sent) == mails
    # The longest wait on the queue, an old answer of GetAccount, and the line at the rate.
    delay_at_most = limits.RETRY_DELAY_MAX + limits.ACCOUNT_RETRY + mails / RATE + 10
    assert max(outage.sent) - outage.until <= delay_at_most
    assert {item["status"] for item in table_items() if "status" in item} == {"SENT"}
