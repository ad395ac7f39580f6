"""Each path of the two scheduled workflows, on moto's interpreter, with the real handlers in process."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from infra.local.cost_explorer import sample_costs
from steps.aws import sources
from steps.bounce_rate import BounceRateSettings
from steps.contract.errors import SourceUnavailable
from steps.contract.metrics import Metric
from steps.contract.report_tasks import CostSource, ReputationSource
from steps.cost_monitoring import CostSettings
from tests.support.moto_interpreter import Run, interpret

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = {
    "cost-monitoring": "cost_monitoring",
    "email-bounce-rate": "bounce_rate",
    "email-pause": "pause",
}
CONTEXT = SimpleNamespace(aws_request_id="request")


class Lambdas:
    """Stands in for Lambda; a task listed in `broken` fails with that error each time."""

    def __init__(self, broken: dict[str, str]) -> None:
        self._broken = broken

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        """Answer as Lambda's Invoke does."""
        event = json.loads(Payload)
        name = FunctionName.rsplit(":", maxsplit=1)[-1].removesuffix("-dev")
        if error := self._broken.get(event["task"]):
            return self._failed(error, "as asked")
        try:
            result = import_module(f"steps.{MODULES[name]}").handler(event, CONTEXT)
        except Exception as error:
            return self._failed(type(error).__name__, str(error))
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(result).encode())}

    @staticmethod
    def _failed(name: str, message: str) -> dict[str, Any]:
        payload = json.dumps({"errorType": name, "errorMessage": message})
        return {"FunctionError": "Unhandled", "Payload": io.BytesIO(payload.encode())}


COST = CostSettings(
    reports_table="reports",
    system="order-mail-dev",
    budget=Decimal("0.01"),
    dashboard_url="https://dashboard",
)
BOUNCE_RATE = BounceRateSettings(
    reports_table="reports",
    configuration_set="mails",
    auto_pause=True,
    dashboard_url="https://dashboard",
)


class ReportsInMoto:
    """moto's AWS with the topic, a queue that hears it, and the table of reports."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.paused: list[str] = []
        self.bounced = 0
        credentials = {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "MOTO_ACCOUNT_ID": "000000000000",
        }
        for name, value in (credentials | COST.to_env() | BOUNCE_RATE.to_env()).items():
            patch.setenv(name, value)
        for client in (sources.dynamodb, sources.cloudwatch, sources.sesv2):
            client.cache_clear()
        self.sqs = boto3.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="operator")["QueueUrl"]
        sns = boto3.client("sns")
        topic = sns.create_topic(Name="email-alerts-dev")["TopicArn"]
        sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:operator"
        )
        boto3.client("dynamodb").create_table(
            TableName="reports",
            KeySchema=[
                {"AttributeName": "kind", "KeyType": "HASH"},
                {"AttributeName": "date", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("kind", "date")
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        today = datetime.now(UTC).date()
        patch.setattr(
            sources,
            "cost_and_usage",
            lambda *_, **__: sample_costs(today, "order-mail-dev")["ResultsByTime"],
        )
        patch.setattr(sources, "account_state", lambda: {"EnforcementStatus": "HEALTHY"})
        patch.setattr(sources, "pause_sending", self.paused.append)
        patch.setattr(sources, "metric_values", self._values)

    def _values(
        self, metrics: list[sources.MetricSum], _start: datetime, end: datetime, *, period: int
    ) -> list[dict[datetime, float]]:
        assert period
        counts: dict[str, float] = {Metric.SENT: 40.0, Metric.BOUNCED: float(self.bounced)}
        at = end - timedelta(minutes=5)
        return [{at: counts[name]} if name in counts else {} for _, name, _ in metrics]

    def run(self, machine: str, **broken: str) -> Run:
        """Run a workflow, with these tasks broken."""
        return interpret(
            Path(f"statemachines/{machine}.asl.json"), {}, Lambdas(broken), self._patch
        )

    def alerts(self) -> list[dict[str, str]]:
        """Take the alerts that arrived."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        for message in found.get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(m["Body"]) for m in found.get("Messages", [])]


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReportsInMoto]:
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield ReportsInMoto(monkeypatch)


def trunk(run: Run) -> list[str]:
    """The states entered after Collect and its branches."""
    return list(run.path[run.path.index("Report") :])


def test_over_budget_alerts_once_and_keeps_each_day_s_report(reports: ReportsInMoto) -> None:
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
        TableName="reports", Key={"kind": {"S": "cost"}, "date": {"S": today}}
    )["Item"]
    assert json.loads(item["report"]["S"]) == second.output["report"]
    assert int(item["ttl"]["N"]) > datetime.now(UTC).timestamp()


@pytest.mark.parametrize("source", CostSource)
def test_a_source_that_fails_is_a_gap_in_the_report(reports: ReportsInMoto, source: str) -> None:
    ended = reports.run("cost_analysis", **{source: SourceUnavailable.__name__})
    assert ended.status == "SUCCEEDED"
    assert f"{source.capitalize()}Missing" in ended.path
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])


@pytest.mark.parametrize("source", ReputationSource)
def test_a_source_of_the_check_that_fails_is_a_gap(reports: ReportsInMoto, source: str) -> None:
    ended = reports.run("bounce_rate_check", **{source: "Lambda.Unknown"})
    assert ended.status == "SUCCEEDED"
    assert any("as asked" in gap for gap in ended.output["report"]["gaps"])


@pytest.mark.parametrize("machine", ["cost_analysis", "bounce_rate_check"])
@pytest.mark.parametrize("task", ["report", "keep"])
def test_a_workflow_that_fails_says_so_itself(
    reports: ReportsInMoto, machine: str, task: str
) -> None:
    ended = reports.run(machine, **{task: "UnexpectedError"})
    assert (ended.status, ended.error) == ("FAILED", "UnexpectedError")
    assert ended.path[-2:] == ("AlertFailed", "Failed")
    alert = reports.alerts()[-1]
    assert alert["Subject"] == f"Order mails: the {machine.replace('_', '-')} workflow failed"
    assert "UnexpectedError" in alert["Message"]


def test_a_critical_rate_pauses_once_and_says_how_to_lift_it(reports: ReportsInMoto) -> None:
    reports.bounced = 8
    ended = reports.run("bounce_rate_check")
    assert ended.status == "SUCCEEDED"
    assert trunk(ended) == ["Report", "Alert?", "Pause", "Alert", "Keep", "Done"]
    assert reports.paused == ["mails"]
    (alert,) = reports.alerts()
    assert alert["Subject"] == "Order mails: sending reputation CRITICAL, it was OK"
    assert alert["Message"].startswith("SENDING IS PAUSED")
    assert "--configuration-set-name mails --sending-enabled" in alert["Message"]

    again = reports.run("bounce_rate_check")
    assert trunk(again) == ["Report", "Alert?", "Keep", "Done"]
    assert reports.paused == ["mails"]
    assert reports.alerts() == []


def test_a_pause_that_fails_is_in_the_alert(reports: ReportsInMoto) -> None:
    reports.bounced = 8
    ended = reports.run("bounce_rate_check", pause=SourceUnavailable.__name__)
    assert trunk(ended) == ["Report", "Alert?", "Pause", "NotPaused", "Alert", "Keep", "Done"]
    (alert,) = reports.alerts()
    assert alert["Message"].startswith("SENDING COULD NOT BE PAUSED (SourceUnavailable)")


def test_a_warning_alerts_without_pausing(reports: ReportsInMoto) -> None:
    reports.bounced = 6
    assert trunk(reports.run("bounce_rate_check")) == ["Report", "Alert?", "Alert", "Keep", "Done"]
    assert reports.paused == []


def test_the_cost_step_alone_returns_the_whole_report(
    reports: ReportsInMoto, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise SourceUnavailable("Cost Explorer answered AccessDeniedException")

    handler = import_module("steps.cost_monitoring").handler
    made = handler({}, CONTEXT)
    assert made["mails"] == 40
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert float(made["total"]) in metrics[0]["TotalCost"]
    assert "CostPerEmail" in metrics[0]
    monkeypatch.setattr(sources, "cost_and_usage", denied)
    assert "costs: Cost Explorer answered AccessDeniedException" in handler({}, CONTEXT)["gaps"]
    assert "TotalCost" not in capsys.readouterr().out
    assert reports.alerts() == []
