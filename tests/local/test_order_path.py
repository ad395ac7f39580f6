"""End to end, IAM enforced: an order event published with plain boto3 becomes one mail and a record."""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from infra.local.running_stack import RunningStack, until
from steps.contract import limits
from tests.conftest import EVENTS, load_event

if TYPE_CHECKING:
    from typing import Any

    from infra.local.running_stack import Json

pytestmark = pytest.mark.usefixtures("no_dead_letters")


def event(order_id: str, **changes: Any) -> str:
    return json.dumps(load_event("order") | {"orderId": order_id} | changes)


def fresh(name: str) -> str:
    return f"{name}-{secrets.token_hex(3)}"


def test_the_contract_example(stack: RunningStack) -> None:
    published = time.monotonic()
    stack.publish((EVENTS / "order.json").read_text())
    record = stack.wait_for_status("ORDER123456", "SENT", "DELIVERED", seconds=30)
    assert time.monotonic() - published < 30
    (answer,) = stack.records("ORDER123456")
    assert answer["customerEmail"] == "customer@example.com"
    assert answer["timestamp"] == record["timestamp"]
    assert answer["timestamp"].endswith("Z")
    assert int(record["ttl"]) - time.time() > 89 * limits.DAY
    stack.wait_for_status("ORDER123456", "DELIVERED")
    (mail,) = stack.inbox("ORDER123456")
    assert mail["from"][0]["address"] == "orders@example.com"
    assert [to["address"] for to in mail["to"]] == ["customer@example.com"]
    assert mail["headers"]["auto-submitted"] == "auto-generated"
    for part in (mail["html"], mail["text"]):
        assert "$59.98" in part
        assert "Product Name" in part


def test_the_same_event_50_times_at_once_is_one_mail(stack: RunningStack) -> None:
    order_id = fresh("FIFTY")
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(stack.publish, [event(order_id)] * 50))
    stack.wait_for_status(order_id, "DELIVERED")
    until(lambda: stack.waiting() == 0, seconds=120, what="an empty queue")
    assert len(stack.inbox(order_id)) == 1
    ends = [path[-1] for path in stack.paths(order_id)]
    assert ends.count("Sent") == 1
    assert ends.count("Duplicate") == 49
    assert set(ends) <= {"Sent", "Duplicate", "InProgress"}
    assert stack.waiting("email-order-dlq") == 0


def test_a_malformed_event_is_kept_with_all_its_reasons_and_not_retried(
    stack: RunningStack,
) -> None:
    order_id = fresh("MALFORMED")
    stack.publish(json.dumps(load_event("malformed") | {"orderId": order_id}))
    record = stack.wait_for_status(order_id, "REJECTED")
    assert len(record["reasons"]) == 8
    assert "orderItems[1].price: must be an amount" in " ".join(record["reasons"])
    assert json.loads(record["event"])["orderId"] == order_id
    assert int(record["ttl"]) - time.time() < limits.REJECTED_EVENT_TTL + 1
    until(lambda: stack.waiting() == 0, what="an empty queue")
    assert [p[-1] for p in stack.paths(order_id)] == ["Rejected"]


def test_what_is_not_even_json_is_found_under_unknown(stack: RunningStack) -> None:
    nonsense = f"order? {secrets.token_hex(4)}"
    stack.publish(nonsense, nonsense)

    def found() -> list[Json]:
        records = map(stack.whole, stack.records("UNKNOWN"))
        return [record for record in records if record["event"] == nonsense]

    until(found, what="a record")
    until(lambda: stack.waiting() == 0, what="an empty queue")
    (record,) = found()
    assert record["status"] == "REJECTED"


def test_a_message_too_large_for_an_execution_is_kept_with_its_reason(stack: RunningStack) -> None:
    large = event(fresh("LARGE"), note='"' * 120_000)
    assert len(large.encode()) < limits.MESSAGE_MAX_BYTES
    stack.publish(large)
    (letter,) = until(stack.dead_letters, what="a dead letter")
    assert letter["Body"] == large
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "MessageTooLarge"


def test_nothing_personal_is_logged(stack: RunningStack) -> None:
    order_id = fresh("PRIVATE")
    stack.publish(event(order_id, customerName="Zacharias", customerEmail="zacharias@example.com"))
    stack.wait_for_status(order_id, "DELIVERED")
    logs = stack.client("logs")
    lines = [
        e["message"]
        for group in logs.describe_log_groups()["logGroups"]
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        )
        for e in page["events"]
    ]
    assert any(order_id in line for line in lines)
    assert not any("zacharias" in line.lower() or "Product Name" in line for line in lines)


def test_metrics_arrive_in_cloudwatch(stack: RunningStack) -> None:
    order_id = fresh("METRIC")
    stack.publish(event(order_id))
    stack.wait_for_status(order_id, "DELIVERED")

    def names() -> set[str]:
        listed = stack.client("cloudwatch").list_metrics(Namespace="EmailNotification-test")[
            "Metrics"
        ]
        assert all(m["Dimensions"] == [] for m in listed)
        return {m["MetricName"] for m in listed}

    until(lambda: {"EmailSent", "EmailDelivered"} <= names(), what="metrics")
