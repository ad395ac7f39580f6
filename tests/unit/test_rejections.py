"""The function that tells of rejected orders: whom it asks, what it survives, and what fails it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from steps import rejections
from steps.aws import sources
from steps.aws.sources import LogLine, ReportsTable
from steps.contract import limits
from steps.contract.errors import SourceUnavailable
from steps.contract.metrics import Metric
from tests.support.clock import Clock
from tests.support.reports import REJECTIONS_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from steps.contract.report_tasks import Alert
    from steps.reports.rejections import Report

NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
ALARM = {"source": "aws.cloudwatch", "alarmArn": "arn:alarm", "alarmData": {"alarmName": "x"}}
SCHEDULE = {"source": "aws.scheduler"}
VALIDATE, SEND = REJECTIONS_SETTINGS.validate_log_group, REJECTIONS_SETTINGS.send_log_group
REASON = "eventType: is not one of the known kinds"


def rejected(number: int, at: datetime) -> LogLine:
    line = {"message": "event rejected", "reasons": [REASON]}
    return LogLine(at, json.dumps(line | {"order_id": f"A-{number}", "execution_id": str(number)}))


@dataclass
class FakeAws:
    """Our counters, the logs, the reports table and the topic; what is `broken` does not answer."""

    rejected: dict[datetime, float] = field(default_factory=dict)
    sent: dict[datetime, float] = field(default_factory=dict)
    lines: dict[str, list[LogLine]] = field(default_factory=lambda: {VALIDATE: [], SEND: []})
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    published: list[Alert] = field(default_factory=list)
    searched: list[tuple[str, timedelta]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    endless: bool = False

    def reject(self, count: int, age: timedelta = timedelta(minutes=2)) -> None:
        at = NOW - age
        self.rejected[at.replace(second=0)] = count
        self.lines[VALIDATE] += [rejected(n, at) for n in range(count)]

    def answer(self, name: str) -> None:
        if name in self.broken:
            raise SourceUnavailable(f"{name} answered AsAsked")

    def metric_values(
        self, metrics: list[sources.MetricSum], start: datetime, end: datetime, *, period: int
    ) -> list[dict[datetime, float]]:
        self.answer("CloudWatch")
        assert (end - start, period) == (timedelta(hours=24), 60)
        return [
            {str(Metric.REJECTED): self.rejected, str(Metric.SENT): self.sent}[m.name]
            for m in metrics
        ]

    def log_pages(
        self, group: str, pattern: str, start: datetime, end: datetime, *, limit: int
    ) -> Iterator[list[LogLine]]:
        self.answer(group)
        self.searched.append((group, NOW - start))
        assert pattern == {VALIDATE: '"event rejected"', SEND: '"SendRejected"'}[group]
        found = [line for line in self.lines[group] if start <= line.at < end]
        yield []
        yield found[:limit]
        while self.endless:
            yield []

    def last(self, kind: str) -> Mapping[str, Any]:
        assert kind == "rejections"
        self.answer("The reports table")
        return self.kept[-1] if self.kept else {}

    def keep(self, kind: str, report: Mapping[str, Any], expires: int) -> None:
        assert kind == "rejections"
        assert expires == int(NOW.timestamp()) + 90 * limits.DAY
        assert json.dumps(report)
        self.answer("The keeping")
        self.kept.append(report)

    def publish(self, topic: str, alert: Alert) -> None:
        assert topic == REJECTIONS_SETTINGS.alerts_topic
        self.answer("SNS")
        self.published.append(alert)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    fake = FakeAws()
    for name in ("metric_values", "log_pages", "publish"):
        monkeypatch.setattr(sources, name, getattr(fake, name))
    for name in ("last", "keep"):
        method = getattr(fake, name)
        monkeypatch.setattr(ReportsTable, name, lambda _table, *a, method=method: method(*a))
    return fake


def run(event: Mapping[str, Any], clock: Clock | None = None) -> Report | None:
    return rejections.watch(event, NOW, settings=REJECTIONS_SETTINGS, clock=clock or Clock())


def test_a_burst_is_told_by_the_alarm_and_not_again_by_the_schedule(aws: FakeAws) -> None:
    aws.reject(100)
    run(ALARM)
    run(SCHEDULE)
    run(ALARM)
    (alert,) = aws.published
    assert alert["subject"] == f"Order mails rejected, 100 of 100: {REASON}"
    assert len(aws.kept) == 1, "nothing new is not kept anew"


def test_a_share_that_raises_no_alarm_is_told_by_the_schedule(aws: FakeAws) -> None:
    aws.reject(4)
    aws.sent = {NOW - timedelta(hours=3): 96}
    report = run(SCHEDULE)
    assert report
    assert report["finding"] == "SHARE"
    (alert,) = aws.published
    assert "4 of 100 orders of the last 24 hours" in alert["message"]


def test_few_rejections_are_not_even_looked_up(aws: FakeAws) -> None:
    aws.reject(4)
    aws.sent = {NOW - timedelta(hours=3): 2000}
    assert run(SCHEDULE) is None
    assert (aws.published, aws.searched, aws.kept) == ([], [], [])


def test_the_newest_lines_are_read_first_and_no_more_than_are_needed(aws: FakeAws) -> None:
    aws.reject(limits.REJECTION_LINES + 5)
    report = run(SCHEDULE)
    assert [group for group, _ in aws.searched] == [VALIDATE, SEND, SEND, SEND]
    ages = [age for group, age in aws.searched if group == SEND]
    assert ages == [timedelta(minutes=5), timedelta(hours=1), timedelta(hours=24)]
    assert report
    assert report["reasons"] == {REASON: limits.REJECTION_LINES}
    assert report["gaps"] == [f"{VALIDATE}: only the newest rejections were read"]


@pytest.mark.parametrize("age", [timedelta(minutes=4), timedelta(minutes=30), timedelta(hours=20)])
def test_each_line_is_read_once_however_old_it_is(aws: FakeAws, age: timedelta) -> None:
    aws.reject(7, age)
    report = run(SCHEDULE)
    assert report
    assert report["reasons"] == {REASON: 7}
    assert report["gaps"] == []


def test_logs_without_an_end_cost_no_more_than_their_time(aws: FakeAws) -> None:
    aws.reject(7)
    aws.endless = True
    clock = Clock()

    def tick() -> float:
        clock.sleep(1)
        return clock.now

    report = rejections.watch(ALARM, NOW, settings=REJECTIONS_SETTINGS, clock=tick)
    assert report
    assert clock.elapsed < limits.REJECTION_LOGS_BUDGET + 10
    assert report["reasons"] == {REASON: 7}
    assert len(aws.published) == 1


@pytest.mark.parametrize("event", [ALARM, SCHEDULE], ids=["alarm", "schedule"])
def test_logs_that_cannot_be_read_are_said_in_the_alert(
    aws: FakeAws, event: Mapping[str, Any]
) -> None:
    aws.reject(7)
    aws.broken = {VALIDATE, SEND}
    run(event)
    (alert,) = aws.published
    assert "the reason is not known" in alert["subject"]
    assert f"the reasons in {VALIDATE}: {VALIDATE} answered AsAsked" in alert["message"]


def test_one_log_that_cannot_be_read_leaves_the_other(aws: FakeAws) -> None:
    aws.reject(7)
    aws.broken = {SEND}
    run(SCHEDULE)
    (alert,) = aws.published
    assert REASON in alert["subject"]
    assert f"the reasons in {SEND}" in alert["message"]


def test_without_counters_the_alarm_is_believed_and_the_schedule_fails(aws: FakeAws) -> None:
    aws.reject(7)
    aws.broken = {"CloudWatch"}
    with pytest.raises(SourceUnavailable):
        run(SCHEDULE)
    run(ALARM)
    (alert,) = aws.published
    assert "how many orders: CloudWatch answered AsAsked" in alert["message"]


def test_a_last_alert_that_is_not_known_may_be_repeated(aws: FakeAws) -> None:
    aws.reject(7)
    run(ALARM)
    aws.broken = {"The reports table"}
    run(SCHEDULE)
    assert len(aws.published) == 2
    assert "this one may repeat it" in aws.published[1]["message"]


def test_an_alert_that_cannot_go_out_fails_the_run_and_is_not_taken_for_told(aws: FakeAws) -> None:
    aws.reject(7)
    aws.broken = {"SNS"}
    with pytest.raises(SourceUnavailable):
        run(ALARM)
    assert aws.kept == []
    aws.broken = set()
    run(ALARM)
    assert len(aws.published) == 1


def test_what_cannot_be_kept_fails_the_run(aws: FakeAws) -> None:
    aws.reject(7)
    aws.broken = {"The keeping"}
    with pytest.raises(SourceUnavailable):
        run(ALARM)


@pytest.mark.parametrize(
    ("event", "alarm"), [(ALARM, True), (SCHEDULE, False), ({}, False), ({"alarmData": {}}, False)]
)
def test_who_calls_is_told_by_the_event(event: Mapping[str, Any], *, alarm: bool) -> None:
    assert rejections.is_alarm(event) is alarm
