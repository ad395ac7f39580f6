"""Each path of the scheduled workflows, on moto's interpreter, with the real handlers in process."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
from steps.contract.report_tasks import CostSource, ReputationSource, Task
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

AWS: dict[str, tuple[object, str]] = {
    "costs": (sources, "cost_and_usage"),
    "mails": (sources, "metric_values"),
    "account": (sources, "account_state"),
    "previous": (sources.ReportsTable, "last"),
}
"""Where each source is asked."""


@dataclass
class ReportFunctions(LambdaInProcess):
    """The functions of the workflows; a task listed in `broken` fails with that error each time.

    So does the scan of the segments in `segments`. `asked`: each task that was asked for, retries included.
    """

    broken: Mapping[str, str]
    segments: Collection[int] = ()
    asked: list[str] = field(default_factory=list)

    def error(self, _function_arn: str, event: Mapping[str, Any]) -> str | None:
        self.asked.append(event["task"])
        if event["task"] == Task.SCAN and event["state"]["segment"] in self.segments:
            return LedgerUnavailable.__name__
        return self.broken.get(event["task"])


class ReportsInMoto:
    """moto's AWS with the alerts topic, a queue that hears it, and the table of reports."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.paused: list[str] = []
        self.sent, self.bounced = 40, 0
        self.rate: float | None = 0.06
        self.cents = 0
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
        patch.setattr(sources, "cost_and_usage", self._costs)
        patch.setattr(sources, "account_state", lambda: {"EnforcementStatus": "HEALTHY"})
        patch.setattr(sources, "pause_sending", self.paused.append)
        patch.setattr(sources, "metric_values", self._values)

    def _values(
        self, metrics: list[sources.MetricSum], _start: datetime, end: datetime, *, period: int
    ) -> list[dict[datetime, float]]:
        assert period
        counts: dict[str, float] = {
            Metric.SENT: float(self.sent),
            Metric.BOUNCED: float(self.bounced),
        }
        at = end - timedelta(minutes=5)
        counts |= {"Reputation.BounceRate": self.rate} if self.rate is not None else {}
        return [{at: counts[m.name]} if m.name in counts else {} for m in metrics]

    def _costs(self, *_: object, **__: object) -> list[ResultByTimeTypeDef]:
        self.cents += 1
        days: list[ResultByTimeTypeDef] = sample_costs(datetime.now(UTC).date(), SYSTEM)[
            "ResultsByTime"
        ]
        return days

    def run(self, machine: str, *segments: int, **broken: str) -> Run:
        """Run a workflow, with these tasks broken, and the scan of these segments."""
        return self.run_with(ReportFunctions(broken, segments), machine)

    def run_with(self, functions: ReportFunctions, machine: str) -> Run:
        """Run a workflow of these functions."""
        return run(machine, {}, functions, self._patch)

    def away(self, source: str, *, tries: int = 99) -> None:
        """Have a source not answer, the first `tries` times."""
        holder, name = AWS[source]
        answer, left = getattr(holder, name), iter(range(tries))

        def ask(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is not None:
                raise SourceUnavailable("as asked")
            return answer(*arguments, **options)

        self._patch.setattr(holder, name, ask)

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


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReportsInMoto]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mocked_aws(runs_workflows=True):
        yield ReportsInMoto(monkeypatch)


def trunk(run: Run) -> list[str]:
    """Return the states from the report on."""
    return list(run.path[run.path.index("Report" if "Report" in run.path else "Check") :])


def test_going_over_budget_alerts_once_and_every_day_s_report_is_kept(
    reports: ReportsInMoto,
) -> None:
    first = reports.run("cost_analysis")
    assert first.status == "SUCCEEDED"
    assert trunk(first) == ["Check", "Budget?", "Alert", "Keep", "Alerted"]
    (alert,) = reports.alerts()
    assert "the budget is 0.01" in alert["Subject"]
    assert "https://dashboard" in alert["Message"]

    second = reports.run("cost_analysis")
    assert trunk(second) == ["Check", "Budget?", "AlertedBefore"]
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
    reports.away(source)
    ended = reports.run("cost_analysis")
    assert ended.status == "SUCCEEDED"
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])


@pytest.mark.parametrize("source", ReputationSource)
def test_a_source_of_the_bounce_rate_check_that_fails_is_a_gap_in_the_report(
    reports: ReportsInMoto, source: str
) -> None:
    reports.away(source)
    ended = reports.run("bounce_rate_check")
    assert ended.status == "SUCCEEDED"
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])


def test_a_source_that_answers_when_it_is_asked_again_is_no_gap(reports: ReportsInMoto) -> None:
    reports.away("account", tries=limits.REPORT_RETRIES)
    functions = ReportFunctions({})
    ended = reports.run_with(functions, "bounce_rate_check")
    assert ended.output["report"]["gaps"] == []
    assert functions.asked == ["check"] * (1 + limits.REPORT_RETRIES)


@pytest.mark.parametrize(
    ("machine", "task"),
    [
        ("cost_analysis", "check"),
        ("bounce_rate_check", "check"),
        ("cost_analysis", "keep"),
        ("reconciliation", "collect"),
        ("reconciliation", "report"),
        ("reconciliation", "keep"),
    ],
)
def test_a_workflow_that_fails_alerts_the_operator_itself(
    reports: ReportsInMoto, machine: str, task: str
) -> None:
    plant("STUCK", "SENT", 48)
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
    assert trunk(ended) == ["Check", "Verdict?", "Pause", "Alert", "Keep", "Alerted"]
    assert reports.paused == ["mails"]
    (alert,) = reports.alerts()
    assert alert["Subject"] == "Order mails: sending reputation CRITICAL, it was OK"
    assert alert["Message"].startswith("SENDING IS PAUSED")
    assert "--configuration-set-name mails --sending-enabled" in alert["Message"]
    kept = sources.ReportsTable(REPORTS_TABLE).last("pause")
    assert (kept["paused"], kept["by"]) == (True, "bounce-rate-check")
    assert kept["why"] == "Order mails: sending reputation CRITICAL, it was OK"

    again = reports.run("bounce_rate_check")
    assert trunk(again) == ["Check", "Verdict?", "AlertedBefore"]
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
    assert trunk(reports.run("bounce_rate_check"))[:3] == ["Check", "Verdict?", "Alert"]
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
    assert trunk(ended) == ["Check", "Verdict?", "Pause", "NotPaused", "Alert", "Keep", "Alerted"]
    (alert,) = reports.alerts()
    assert alert["Message"].startswith("SENDING COULD NOT BE PAUSED (SourceUnavailable)")


def test_a_warning_alerts_without_pausing(reports: ReportsInMoto) -> None:
    reports.bounced = 6
    ended = reports.run("bounce_rate_check")
    assert trunk(ended) == ["Check", "Verdict?", "Alert", "Keep", "Alerted"]
    assert reports.paused == []


@pytest.mark.parametrize(("sent", "end"), [(40, "Healthy"), (29, "TooFewMails")])
def test_a_verdict_that_is_no_news_is_where_the_check_ends_and_is_kept(
    reports: ReportsInMoto, sent: int, end: str
) -> None:
    reports.sent = sent
    ended = reports.run("bounce_rate_check")
    assert trunk(ended) == ["Check", "Verdict?", end]
    assert reports.alerts() == []
    assert sources.ReportsTable(REPORTS_TABLE).last("reputation") == ended.output["report"]


def test_the_analysis_goes_on_from_cost_explorer_s_last_answer_and_asks_before_an_alert(
    reports: ReportsInMoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, today = sources.ReportsTable(REPORTS_TABLE), datetime.now(UTC).date()
    set_environment(monkeypatch, dataclasses.replace(COST_SETTINGS, budget=Decimal(1000)))
    reports.run("cost_analysis")
    assert reports.cents == 1
    kept = table.last("cost-explorer")
    assert kept["date"] == today.isoformat()
    reports.run("cost_analysis")
    assert reports.cents == 1

    yesterday = today - timedelta(days=1)
    boto3.client("dynamodb").delete_item(
        TableName=REPORTS_TABLE,
        Key={"kind": {"S": "cost-explorer"}, "date": {"S": today.isoformat()}},
    )
    del kept["days"][yesterday.isoformat()]
    table.keep("cost-explorer", {**kept, "date": yesterday.isoformat()}, 0)
    report = reports.run("cost_analysis").output["report"]
    if today.day > 2:  # else it has no day of this month
        assert reports.cents == 1
        assert report["estimatedFrom"] == yesterday.isoformat()
    set_environment(monkeypatch, COST_SETTINGS)
    report = reports.run("cost_analysis").output["report"]
    assert reports.cents == 2
    assert report["estimatedFrom"] == today.isoformat()
    assert len(reports.alerts()) == 1


def test_the_cost_function_invoked_alone_returns_the_whole_report(
    reports: ReportsInMoto, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deny(*_: object, **__: object) -> None:
        raise SourceUnavailable("Cost Explorer answered AccessDeniedException")

    def report() -> Any:
        return cost_monitoring.handler({}, LambdaContext())

    full_report = report()
    assert full_report["mails"] == 40
    assert report()["total"] == full_report["total"]
    assert reports.cents == 2, "whoever asks wants it now"
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert float(full_report["total"]) in metrics[0]["TotalCost"]
    assert "CostPerEmail" in metrics[0]
    monkeypatch.setattr(sources, "cost_and_usage", deny)
    assert "costs: Cost Explorer answered AccessDeniedException" in report()["gaps"]
    assert "TotalCost" not in capsys.readouterr().out
    assert reports.alerts() == []


RUNS = {"bounce_rate_check": 730, "cost_analysis": 31, "reconciliation": 31}
"""How often each workflow runs in a month: by its schedule, `infra.monitoring`."""


def test_a_month_in_which_nothing_is_to_be_told_stays_within_the_free_transitions(
    reports: ReportsInMoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each state that is entered is a transition, and the start is counted for one, too."""
    set_environment(monkeypatch, dataclasses.replace(COST_SETTINGS, budget=Decimal(1000)))
    transitions = 0
    for machine, runs in RUNS.items():
        ended = reports.run(machine)
        assert ended.status == "SUCCEEDED"
        transitions += runs * (1 + len(ended.path))
    assert reports.alerts() == []
    assert transitions == 3_509, "as infra/README.md has it"
    modelled = list_prices.usage()["modelled"]
    counted = (
        modelled["monthly"]["standardTransitions"]["amount"],
        modelled["reconciliation"]["monthly"]["standardTransitions"],
    )
    assert transitions == sum(map(int, counted)), "as costs have it"
    assert transitions <= int(list_prices.prices()["units"]["standardTransitions"]["alwaysFree"])


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
    assert trunk(first) == ["Report", "Stuck?", "Alert", "Keep", "Alerted"]
    assert first.path.count("Scan") == limits.SCAN_SEGMENTS
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
    assert trunk(ended) == ["Report", "Stuck?", "NothingStuck"]
    assert reports.alerts() == []
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
    rounds = ended.path.count("ScanTable")
    assert rounds > 20 / limits.SCAN_SEGMENTS, "each page has one record"
    assert ended.path.count("Scan") == rounds * limits.SCAN_SEGMENTS
    assert ended.path.count("Unread?") == rounds
    assert named(reports.alerts()[0]) == [f"STUCK-{n}" for n in range(19, 9, -1)]


def test_segments_that_fail_for_good_are_alerted_with_what_the_others_found(
    reports: ReportsInMoto,
) -> None:
    plant("STUCK", "SENT", 48)
    ended = reports.run("reconciliation", *range(1, limits.SCAN_SEGMENTS))
    assert ended.status == "SUCCEEDED"
    assert ended.path.count("SegmentMissing") == limits.SCAN_SEGMENTS - 1
    assert ended.path.count("Scan") == limits.SCAN_SEGMENTS, "what failed is not read again"
    (alert,) = reports.alerts()
    assert "reconciliation incomplete" in alert["Subject"]
    assert "7 of the tracking table's 8 segments: not read" in alert["Message"]
    assert ended.output["report"]["until"] is None


@pytest.mark.parametrize("source", ["mails", "previous"])
def test_a_source_of_the_reconciliation_that_fails_is_a_gap_in_the_report(
    reports: ReportsInMoto, source: str
) -> None:
    plant("STUCK", "SENT", 48)
    reports.away(source)
    ended = reports.run("reconciliation")
    assert ended.status == "SUCCEEDED"
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])
    assert ended.output["report"]["new"] == {"silent": 1}
