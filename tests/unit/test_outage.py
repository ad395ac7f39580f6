"""Twelve hours without SES, in scaled time: every mail waits, none is lost, all go out afterwards.

The clock is virtual and moves from one event to the next; SQS's rules, the dispatcher, the steps and
the table are the real ones (`tests.order_queue`).
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from steps import aws, dedup, dispatch, errors, limits, pace, record, send
from tests.aws_world import table_items
from tests.conftest import load_event
from tests.order_queue import OrderQueue, Workflow

START = 1_800_000_000.0
OUTAGE = 12 * 60 * 60
MAILS = 200
RATE = 14.0


class Outage:
    """The world around the order path: one clock, and an SES that does not send until `until`."""

    def __init__(self, patch: pytest.MonkeyPatch, cause: str) -> None:
        self.now = START
        self.until = START + OUTAGE
        self.cause = cause
        self.sent: list[float] = []
        self.queue = OrderQueue(clock=lambda: self.now)
        virtual = SimpleNamespace(time=lambda: self.now, sleep=self.sleep)
        for module in (dedup, dispatch, pace, record, send):
            patch.setattr(module, "time", virtual)
        # One after the other: with a clock that only moves when told to, that is the same in parallel.
        patch.setattr(dispatch, "ThreadPoolExecutor", _OneAfterTheOther)
        patch.setattr(pace, "_known", pace._Known())
        patch.setattr(aws, "run_order_workflow", Workflow(self.sleep).run)
        patch.setattr(aws, "hide", self.queue.hide)
        patch.setattr(aws, "dead_letter", self.queue.dead_letter)
        patch.setattr(aws, "sending_account", self.sending_account)
        patch.setattr(aws, "send_email", self.send_email)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def broken(self) -> bool:
        return self.now < self.until

    def sending_account(self) -> aws.SendingAccount:
        stopped = self.broken and self.cause == "account paused"
        left = 0 if self.broken and self.cause == "quota used up" else 1000
        return aws.SendingAccount(rate=RATE, quota_left=left, enabled=not stopped)

    def send_email(self, *_: Any, **__: Any) -> str:
        refusals = {
            "account paused": errors.SendingPaused,
            "configuration set paused": errors.SendingPaused,
            "quota used up": errors.QuotaExceeded,
            "sender not verified": errors.SenderNotReady,
        }
        if self.broken:
            raise refusals[self.cause]("as asked")
        self.sent.append(self.now)
        return f"message-{len(self.sent)}"

    def run(self) -> None:
        """Let dispatchers take what is visible until the queue is empty."""
        for _ in range(50_000):
            if not self.queue.run_dispatcher():
                self.now = self.queue.next_visible()
                if self.now == float("inf"):
                    return
        raise AssertionError("never ends")


class _OneAfterTheOther:
    def __init__(self, **_: Any) -> None: ...

    def __enter__(self) -> _OneAfterTheOther:
        return self

    def __exit__(self, *_: object) -> None: ...

    map = staticmethod(map)


def events(count: int) -> list[str]:
    return [json.dumps(load_event("order") | {"orderId": f"ORDER{n}"}) for n in range(count)]


@pytest.mark.usefixtures("aws_world")
@pytest.mark.parametrize(
    ("cause", "mails"),
    [
        ("account paused", MAILS),
        ("quota used up", MAILS),
        ("configuration set paused", MAILS // 20),
        ("sender not verified", MAILS // 20),
    ],
)
def test_twelve_hours_lose_nothing(monkeypatch: pytest.MonkeyPatch, cause: str, mails: int) -> None:
    outage = Outage(monkeypatch, cause)
    outage.queue.publish(*events(mails))
    outage.run()
    assert outage.queue.dead_letters == []
    assert outage.queue.expired == []
    assert len(outage.sent) == mails
    # The longest wait on the queue, an old answer of GetAccount, and the line at the rate.
    at_most = limits.RETRY_DELAY_MAX + limits.ACCOUNT_RETRY + mails / RATE + 10
    assert max(outage.sent) - outage.until <= at_most
    assert {r["status"] for r in table_items() if "status" in r} == {"SENT"}
