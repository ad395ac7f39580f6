from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from steps.aws import sources
from steps.contract.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cost_explorer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client(
        "ce",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106
    )
    monkeypatch.setattr(sources, "cost_explorer", lambda: client)
    with Stubber(client) as stub:
        yield stub


MARCH = (date(2026, 3, 1), date(2026, 4, 1))


def test_costs_are_asked_for_once_a_page(cost_explorer: Stubber) -> None:
    def day(start: str) -> dict[str, Any]:
        return {"TimePeriod": {"Start": start, "End": start}, "Groups": []}

    cost_explorer.add_response(
        "get_cost_and_usage", {"ResultsByTime": [day("2026-03-01")], "NextPageToken": "more"}
    )
    cost_explorer.add_response("get_cost_and_usage", {"ResultsByTime": [day("2026-03-02")]})
    found = sources.cost_and_usage(*MARCH, system="order-mail-dev")
    assert [r["TimePeriod"]["Start"] for r in found] == ["2026-03-01", "2026-03-02"]
    cost_explorer.assert_no_pending_responses()


def test_a_refusal_is_named(cost_explorer: Stubber) -> None:
    cost_explorer.add_client_error(
        "get_cost_and_usage", "AccessDeniedException", "user/jane is not"
    )
    with pytest.raises(SourceUnavailable, match=r"^Cost Explorer answered AccessDeniedException$"):
        sources.cost_and_usage(*MARCH, system="order-mail-dev")


def test_no_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise EndpointConnectionError(endpoint_url="https://email")

    monkeypatch.setattr(sources, "sesv2", gone)
    with pytest.raises(SourceUnavailable, match=r"no answer from SES .EndpointConnectionError"):
        sources.account_state()


@pytest.mark.usefixtures("aws_world")
def test_metrics_come_back_in_the_order_asked_for() -> None:
    sources.cloudwatch.cache_clear()
    now = datetime.now(UTC).replace(microsecond=0)
    for name, value in (("EmailSent", 3.0), ("EmailSent", 4.0), ("EmailBounced", 1.0)):
        boto3.client("cloudwatch").put_metric_data(
            Namespace="EmailNotification",
            MetricData=[
                {"MetricName": name, "Value": value, "Timestamp": now - timedelta(minutes=10)}
            ],
        )
    names = ("EmailBounced", "EmailComplaint", "EmailSent")
    found = sources.metric_values(
        [("EmailNotification", name, "Sum") for name in names],
        now - timedelta(days=1),
        now,
        period=300,
    )
    assert [sum(series.values()) for series in found] == [1, 0, 7]
    sources.cloudwatch.cache_clear()
