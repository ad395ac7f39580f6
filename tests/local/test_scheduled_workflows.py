"""What alerts, end to end on a local stack: budget, reputation, pause, rejections, stuck mails, alarms."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import boto3
import pytest

from infra.local.running_stack import Json, RunningStack, until
from infra.local.settings import LocalSettings
from infra.local.stack import running
from steps.contract import metrics
from steps.contract.metrics import Metric
from steps.contract.order_id import shown
from steps.ledger.rules import iso
from tests.conftest import FOR_TESTS
from tests.local.alerts import Alerts
from tests.local.chaos import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.programs import Plan

SCHEDULED = {
    "cost-analysis": "cost",
    "bounce-rate-check": "reputation",
    "reconciliation": "reconciliation",
}


class StackWithAlerts(RunningStack):
    """A running stack, with a queue that hears the alerts."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.cloudwatch, self.scheduler = self.client("cloudwatch"), self.client("scheduler")
        self._alerts = Alerts(self)

    def alert(self, words: str) -> Json:
        """Wait for the alert with these words in its subject; it is the only one so far."""
        (alert,) = until(lambda: self._alerts.matching(words), what=f"an alert: {words}")
        return alert

    def is_alarming(self, name: str) -> bool:
        (alarm,) = self.cloudwatch.describe_alarms(AlarmNames=[self.name(name)])["MetricAlarms"]
        return bool(alarm["StateValue"] == "ALARM")

    def watch_rejections(self) -> Json:
        """Run what is scheduled every hour; return its report, `{}` where nothing is unusual."""
        answer = self.client("lambda").invoke(
            FunctionName=self.name("email-rejections"), Payload='{"source": "aws.scheduler"}'
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        return json.load(answer["Payload"]) or {}

    def ses_bounce_rate(self) -> float:
        """Return SES's own rate as the hourly check is told it."""
        answer = self.client("lambda").invoke(
            FunctionName=self.name("email-bounce-rate"), Payload="{}"
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        return float(json.load(answer["Payload"])["account"]["bounceRate"] or 0)

    def alarm_again(self, name: str) -> None:
        """Have an alarm be fine, until the next metric comes and it goes off."""
        self.cloudwatch.set_alarm_state(
            AlarmName=self.name(name), StateValue="OK", StateReason="the test says so"
        )
        until(lambda: self.is_alarming(name), what=f"{name} to go off again")

    def rejections_of_alarms(self) -> int:
        """Count the runs of the rejections' function that its alarm asked for."""
        return len(self.log_lines("email-rejections", filterPattern='"by_alarm":true'))

    def publish_order(self, order_id: str, address: str, **fields: object) -> None:
        event = {
            "orderId": order_id,
            "customerEmail": address,
            "customerName": "Jo Doe",
            "orderItems": [{"name": "Tea", "quantity": 1, "price": "5.00"}],
            "orderTotal": "5.00",
            "orderTimestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.publish(json.dumps(event | fields))

    def counted_lately(self, metric: Metric) -> float:
        """Return what CloudWatch has counted of a metric in the last hour."""
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        return self.counted(metric, an_hour_ago, datetime.now(UTC))

    def all_counted(self, metric: Metric, least: int) -> float:
        """Wait until CloudWatch has counted all that the functions logged of so many orders; return how much.

        That may be more: a step that a busy laptop did not answer in time is repeated, and counts again.
        """

        def counted() -> float | None:
            if self.waiting() or self.waiting("email-ses-events-queue"):
                return None
            count = facts.metrics(self)[metric]
            return count if self.counted_lately(metric) == count >= least else None

        return until(counted, what=f"{least} orders to be counted as {metric}")

    def statuses(self) -> Counter[str]:
        return Counter(record["status"] for record in self.all_records())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackWithAlerts]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTO_PAUSE_SENDING", "true")
        patch.setenv("COST_BUDGET_THRESHOLD", "0.01")
        folder = tmp_path_factory.mktemp("scheduled") / "stack"
        with running(LocalSettings.on_free_ports(folder)) as plan:
            stack = StackWithAlerts(plan)
            stack.ses("settings", FOR_TESTS)
            yield stack


def test_the_schedulers_own_targets_run_the_workflows(stack: StackWithAlerts) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    for base in SCHEDULED:
        target = stack.scheduler.get_schedule(Name=stack.name(base))["Target"]
        stack.scheduler.create_schedule(
            Name=f"{base}-now",
            ScheduleExpression=soon,
            Target=target,
            FlexibleTimeWindow={"Mode": "OFF"},
        )
    reports = boto3.resource("dynamodb", **stack.settings.client).Table(stack.name("email-reports"))
    for base, kind in SCHEDULED.items():
        report = stack.report_of(only_execution(stack, base))
        item = reports.get_item(Key={"kind": kind, "date": report["date"]})["Item"]
        assert json.loads(str(item["report"])) == report


def only_execution(stack: StackWithAlerts, base: str) -> str:
    machine = stack.arn("states", f"stateMachine:{base}")
    (execution,) = until(
        lambda: stack.states.list_executions(stateMachineArn=machine)["executions"],
        seconds=90,
        what=f"an execution of {base}",
    )
    return str(execution["executionArn"])


def test_a_kind_that_nobody_knows_is_told_once_with_its_reason(stack: StackWithAlerts) -> None:
    for n in range(100):
        stack.publish_order(f"RENAMED-{n}", "jo@example.com", eventType="order.paid")
    alert = stack.alert("Order mails rejected")
    assert "eventType: is not one of the known kinds" in alert["Subject"]
    assert "RENAMED-" in alert["Message"]
    assert "jo@example.com" not in alert["Message"]
    counted = stack.all_counted(Metric.REJECTED, 100)
    assert stack.statuses()["REJECTED"] == 100

    report = stack.watch_rejections()
    assert report["reasons"] == {"eventType: is not one of the known kinds": 100}
    assert report["counts"] == {"orders": counted, "rejected": counted, "burst": True}
    assert "alert" not in report
    asked = stack.rejections_of_alarms()
    stack.alarm_again("email-rejections")
    until(lambda: stack.rejections_of_alarms() > asked, what="the alarm's call")
    stack.alert("Order mails rejected")


def test_a_share_of_the_orders_is_told_although_it_is_no_burst(stack: StackWithAlerts) -> None:
    for n in range(4):
        stack.publish_order(f"TOTAL-{n}", "jo@example.com", orderTotal="five")
    stack.all_counted(Metric.REJECTED, 104)
    assert "alert" in stack.watch_rejections()
    alert = stack.alert("orderTotal: must be an amount")
    assert alert["Subject"].startswith("Order mails rejected, 4 of 104: ")
    assert "alert" not in stack.watch_rejections()


def test_content_that_ses_never_takes_alarms(stack: StackWithAlerts) -> None:
    refusal = "MessageRejected: The message can't be sent because it contains invalid content."
    stack.ses("settings", {"refusal": refusal})
    try:
        for n in range(5):
            stack.publish_order(f"REFUSED-{n}", f"jo{n}@example.com")
        stack.all_counted(Metric.REJECTED, 109)
    finally:
        stack.ses("settings", {"refusal": ""})
    stack.alarm_again("email-rejections")
    alert = stack.alert("SES refuses the mail")
    assert "5 of 109: SES refuses the mail: SES answered MessageRejected" in alert["Subject"]
    assert "REFUSED-" in alert["Message"]
    assert stack.statuses()["REJECTED"] == 109


def test_a_tiny_budget_alerts_once_and_not_at_every_run(stack: StackWithAlerts) -> None:
    report = stack.report("cost-analysis")
    assert report["breaches"] == ["OVER_BUDGET"]
    assert "alert" not in report, "the scheduled run before has told"
    until(lambda: stack.is_alarming("email-cost-budget"), what="the budget's alarm")
    alert = stack.alert("Order mails: USD")
    assert "the budget is 0.01" in alert["Subject"]
    assert "Amazon Simple Email Service: USD" in alert["Message"]
    stack.alert('ALARM: "email-cost-budget-dev"')


def test_bounces_alarm_pause_and_lift(stack: StackWithAlerts) -> None:
    send_forty_of_which_eight_bounce(stack)
    # A check of a part of them may have a verdict of its own, and alert of it.
    counted = stack.all_counted(Metric.SENT, 40), stack.all_counted(Metric.BOUNCED, 8)

    # And one before SES's own rate has risen would alert, and not pause.
    until(lambda: stack.ses_bounce_rate() >= 0.05, every=1, what="SES's own rate to rise")

    def judged() -> Json | None:
        report = stack.report("bounce-rate-check")
        day = report["windows"]["24 h"]
        return report if (day["sent"], day["bounced"]) == counted else None

    report = until(judged, what="the metrics of all forty mails")
    assert report["verdict"] == "CRITICAL"
    message = stack.alert("sending reputation")["Message"]
    assert message.startswith("SENDING IS PAUSED")
    assert "bounces in" in message
    assert "Last 24 h: " in message
    assert "alert" not in stack.report("bounce-rate-check")
    until(lambda: stack.is_alarming("email-bounce-rate"), seconds=120, what="the bounce alarm")

    before = stack.put_off()
    for n in range(40, 45):
        stack.publish_order(f"ORDER-{n}", f"jo{n}@example.com")
    until(lambda: len(stack.put_off() - before) == 5, what="all to be put off")
    assert stack.statuses()["DELIVERED"] == 32, "a mail went out while sending is paused"
    lift(stack, message)
    until(lambda: stack.statuses()["DELIVERED"] == 37, seconds=120, what="the mails that waited")


def send_forty_of_which_eight_bounce(stack: StackWithAlerts) -> None:
    for n in range(40):
        stack.publish_order(f"ORDER-{n}", f"jo{n}@example.com")
        if n % 8 == 7:  # Not all at once: a loaded laptop starts cold functions slowly.
            until(partial(delivered, stack, n + 1), seconds=120, what=f"the first {n + 1} mails")
    for n in range(0, 40, 5):  # Not the simulator's bounces, which count nowhere.
        bounce = {"messageId": stack.record(f"ORDER-{n}")["messageId"], "eventType": "Bounce"}
        stack.ses("events", bounce, method="POST")
    until(lambda: stack.statuses()["BOUNCED"] == 8, what="eight bounces")


def delivered(stack: StackWithAlerts, count: int) -> bool:
    return stack.statuses()["DELIVERED"] == count


def lift(stack: StackWithAlerts, message: str) -> None:
    """Lift the pause with the command that the alert names."""
    command = next(
        line.split() for line in message.splitlines() if line.endswith("--sending-enabled")
    )
    assert command[:3] == ["aws", "sesv2", "put-configuration-set-sending-options"]
    stack.client("sesv2").put_configuration_set_sending_options(
        ConfigurationSetName=command[4], SendingEnabled=True
    )


def test_few_rejections_among_many_mails_are_not_told(stack: StackWithAlerts) -> None:
    namespace = metrics.namespace(stack.settings.environment_suffix)
    sent = {"MetricName": Metric.SENT, "Value": 2000.0, "Unit": "Count"}
    stack.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[sent])
    for n in range(3):
        stack.publish_order(f"LOCALE-{n}", "jo@example.com", locale="?")
    stack.all_counted(Metric.REJECTED, 112)
    report = stack.watch_rejections()
    assert sum(report["reasons"].values()) == 112
    assert "alert" not in report


HOUR = 60 * 60


def plant(stack: StackWithAlerts, order_id: str, status: str, hours: float) -> None:
    """Put a record into the tracking table that has been so for some hours."""
    record = {"notificationId": order_id, "orderId": order_id, "customerEmail": "jo@example.com"}
    now = datetime.now(UTC).timestamp()
    record |= {"status": status, "timestamp": iso(now - hours * HOUR), "owner": "the test"}
    stack.table.put_item(Item=record | {"ttl": int(now) + HOUR, "sequence": 1})


def test_what_is_stuck_is_found_and_nothing_else(stack: StackWithAlerts) -> None:
    assert "alert" not in stack.report("reconciliation"), "all records so far are young"
    for n in range(12):
        plant(stack, f"LOST-{n}", "SENT", 48 + n)
    plant(stack, "STUCK", "CLAIMED", 2)
    plant(stack, "jo@example.com", "SENDING", 99)
    plant(stack, "CANARY-20261130T031500Z", "SENT", 48)
    plant(stack, "FINE", "DELIVERED", 48)
    plant(stack, "YOUNG", "SENT", 19)
    plant(stack, "EXPIRED", "SENT", 90 * 24)
    midday = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=1)
    environment = stack.settings.environment_suffix
    for namespace, name, mails in (
        (metrics.namespace(environment), Metric.SENT, 1000.0),
        ("AWS/SES", "Send", 993.0),
    ):
        stack.cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[{"MetricName": name, "Value": mails, "Timestamp": midday}],
        )

    report = stack.report("reconciliation")
    assert report["stuck"] == {"unsettled": 2, "silent": 12}
    assert [r["orderId"] for r in report["oldest"]] == [
        shown("jo@example.com"),
        *(f"LOST-{n}" for n in range(11, 2, -1)),
    ]
    assert (report["missing"], report["surplus"], report["gaps"]) == (7, 0, [])
    alert = stack.alert("2 unsettled, 12 silent, 7 not known to SES")
    assert f"order-mail reconcile --env {environment}" in alert["Message"]
    assert "jo@example.com" not in alert["Message"]
    again = stack.report("reconciliation")
    assert (again["stuck"], again["new"]) == (report["stuck"], {})
