"""The canary's function: one mail for each scheduled time, and no word twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from steps import canary, feedback, record
from steps.aws import sources
from steps.aws.sources import ReportsTable
from steps.contract import limits
from steps.contract.errors import SourceUnavailable
from steps.ledger import rules
from steps.reports import reputation
from steps.reports.canary import order
from steps.validate import validate
from tests.support.clock import NOW as SENT_AT
from tests.support.in_memory_aws import claimed_record
from tests.support.lambda_context import lambda_context
from tests.support.order_queue import sqs_record
from tests.support.reports import CANARY_SETTINGS
from tests.support.ses_events import BOUNCE, DELIVERY, ses_event
from tests.support.table_in_memory import MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.contract.report_tasks import Alert
    from steps.reports.canary import Report

pytestmark = pytest.mark.usefixtures("ledger_in_memory")

NOW = datetime(2026, 11, 30, 3, 15, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def notification_id(name: str) -> str:
    event = order(name)
    return rules.notification_id(event["orderId"], event["eventType"], event["customerEmail"])


@dataclass
class FakeAws:
    """The reports table and both topics; what is `broken` does not answer."""

    kept: list[Mapping[str, Any]] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def answer(self, name: str) -> None:
        if name in self.broken:
            raise SourceUnavailable(f"{name} answered AsAsked")

    def last(self, kind: str) -> Mapping[str, Any]:
        assert kind == "canary"
        self.answer("last")
        return json.loads(json.dumps(self.kept[-1])) if self.kept else {}

    def keep(self, kind: str, report: Mapping[str, Any], expires: int) -> None:
        assert kind == "canary"
        self.answer("keep")
        published_at = datetime.fromisoformat(report["publishedAt"])
        assert expires == int(published_at.timestamp()) + 30 * limits.DAY
        self.kept.append(report)

    def publish(self, topic: str, alert: Alert) -> None:
        assert topic == CANARY_SETTINGS.alerts_topic
        self.answer("alerts")
        self.alerts.append(alert)

    def publish_event(self, topic: str, message: str) -> None:
        assert topic == CANARY_SETTINGS.orders_topic
        self.answer("orders")
        self.published.append(json.loads(message)["orderId"])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    fake = FakeAws()
    for name in ("publish", "publish_event"):
        monkeypatch.setattr(sources, name, getattr(fake, name))
    for name in ("last", "keep"):
        method = getattr(fake, name)
        monkeypatch.setattr(ReportsTable, name, lambda _table, *a, method=method: method(*a))
    return fake


def run(hour: float, late: timedelta = timedelta(seconds=1)) -> Report | None:
    """Run what is scheduled in so many hours from 03:15."""
    scheduled = NOW.replace(second=0) + hour * HOUR
    event: canary.Scheduled = {"scheduledTime": scheduled.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return canary.watch(event, scheduled + late, settings=CANARY_SETTINGS)


def arrive(name: str, **changes: object) -> None:
    MEMORY.put(
        claimed_record(
            notificationId=notification_id(name),
            **{"status": "DELIVERED", "messageId": "m"} | changes,
        )
    )


def test_a_run_publishes_a_canary_and_the_next_looks_after_it(aws: FakeAws) -> None:
    first = run(0)
    assert first
    assert first["verdict"] == ""
    arrive("20261130T031500Z")
    second = run(1)
    assert second
    assert second["verdict"] == "ARRIVED"
    assert aws.published == ["CANARY-20261130T031500Z", "CANARY-20261130T041500Z"]
    assert aws.alerts == []


def test_one_that_did_not_arrive_is_told_once(aws: FakeAws) -> None:
    for hour in range(4):
        run(hour)
    (alert,) = aws.alerts
    assert alert["subject"] == "Canary mail has not arrived, last seen: no record at all"
    arrive("20261130T061500Z")
    run(4)
    assert [a["subject"] for a in aws.alerts[1:]] == ["Canary mails arrive again"]


def test_a_repetition_publishes_nothing_and_judges_nothing(aws: FakeAws) -> None:
    run(0)
    assert run(0, timedelta(minutes=2)) is None
    assert run(0, timedelta(hours=5)) is None
    run(1)
    assert run(0, timedelta(hours=5)) is None, "one that Lambda kept for long"
    assert len(aws.kept) == len(aws.published) == 2
    assert len(aws.alerts) == 1


def test_a_canary_on_its_way_is_waited_for(aws: FakeAws) -> None:
    """A run may come late, and the next one soon after it."""
    run(0, timedelta(minutes=28))
    assert run(0.5, timedelta(seconds=1)) is None
    assert len(aws.published) == 1
    run(1)
    assert len(aws.alerts) == 1


@pytest.mark.parametrize("broken", ["last", "orders", "alerts", "keep"])
def test_what_fails_raises_and_the_repetition_adds_no_second_canary(
    aws: FakeAws, broken: str
) -> None:
    run(0)
    aws.broken = {broken}
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            run(1)
    assert len(aws.kept) == 1
    aws.broken = set()
    assert run(1)
    assert set(aws.published) == {"CANARY-20261130T031500Z", "CANARY-20261130T041500Z"}
    assert len(aws.kept) == 2
    assert len(aws.alerts) == (3 if broken == "keep" else 1)


def test_an_event_of_a_canary_s_that_we_reject_is_found(aws: FakeAws) -> None:
    run(0)
    message = json.dumps(order("20261130T031500Z") | {"orderTotal": "much"})
    state = validate({"message": message, "attempt": 1, "lastReceive": False}, NOW)
    put = rules.rejected(
        notification_id=rules.rejected_id(json.dumps(order("20261130T031500Z"))),
        rejection=state["rejection"],
        owner="o",
        now=SENT_AT,
    )
    MEMORY.write(put)
    run(1)
    (alert,) = aws.alerts
    assert alert["subject"].startswith(
        "Canary mail has not arrived, last seen: REJECTED, orderTotal"
    )


def test_without_a_schedule_it_is_now(aws: FakeAws) -> None:
    report = canary.watch({}, NOW, settings=CANARY_SETTINGS)
    assert report
    assert aws.published == ["CANARY-20261130T031501Z"]


def test_the_handler_answers_with_the_report(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in CANARY_SETTINGS.to_env().items():
        monkeypatch.setenv(variable, value)
    event: canary.Scheduled = {"scheduledTime": "2026-11-30T03:15:00Z"}
    answer: Any = canary.handler(event, lambda_context())
    assert answer == aws.kept[0]
    assert canary.handler(event, lambda_context()) is None


# --- a canary counts nowhere ----------------------------------------------------------------------


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """Sum up what functions wrote of our metrics."""
    sums: dict[str, int] = {}
    for line in capsys.readouterr().out.splitlines():
        if "_aws" in line:
            values = json.loads(line)
            for metric in values["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                sums[metric["Name"]] = sums.get(metric["Name"], 0) + sum(values[metric["Name"]])
    return sums


def send(event: Mapping[str, Any], ends: str, number: int) -> None:
    """Have a mail accepted by SES, which then says what became of it, through the functions' handlers."""
    message = json.dumps(event)
    state: Any = validate({"message": message, "attempt": 1, "lastReceive": False}, NOW)
    of, message_id = state["notificationId"], f"m-{number}"
    sending = {"status": "SENDING", "sendingAt": 1, "handoverId": "h"}
    MEMORY.put(
        claimed_record("me", notificationId=of, customerEmail=event["customerEmail"], **sending)
    )
    receipt = {"messageId": message_id, "sentAt": "2026-11-30T03:15:02Z", "handoverId": "h"}
    step: Any = {"execution": "me", "outcome": "SENT", "state": state | {"receipt": receipt}}
    record.handler(step, lambda_context())
    details = json.loads({"Delivery": DELIVERY, "Bounce": BOUNCE}[ends])[ends.lower()]
    told = ses_event(ends, message_id=message_id, notification_id=of, **details)
    feedback.handler({"Records": [sqs_record(told, message_id=str(number))]}, lambda_context())


def test_a_thousand_canaries_leave_the_reputation_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = order("20261130T031500Z") | {"customerEmail": "customer@example.com"}
    for number in range(40):
        send(shop | {"orderId": f"CANARY-{number}"}, "Bounce" if number < 8 else "Delivery", number)
    before = counted(capsys)
    assert before == {"EmailSent": 40, "EmailBounced": 8, "EmailDelivered": 32}
    for minute in range(1000):
        name = f"{NOW + timedelta(minutes=minute):%Y%m%dT%H%M%SZ}"
        send(order(name), "Delivery", 1000 + minute)
    assert counted(capsys) == {}

    def verdict(sent: int) -> str:
        window: reputation.Window = {
            "sent": sent,
            "bounced": before["EmailBounced"],
            "complained": 0,
        }
        return reputation.judge({"24 h": window})[0]

    assert verdict(before["EmailSent"]) == "CRITICAL"
    assert verdict(before["EmailSent"] + 1000) == "OK", "so they would have hidden it"
