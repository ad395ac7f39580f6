"""The scheduled reports' sources: what is asked of AWS, and how it is said that no answer came."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from steps import bounce_rate
from steps.aws import sources
from steps.contract.errors import SourceUnavailable
from steps.contract.metrics import Metric
from tests.support.in_memory_aws import set_environment
from tests.support.reports import METRICS, REGION, SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef


@pytest.fixture
def cost_explorer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    set_environment(monkeypatch)
    with Stubber(sources.cost_explorer.__wrapped__()) as stub:
        monkeypatch.setattr(sources, "cost_explorer", lambda: stub.client)
        yield stub


MARCH = (date(2026, 3, 1), date(2026, 4, 1))


def test_each_page_of_costs_is_asked_for_once(cost_explorer: Stubber) -> None:
    def day(start: str) -> dict[str, object]:
        return {"TimePeriod": {"Start": start, "End": start}, "Groups": []}

    cost_explorer.add_response(
        "get_cost_and_usage", {"ResultsByTime": [day("2026-03-01")], "NextPageToken": "more"}
    )
    cost_explorer.add_response("get_cost_and_usage", {"ResultsByTime": [day("2026-03-02")]})
    days = sources.cost_and_usage(*MARCH, system=SYSTEM, region=REGION)
    assert [day["TimePeriod"]["Start"] for day in days] == ["2026-03-01", "2026-03-02"]
    cost_explorer.assert_no_pending_responses()


def test_the_code_of_a_refusal_is_in_the_error(cost_explorer: Stubber) -> None:
    cost_explorer.add_client_error(
        "get_cost_and_usage", "AccessDeniedException", "user/jane is not"
    )
    with pytest.raises(SourceUnavailable, match=r"^Cost Explorer answered AccessDeniedException$"):
        sources.cost_and_usage(*MARCH, system=SYSTEM, region=REGION)


def test_a_source_that_does_not_answer_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise EndpointConnectionError(endpoint_url="https://email")

    monkeypatch.setattr(sources, "sesv2", gone)
    with pytest.raises(SourceUnavailable, match=r"no answer from SES .EndpointConnectionError"):
        sources.account_state()


def test_each_page_of_a_log_is_asked_for_once_and_an_empty_one_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_environment(monkeypatch)
    start, end = datetime(2026, 11, 24, 11, tzinfo=UTC), datetime(2026, 11, 24, 12, tzinfo=UTC)
    asked = {
        "logGroupName": "/aws/lambda/x",
        "filterPattern": '"event rejected"',
        "startTime": 1795518000000,
        "endTime": 1795521599999,
        "limit": 7,
    }
    with Stubber(sources.logs.__wrapped__()) as stub:
        monkeypatch.setattr(sources, "logs", lambda: stub.client)
        stub.add_response("filter_log_events", {"events": [], "nextToken": "more"}, asked)
        event = {"timestamp": 1795519800250, "message": "a line"}
        stub.add_response("filter_log_events", {"events": [event]}, {**asked, "nextToken": "more"})
        pages = list(sources.log_pages("/aws/lambda/x", '"event rejected"', start, end, limit=7))
        stub.add_client_error("filter_log_events", "ThrottlingException", "jane's")
        with pytest.raises(SourceUnavailable, match=r"^CloudWatch Logs answered Throttling\w+$"):
            next(sources.log_pages("g", "p", start, end, limit=7))
    at = datetime(2026, 11, 24, 11, 30, 0, 250_000, UTC)
    assert pages == [[], [sources.LogLine(at, "a line")]]


def test_an_alert_that_cannot_be_published_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    topic = "arn:aws:sns:us-east-1:000000000000:alerts"
    with Stubber(sources.sns.__wrapped__()) as stub:
        monkeypatch.setattr(sources, "sns", lambda: stub.client)
        published = {"TopicArn": topic, "Subject": "s", "Message": "m"}
        stub.add_response("publish", {"MessageId": "1"}, published)
        sources.publish(topic, {"subject": "s", "message": "m"})
        stub.add_client_error("publish", "AuthorizationErrorException")
        with pytest.raises(SourceUnavailable, match="SNS answered AuthorizationError"):
            sources.publish(topic, {"subject": "s", "message": "m"})


@pytest.mark.usefixtures("in_memory_aws")
def test_ses_s_own_rate_is_the_configuration_set_s_or_else_the_account_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "account_state", dict)
    sources.cloudwatch.cache_clear()
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def put(name: str, value: float, configuration_set: str = "", minutes: int = 10) -> None:
        datum: MetricDatumTypeDef = {
            "MetricName": f"Reputation.{name}",
            "Value": value,
            "Timestamp": now - timedelta(minutes=minutes),
            "Dimensions": [{"Name": "ses:configuration-set", "Value": configuration_set}]
            if configuration_set
            else [],
        }
        boto3.client("cloudwatch").put_metric_data(Namespace="AWS/SES", MetricData=[datum])

    put("BounceRate", 0.01)
    put("ComplaintRate", 0.002)
    put("BounceRate", 0.5, "another")
    put("BounceRate", 0.07, "mails")
    state = bounce_rate.account(now, configuration_set="mails")
    assert (state["bounceRate"], state["complaintRate"]) == (0.07, 0.002)
    # What it was in the same hour before lowers nothing: it is a long average already.
    put("BounceRate", 0.0, "mails", minutes=50)
    assert bounce_rate.account(now, configuration_set="mails")["bounceRate"] == 0.07
    sources.cloudwatch.cache_clear()


@pytest.mark.usefixtures("in_memory_aws")
def test_metrics_come_back_in_the_order_asked_for() -> None:
    sources.cloudwatch.cache_clear()
    now = datetime.now(UTC).replace(microsecond=0)
    for metric, value in ((Metric.SENT, 3.0), (Metric.SENT, 4.0), (Metric.BOUNCED, 1.0)):
        boto3.client("cloudwatch").put_metric_data(
            Namespace=METRICS,
            MetricData=[
                {"MetricName": metric, "Value": value, "Timestamp": now - timedelta(minutes=10)}
            ],
        )
    series = sources.metric_values(
        [
            sources.MetricSum(METRICS, metric, "Sum")
            for metric in (Metric.BOUNCED, Metric.COMPLAINT, Metric.SENT)
        ],
        now - timedelta(days=1),
        now,
        period=300,
    )
    assert [sum(values.values()) for values in series] == [1, 0, 7]
    sources.cloudwatch.cache_clear()


def test_a_week_of_five_minutes_takes_two_requests_for_each_metric_all_of_them_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One request may span 1,440 periods. A barrier lets none through before all are made."""
    set_environment(monkeypatch)
    sources.cloudwatch.cache_clear()
    start, end = (
        datetime(2026, 11, 23, 11, 58, 7, tzinfo=UTC),
        datetime(2026, 11, 30, 12, tzinfo=UTC),
    )
    under_way = threading.Barrier(4, timeout=20)
    asked = []

    def answer(_: object, operation: str, request: dict[str, Any]) -> dict[str, object]:
        assert operation == "GetMetricStatistics"
        asked.append(request)
        under_way.wait()
        first = {"Timestamp": request["StartTime"], "Sum": 2.0}
        return {"Datapoints": [first] if request["MetricName"] == Metric.SENT else []}

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    metrics = [sources.MetricSum(METRICS, name, "Sum") for name in (Metric.BOUNCED, Metric.SENT)]
    bounced, sent = sources.metric_values(metrics, start, end, period=300)
    first, second = (
        datetime(2026, 11, 23, 11, 55, tzinfo=UTC),
        datetime(2026, 11, 28, 11, 55, tzinfo=UTC),
    )
    assert (bounced, sent) == ({}, {first: 2.0, second: 2.0})
    spans = {(r["StartTime"], r["EndTime"]) for r in asked}
    assert spans == {(first, second), (second, end)}
    assert all((until - since).total_seconds() <= 1_440 * 300 for since, until in spans)
    sources.cloudwatch.cache_clear()
