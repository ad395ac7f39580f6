"""The canary, deployed: it arrives and nobody hears of it, or it does not and the operators do, once."""

from __future__ import annotations

import itertools
import json
import secrets
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.local.running_stack import Json, RunningStack, until
from infra.local.subscriber import subscribed
from steps.contract import limits
from tests.conftest import load_event
from tests.local.alerts import Alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

COUNTING = ("email-processor", "email-dedup", "email-record", "email-feedback")


class Canary:
    """Runs the function as its schedule does, an hour ago and each second from then on."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self._first = datetime.now(UTC) - timedelta(hours=1)
        self._seconds = itertools.count()
        name = stack.name("email-reports")
        self._reports = boto3.resource("dynamodb", **stack.settings.client).Table(name)

    def run(self) -> Json:
        """Run; return the report."""
        report = self.run_for(self._first + timedelta(seconds=next(self._seconds)))
        assert report
        return report

    def run_for(self, scheduled: datetime) -> Json | None:
        """Run as the schedule does at a moment."""
        event = {"scheduledTime": scheduled.strftime("%Y-%m-%dT%H:%M:%SZ")}
        answer = self._stack.client("lambda").invoke(
            FunctionName=self._stack.name("email-canary"), Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        report: Json | None = json.load(answer["Payload"])
        return report

    def reports(self) -> list[Json]:
        """Return what is kept, the oldest first."""
        items = self._reports.query(
            KeyConditionExpression="kind = :kind", ExpressionAttributeValues={":kind": "canary"}
        )["Items"]
        return [json.loads(str(item["report"])) for item in items]

    def let_an_hour_pass(self) -> None:
        """Have the last canary been published an hour earlier."""
        *_, last = self.reports()
        published_at = datetime.fromisoformat(last["publishedAt"]) - timedelta(hours=1)
        self._keep(last | {"publishedAt": published_at.isoformat()})

    def _keep(self, report: Json) -> None:
        self._reports.update_item(
            Key={"kind": "canary", "date": report["date"]},
            UpdateExpression="SET report = :report",
            ExpressionAttributeValues={":report": json.dumps(report)},
        )

    def forget(self) -> None:
        """Have there been no run yet."""
        for report in self.reports():
            self._reports.delete_item(Key={"kind": "canary", "date": report["date"]})

    def wait_for(self, report: Json, *statuses: str) -> Json:
        """Wait until the canary of a run has one of the statuses; return its record."""
        return self._stack.wait_for_status(f"CANARY-{report['date']}", *statuses)


@pytest.fixture(scope="module")
def canaries(stack: RunningStack) -> Canary:
    """Each run has a second of its own, in whichever test it is."""
    return Canary(stack)


@pytest.fixture
def canary(canaries: Canary) -> Iterator[Canary]:
    canaries.forget()
    yield canaries
    canaries.forget()


@pytest.fixture(scope="module")
def alerts(stack: RunningStack) -> Iterator[Alerts]:
    alerts = Alerts(stack)
    yield alerts
    alerts.hear_no_more()


def metric_lines(stack: RunningStack) -> int:
    return sum(len(stack.log_lines(name, filterPattern='"CloudWatchMetrics"')) for name in COUNTING)


def at_rest(stack: RunningStack) -> int:
    """Wait until no mail of the tests before is counted any more; return the lines of metrics."""

    def is_quiet() -> bool:
        before = metric_lines(stack)
        time.sleep(limits.FEEDBACK_WINDOW + 1)
        return metric_lines(stack) == before

    until(is_quiet, what="an end of what others sent")
    return metric_lines(stack)


def test_one_that_arrives_is_counted_and_told_nowhere(
    stack: RunningStack, canary: Canary, alerts: Alerts
) -> None:
    heard, counted = len(alerts.matching("anary")), at_rest(stack)
    others = {record["orderId"] for record in stack.all_records()}
    with subscribed(stack) as shop:
        first = canary.run()
        record = canary.wait_for(first, "DELIVERED")
        assert record["customerEmail"] == f"success+canary-{first['date']}@simulator.amazonses.com"
        second = canary.run()
        assert (first["verdict"], second["verdict"]) == ("", "ARRIVED")
        canary.wait_for(second, "DELIVERED")
        assert metric_lines(stack) == counted
        own = f"CANARY-OF-A-SHOP-{secrets.token_hex(3)}"
        stack.publish(json.dumps(load_event("order") | {"orderId": own}))
        until(lambda: "DELIVERED" in [o["status"] for o in shop.of_order(own)], what="an outcome")
        assert {o["data"]["orderId"] for o in shop.read()} - others == {own}
    assert metric_lines(stack) > counted
    assert len(alerts.matching("anary")) == heard


def test_a_run_that_is_repeated_sends_no_second_mail(canary: Canary) -> None:
    first = canary.run()
    canary.wait_for(first, "DELIVERED")
    assert canary.run_for(datetime.fromisoformat(first["date"])) is None
    assert len(canary.reports()) == 1


@contextmanager
def without_subscription(stack: RunningStack) -> Iterator[None]:
    topic = stack.arn("sns", "email-order-events")
    (found,) = stack.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    arn = found["SubscriptionArn"]
    attributes = stack.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    stack.sns.unsubscribe(SubscriptionArn=arn)
    try:
        yield
    finally:
        stack.sns.subscribe(
            TopicArn=topic,
            Protocol=found["Protocol"],
            Endpoint=found["Endpoint"],
            Attributes={n: attributes[n] for n in ("RawMessageDelivery", "RedrivePolicy")},
        )


@contextmanager
def without_mapping(stack: RunningStack) -> Iterator[None]:
    lambda_ = stack.client("lambda")
    name = stack.name("email-processor")
    (mapping,) = lambda_.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@contextmanager
def without_ses_events(stack: RunningStack) -> Iterator[None]:
    stack.ses("settings", {"events_lost": 1})
    try:
        yield
    finally:
        stack.ses("settings", {"events_lost": 0})


@pytest.mark.parametrize(
    ("broken", "status", "seen", "sentence"),
    [
        (
            without_subscription,
            "",
            "no record at all",
            "Is the subscription of the order topic there?",
        ),
        (without_mapping, "", "no record at all", "Is the mapping of the order queue enabled?"),
        (without_ses_events, "SENT", "SENT (", "SES's events do not come back"),
    ],
)
def test_what_fails_nowhere_and_alarms_nowhere_is_told_once_and_its_end_once(
    stack: RunningStack,
    canary: Canary,
    alerts: Alerts,
    *,
    broken: Callable[[RunningStack], AbstractContextManager[None]],
    status: str,
    seen: str,
    sentence: str,
) -> None:
    missing, again = "Canary mail has not arrived", "Canary mails arrive again"
    before = {words: len(alerts.matching(words)) for words in (missing, again)}

    def heard(words: str) -> list[Any]:
        return alerts.matching(words)[before[words] :]

    with broken(stack):
        for run in range(3):
            report = canary.run()
            assert report["verdict"] == ("MISSING" if run else "")
            if status:
                canary.wait_for(report, status)
            canary.let_an_hour_pass()
        (alert,) = until(lambda: heard(missing), what="an alert")
    assert alert["Subject"].startswith(f"{missing}, last seen: {seen}")
    assert sentence in alert["Message"]
    report = canary.run()
    canary.wait_for(report, "DELIVERED")
    for _ in range(2):
        report = canary.run()
        assert report["verdict"] == "ARRIVED"
        canary.wait_for(report, "DELIVERED")
    until(lambda: heard(again), what="the end to be told")
    assert (len(heard(missing)), len(heard(again))) == (1, 1)


def test_its_schedule_runs_it(stack: RunningStack, canary: Canary) -> None:
    scheduler = stack.client("scheduler")
    schedule = scheduler.get_schedule(Name=stack.name("email-canary"))
    assert schedule["ScheduleExpression"] == "rate(1 day)"
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    scheduler.create_schedule(
        Name=f"canary-now-{secrets.token_hex(3)}",
        ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        Target=schedule["Target"],
        FlexibleTimeWindow={"Mode": "OFF"},
    )
    (report,) = until(canary.reports, seconds=90, what="the schedule's own run")
    assert report["date"] >= f"{soon:%Y%m%dT%H%M%SZ}"
    canary.wait_for(report, "DELIVERED")
