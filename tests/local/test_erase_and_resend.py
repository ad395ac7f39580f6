"""End to end: what is erased stays erased and sends nothing, and what is sent again is one more mail."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local.running_stack import RunningStack, until
from steps.aws import ledger_table
from steps.aws.ledger_table import LedgerTable
from steps.contract.order_event import resend_event
from steps.ledger import erasure, rules
from tests.conftest import load_event


@pytest.fixture
def table(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> LedgerTable:
    client = stack.client("dynamodb")
    monkeypatch.setattr(ledger_table, "dynamodb", lambda: client)
    return LedgerTable(stack.table.name)


def event(order_id: str, **changes: Any) -> dict[str, Any]:
    return load_event("order") | {"orderId": order_id} | changes


def settled(stack: RunningStack) -> None:
    until(lambda: stack.waiting() == 0, seconds=120, what="an empty queue")


def test_what_is_erased_is_named_nowhere_and_sends_nothing(
    stack: RunningStack, table: LedgerTable
) -> None:
    order_id = f"ERASED-{secrets.token_hex(3)}"
    address = f"zoe.{secrets.token_hex(3)}@example.com"
    order = json.dumps(event(order_id, customerEmail=address))
    wrong = json.dumps(event(order_id, customerEmail=address, orderTotal="a lot"))
    stack.publish(order)
    stack.wait_for_status(order_id, "DELIVERED")
    stack.publish(wrong)
    records = until(
        lambda: r if len(r := stack.records(order_id)) == 2 else None, what="both records"
    )
    assert {record["customerEmail"] for record in records} == {address}

    for record in table.find_of_order(order_id):
        assert erasure.names(record, address=address.upper())
        assert table.write(rules.erased(record, 0)) is None

    another = json.dumps(event(order_id, customerEmail=address, orderTotal="still a lot"))
    stack.publish(order, wrong, another)
    until(lambda: len(stack.records(order_id)) == 3, what="the third record")
    settled(stack)
    assert len(stack.inbox(order_id)) == 1
    for record in stack.all_records():
        assert not erasure.names(record, address=address)
    ends = sorted(path[-1] for path in stack.paths(order_id))
    assert ends == ["Duplicate", "Rejected", "Rejected", "Rejected", "Sent"]
    assert {record["customerEmail"] for record in stack.records(order_id)} == {""}


def test_the_same_resend_twice_is_one_more_mail(stack: RunningStack) -> None:
    order_id = f"AGAIN-{secrets.token_hex(3)}"
    first = event(order_id)
    stack.publish(json.dumps(first))
    of = stack.wait_for_status(order_id, "DELIVERED")["notificationId"]
    for by in ("jo", "ann"):
        again = resend_event(first, of=of, reason="Lost", by=by, at=datetime.now(UTC))
        stack.publish(json.dumps(again))
    until(lambda: len(stack.inbox(order_id)) == 2, what="the second mail")
    until(lambda: len(stack.paths(order_id)) == 3, what="three executions")
    settled(stack)
    records = [stack.whole(record) for record in stack.records(order_id)]
    (resent,) = (record for record in records if record["notificationId"] != of)
    assert len(records) == 2
    assert (resent["resendOf"], resent["resend"]["reason"]) == (of, "Lost")
    assert resent["resend"]["by"] in ("jo", "ann")
    mails = stack.inbox(order_id)
    assert len(mails) == 2
    assert len({mail["headers"]["references"] for mail in mails}) == 2
