"""Each path of the scheduled workflows, on moto's interpreter, with the real handlers in process."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from infra.local.cost_explorer import sample_costs
from steps import cost_monitoring
from steps.aws import ledger_table, sources
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable, SourceUnavailable
from steps.contract.metrics import Metric
from steps.contract.report_tasks import CostSource, ReconciliationSource, ReputationSource, Task
from steps.ledger.rules import iso
from steps.reports import list_prices
from tests.support.in_memory_aws import (
    claimed_record,
    mocked_aws,
    set_environment,
    tracking_table,
)
from tests.support.moto_interpreter import LambdaInProcess, Run, run
from tests.support.reports import (
    BOUNCE_RATE_SETTINGS,
    COST_SETTINGS,
    RECONCILIATION_SETTINGS,
    REPORTS_TABLE,
    SYSTEM,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mypy_boto3_ce.type_defs import ResultByTimeTypeDef

ACCOUNT = "000000000000"
"""Whose topic the generated ASL names."""


@dataclass
class ReportFunctions(LambdaInProcess):
    """The functions of the workflows; a task listed in `broken` fails with that error each time.

    So does the scan of the segments in `segments`.
    """

    broken: Mapping[str, str]
    segments: Collection[int] = ()

    def error(self, _function_arn: str, event: Mapping[str, Any]) -> str | None:
        if event["task"] == Task.SCAN and event["state"]["segment"] in self.segments:
            return LedgerUnavailable.__name__
        return self.broken.get(event["task"])


class ReportsInMoto:
    """moto's AWS with the alerts topic, a queue that hears it, and the table of reports."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.paused: list[str] = []
        self.bounced = 0
        self.rate: float | None = 0.06
        set_environment(patch, COST_SETTINGS, BOUNCE_RATE_SETTINGS, RECONCILIATION_SETTINGS)
        for client in (sources.dynamodb, sources.cloudwatch, sources.sesv2):
            client.cache_clear()
        self.sqs = boto3.client("sqs")
        self.operator = self.sqs.create_queue(QueueName="operator")["QueueUrl"]
        sns = boto3.client("sns")
        sns.subscribe(
            TopicArn=sns.create_topic(Name="email-alerts-dev")["TopicArn"],
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:operator",
        )
        _create_reports_table()
        patch.setattr(sources, "cost_and_usage", _costs)
        patch.setattr(sources, "account_state", lambda: {"EnforcementStatus": "HEALTHY"})
        patch.setattr(sources, "pause_sending", self.paused.append)
        patch.setattr(sources, "metric_values", self._values)

    def _values(
        self, metrics: list[sources.MetricSum], _start: datetime, end: datetime, *, period: int
    ) -> list[dict[datetime, float]]:
        assert period
        counts: dict[str, float] = {Metric.SENT: 40.0, Metric.BOUNCED: float(self.bounced)}
        at = end - timedelta(minutes=5)
        counts |= {"Reputation.BounceRate": self.rate} if self.rate is not None else {}
        return [{at: counts[m.name]} if m.name in counts else {} for m in metrics]

    def run(self, machine: str, *segments: int, **broken: str) -> Run:
        """Run a workflow, with these tasks broken, and the scan of these segments."""
        return run(machine, {}, ReportFunctions(broken, segments), self._patch)

    def alerts(self) -> list[dict[str, str]]:
        """Take the alerts that arrived."""
        answer = self.sqs.receive_message(QueueUrl=self.operator, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.operator, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]


def _create_reports_table() -> None:
    boto3.client("dynamodb").create_table(
        TableName=REPORTS_TABLE,
        KeySchema=[
            {"AttributeName": "kind", "KeyType": "HASH"},
            {"AttributeName": "date", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("kind", "date")
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def _costs(*_: object, **__: object) -> list[ResultByTimeTypeDef]:
    days: list[ResultByTimeTypeDef] = sample_costs(datetime.now(UTC).date(), SYSTEM)[
        "ResultsByTime"
    ]
    return days


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReportsInMoto]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mocked_aws(runs_workflows=True):
        yield ReportsInMoto(monkeypatch)


def trunk(run: Run) -> list[str]:
    """The states entered after Collect and its branches."""
    return list(run.path[run.path.index("Report") :])


def test_going_over_budget_alerts_once_and_every_day_s_report_is_kept(
    reports: ReportsInMoto,
) -> None:
    first = reports.run("cost_analysis")
    assert first.status == "SUCCEEDED"
    assert trunk(first) == ["Report", "Alert?", "Alert", "Keep", "Done"]
    (alert,) = reports.alerts()
    assert "the budget is 0.01" in alert["Subject"]
    assert "https://dashboard" in alert["Message"]

    second = reports.run("cost_analysis")
    assert trunk(second) == ["Report", "Alert?", "Keep", "Done"]
    assert reports.alerts() == []

    today = datetime.now(UTC).date().isoformat()
    item = boto3.client("dynamodb").get_item(
        TableName=REPORTS_TABLE, Key={"kind": {"S": "cost"}, "date": {"S": today}}
    )["Item"]
    assert json.loads(item["report"]["S"]) == second.output["report"]
    assert int(item["ttl"]["N"]) > datetime.now(UTC).timestamp()


@pytest.mark.parametrize("source", CostSource)
def test_a_source_of_the_cost_analysis_that_fails_is_a_gap_in_the_report(
    reports: ReportsInMoto, source: str
) -> None:
    ended = reports.run("cost_analysis", **{source: SourceUnavailable.__name__})
    assert ended.status == "SUCCEEDED"
    assert f"{source.capitalize()}Missing" in ended.path
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])


@pytest.mark.parametrize("source", ReputationSource)
def test_a_source_of_the_bounce_rate_check_that_fails_is_a_gap_in_the_report(
    reports: ReportsInMoto, source: str
) -> None:
    ended = reports.run("bounce_rate_check", **{source: "Lambda.Unknown"})
    assert ended.status == "SUCCEEDED"
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])


@pytest.mark.parametrize("machine", ["cost_analysis", "bounce_rate_check", "reconciliation"])
@pytest.mark.parametrize("task", ["report", "keep"])
def test_a_workflow_that_fails_alerts_the_operator_itself(
    reports: ReportsInMoto, machine: str, task: str
) -> None:
    ended = reports.run(machine, **{task: "UnexpectedError"})
    assert (ended.status, ended.error) == ("FAILED", "UnexpectedError")
    assert ended.path[-2:] == ("AlertFailed", "Failed")
    alert = reports.alerts()[-1]
    assert alert["Subject"] == f"Order mails: the {machine.replace('_', '-')} workflow failed"
    assert "UnexpectedError" in alert["Message"]


def test_a_critical_rate_pauses_once_and_the_alert_says_how_to_resume(
    reports: ReportsInMoto,
) -> None:
    reports.bounced = 8
    ended = reports.run("bounce_rate_check")
    assert ended.status == "SUCCEEDED"
    assert trunk(ended) == ["Report", "Alert?", "Pause", "Alert", "Keep", "Done"]
    assert reports.paused == ["mails"]
    (alert,) = reports.alerts()
    assert alert["Subject"] == "Order mails: sending reputation CRITICAL, it was OK"
    assert alert["Message"].startswith("SENDING IS PAUSED")
    assert "--configuration-set-name mails --sending-enabled" in alert["Message"]
    kept = sources.ReportsTable(REPORTS_TABLE).last("pause")
    assert (kept["paused"], kept["by"]) == (True, "bounce-rate-check")
    assert kept["why"] == "Order mails: sending reputation CRITICAL, it was OK"

    again = reports.run("bounce_rate_check")
    assert trunk(again) == ["Report", "Alert?", "Keep", "Done"]
    assert reports.paused == ["mails"]
    assert reports.alerts() == []


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.01, "SES's own bounce rate of 1.00% does not agree"), (None, "bounce rate is not known")],
)
def test_our_own_figures_alone_pause_nothing_until_ses_agrees(
    reports: ReportsInMoto, rate: float | None, words: str
) -> None:
    reports.bounced, reports.rate = 8, rate
    assert trunk(reports.run("bounce_rate_check"))[:3] == ["Report", "Alert?", "Alert"]
    (alert,) = reports.alerts()
    assert words in alert["Message"]
    assert reports.paused == []
    reports.rate = 0.05
    assert "Pause" in trunk(reports.run("bounce_rate_check"))
    (alert,) = reports.alerts()
    assert "CRITICAL, and SES's own rate agrees" in alert["Subject"]
    assert reports.paused == ["mails"]


def test_the_alert_says_when_the_pause_failed(reports: ReportsInMoto) -> None:
    reports.bounced = 8
    ended = reports.run("bounce_rate_check", pause=SourceUnavailable.__name__)
    assert trunk(ended) == ["Report", "Alert?", "Pause", "NotPaused", "Alert", "Keep", "Done"]
    (alert,) = reports.alerts()
    assert alert["Message"].startswith("SENDING COULD NOT BE PAUSED (SourceUnavailable)")


def test_a_warning_alerts_without_pausing(reports: ReportsInMoto) -> None:
    reports.bounced = 6
    assert trunk(reports.run("bounce_rate_check")) == ["Report", "Alert?", "Alert", "Keep", "Done"]
    assert reports.paused == []


def test_the_cost_function_invoked_alone_returns_the_whole_report(
    reports: ReportsInMoto, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deny(*_: object, **__: object) -> None:
        raise SourceUnavailable("Cost Explorer answered AccessDeniedException")

    def report() -> Any:
        return cost_monitoring.handler({}, LambdaContext())

    full_report = report()
    assert full_report["mails"] == 40
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert float(full_report["total"]) in metrics[0]["TotalCost"]
    assert "CostPerEmail" in metrics[0]
    monkeypatch.setattr(sources, "cost_and_usage", deny)
    assert "costs: Cost Explorer answered AccessDeniedException" in report()["gaps"]
    assert "TotalCost" not in capsys.readouterr().out
    assert reports.alerts() == []


# --- the reconciliation ---------------------------------------------------------------------------

HOUR = 60 * 60


def plant(order_id: str, status: str, hours: float) -> None:
    """Put a record into the tracking table that has been so for some hours."""
    now = datetime.now(UTC).timestamp()
    tracking_table().put_item(
        Item=claimed_record(
            notificationId=order_id,
            orderId=order_id,
            status=status,
            timestamp=iso(now - hours * HOUR),
        )
    )


def named(alert: Mapping[str, str]) -> list[str]:
    """Return the orders that an alert names."""
    _, _, listed = alert["Message"].partition("The oldest:\n")
    return [line.split()[0] for line in listed.partition("\n\n")[0].splitlines()]


def test_what_is_stuck_is_alerted_every_night_and_is_new_once(reports: ReportsInMoto) -> None:
    plant("STUCK-CLAIM", "CLAIMED", 2)
    plant("STUCK-SENT", "SENT", 48)
    plant("FRESH", "SENT", 1)
    plant("FINE", "DELIVERED", 500)
    plant("CANARY-20261130T031500Z", "SENT", 48)
    tracking_table().put_item(Item={"notificationId": "pace", "freeFrom": 1})

    first = reports.run("reconciliation")
    assert first.status == "SUCCEEDED"
    assert trunk(first) == ["Report", "Alert?", "Alert", "Keep", "Done"]
    assert first.path.count("Scan") == first.path.count("Scanned") == limits.SCAN_SEGMENTS
    (alert,) = reports.alerts()
    assert alert["Subject"] == "Order mails: 1 unsettled, 1 silent"
    assert named(alert) == ["STUCK-SENT", "STUCK-CLAIM"]
    assert first.output["report"]["new"] == {"unsettled": 1, "silent": 1}

    second = reports.run("reconciliation")
    (alert,) = reports.alerts()
    assert "; 0 new since" in alert["Message"]
    assert second.output["report"]["new"] == {}


def test_a_night_without_anything_stuck_is_kept_and_not_alerted(reports: ReportsInMoto) -> None:
    ended = reports.run("reconciliation")
    assert trunk(ended) == ["Report", "Alert?", "Keep", "Done"]
    assert reports.alerts() == []
    counted = list_prices.usage()["modelled"]["reconciliation"]["monthly"]["standardTransitions"]
    assert int(counted) == 30 * (1 + len(ended.path)), "as costs have it"
    today = datetime.now(UTC).date().isoformat()
    item = boto3.client("dynamodb").get_item(
        TableName=REPORTS_TABLE, Key={"kind": {"S": "reconciliation"}, "date": {"S": today}}
    )["Item"]
    assert json.loads(item["report"]["S"]) == ended.output["report"]


def test_a_segment_that_is_not_done_goes_on_from_where_it_ended(
    reports: ReportsInMoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SCAN_BUDGET", 0)
    client = ledger_table.scanner()
    monkeypatch.setattr(client, "scan", functools.partial(client.scan, Limit=1))
    for n in range(20):
        plant(f"STUCK-{n}", "SENT", 48 + n)
    ended = reports.run("reconciliation")
    assert ended.status == "SUCCEEDED"
    assert ended.output["report"]["stuck"] == {"silent": 20}
    assert ended.path.count("Scan") >= 20, "each page has one record"
    assert ended.path.count("Scanned") == limits.SCAN_SEGMENTS
    assert named(reports.alerts()[0]) == [f"STUCK-{n}" for n in range(19, 9, -1)]


def test_segments_that_fail_for_good_are_alerted_with_what_the_others_found(
    reports: ReportsInMoto,
) -> None:
    plant("STUCK", "SENT", 48)
    ended = reports.run("reconciliation", *range(1, limits.SCAN_SEGMENTS))
    assert ended.status == "SUCCEEDED"
    assert ended.path.count("SegmentMissing") == limits.SCAN_SEGMENTS - 1
    assert ended.path.count("Scanned") == 1
    (alert,) = reports.alerts()
    assert "reconciliation incomplete" in alert["Subject"]
    assert "7 of the tracking table's 8 segments: not read" in alert["Message"]
    assert ended.output["report"]["until"] is None


@pytest.mark.parametrize("source", ReconciliationSource)
def test_a_source_of_the_reconciliation_that_fails_is_a_gap_in_the_report(
    reports: ReportsInMoto, source: str
) -> None:
    plant("STUCK", "SENT", 48)
    ended = reports.run("reconciliation", **{source: SourceUnavailable.__name__})
    assert ended.status == "SUCCEEDED"
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])
    assert ended.output["report"]["new"] == {"silent": 1}
