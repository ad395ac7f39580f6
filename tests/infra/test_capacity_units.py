"""What a mail costs in DynamoDB's units, metered: the template's indexes, the real steps."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from infra.local.settings import ROOT
from steps.aws.late_notice import LateNotice
from steps.aws.ses import SendingAccount, Ses
from steps.dispatch import Dispatcher
from steps.feedback import Feedback
from steps.ledger import rules
from tests.conftest import load_event
from tests.support.clock import Clock
from tests.support.in_memory_aws import SES
from tests.support.metered_table import Index, MeteredTable
from tests.support.order_queue import QueueInMemory, WorkflowInProcess, sqs_record
from tests.support.pace_in_memory import PaceInMemory, PaceItem
from tests.support.ses_events import CONFIGURATION_SET, ses_event

if TYPE_CHECKING:
    from tests.support.templates import Templates

RATE = 14.0


@dataclass(frozen=True, kw_only=True)
class Accepting(Ses):
    """Accepts every mail; `accepted` has their notifications, by message id."""

    accepted: dict[str, str] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def send(self, *_: object, tags: dict[str, str], **__: object) -> str:  # type: ignore[override]
        message_id = f"0100019a5b3f2d14-8c07-4a0e-9d43-6f1f0c2b7a55-{next(self.numbers):07}"
        self.accepted[message_id] = tags["notificationId"]
        return message_id


class Shop:
    """A shop whose mails go through five dispatchers, each with a memory of its own, one after the other."""

    def __init__(self, templates: Templates) -> None:
        (tracking,) = (
            resource["Properties"]
            for resource in templates["email-notifications-prod"]["Resources"].values()
            if resource["Type"] == "AWS::DynamoDB::GlobalTable"
        )
        indexes = tuple(map(Index.of, tracking["GlobalSecondaryIndexes"]))
        self.clock = Clock()
        self.table = MeteredTable("tracking", indexes=indexes)
        self.ses = Accepting(**vars(SES))
        self.queue = QueueInMemory(self.clock)
        self.item = PaceItem()
        workflow = WorkflowInProcess(
            clock=self.clock, sleep=self.clock.sleep, table=self.table, ses=self.ses
        )
        self.dispatchers = itertools.cycle(
            Dispatcher(
                workflow=workflow,
                queue=self.queue.door,
                pace=PaceInMemory(
                    clock=self.clock,
                    ask=lambda: SendingAccount(rate=RATE, quota_left=1e6, enabled=True),
                    item=self.item,
                ),
                table=self.table,
                clock=self.clock,
                sleep=self.clock.sleep,
                each=lambda run, *arguments: list(map(run, *arguments)),
            )
            for _ in range(5)
        )
        self.feedback = Feedback(
            table=self.table,
            configuration_set=CONFIGURATION_SET,
            dead_letter=lambda *_: pytest.fail("a dead letter"),
            late=LateNotice(name="", put=lambda _: pytest.fail("a notice")),
            clock=self.clock,
        )
        self._orders = itertools.count()

    def publish(self, mails: int) -> None:
        """Publish orders, and let one dispatcher after the other take a batch until all are through."""
        for number in itertools.islice(self._orders, mails):
            self.queue.publish(json.dumps(load_event("order") | {"orderId": f"ORDER{number}"}))
        while self.queue.messages:
            if not self.queue.run(next(self.dispatchers).run_batch):
                self.clock.now = self.queue.next_visible()

    def report(self) -> None:
        """Let SES report on each mail, `Send` a while before `Delivery`."""
        for kind in ("Send", "Delivery"):
            for number, (message_id, notification_id) in enumerate(self.ses.accepted.items()):
                event = ses_event(kind, message_id=message_id, notification_id=notification_id)
                assert self.feedback.take([sqs_record(event, message_id=f"{number:08}")]) == []

    @property
    def written(self) -> float:
        """Write units so far."""
        return sum(sum(charged.values()) for charged in self.table.writes) + self.item.writes

    @property
    def delivered(self) -> int:
        return sum(record.get("status") == "DELIVERED" for record in self.table.records())


def documented() -> dict[str, list[str]]:
    """Return the rows of the protocol's table of writes, by their names."""
    protocol = (ROOT / "steps/ledger/README.md").read_text()
    table = protocol.partition("## Writes per mail")[2]
    rows = [re.split(r"\s*\|\s*", row)[1:-1] for row in re.findall(r"^\|.*\|$", table, re.M)]
    return {name: figures for name, *figures in rows}


def test_one_order_alone_costs_what_the_protocol_says(templates: Templates) -> None:
    shop = Shop(templates)
    shop.publish(1)
    shop.report()
    assert shop.delivered == 1
    rows = documented()
    assert rows["write"][:2] == ["table", "OrderIdIndex"]
    names = ("claim", "SENDING", "SENT", "`Delivery` event")
    assert [rows[name][:2] for name in names] == [
        [str(charged[part]) for part in ("table", "OrderIdIndex")] for charged in shop.table.writes
    ]
    assert all(len(charged) == 2 for charged in shop.table.writes)
    assert rows["`Send` event"][:2] == ["-", "-"]
    assert shop.written == 8
    assert shop.table.reads == [0.5, 0.5]


def test_mails_one_by_one_cost_eight_units(templates: Templates) -> None:
    shop = Shop(templates)
    for _ in range(200):
        shop.publish(1)
        shop.clock.sleep(43)
    shop.report()
    assert shop.delivered == 200
    assert shop.written / 200 == 8


def test_under_overload_a_mail_costs_less_than_nine(templates: Templates) -> None:
    shop = Shop(templates)
    mails = 1_000
    shop.publish(mails)
    shop.report()
    assert shop.delivered == mails
    assert 8 < shop.written / mails <= 8.25


def test_a_mail_that_is_delayed_costs_three_units_more_for_each_word_of_it(
    templates: Templates,
) -> None:
    shop = Shop(templates)
    shop.publish(1)
    (message_id,), (notification_id,) = shop.ses.accepted, shop.ses.accepted.values()
    before = shop.written
    event = ses_event(
        "DeliveryDelay",
        message_id=message_id,
        notification_id=notification_id,
        delayType="MailboxFull",
        expirationTime=rules.iso(shop.clock.now + 50_000),
    )
    shop.feedback.take([sqs_record(event)])
    assert shop.written - before == 3
    shop.report()
    assert shop.written - before == 6
