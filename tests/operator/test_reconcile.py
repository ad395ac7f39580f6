"""`order-mail reconcile`: which orders of a shop's list have no outcome, and where they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from infra.operator.aws import Deployment
from infra.operator.reconcile import Missing, Stuck, hidden, order_ids, outcome, reconcile, stuck
from steps.contract import limits
from steps.contract.order_id import shown
from steps.ledger.rules import iso
from steps.ledger.status import Status
from steps.reconciliation import ReconciliationSettings
from tests.operator.environment import ENV, MESSAGE, keep, put

if TYPE_CHECKING:
    from steps.ledger.rules import Record
    from tests.operator.environment import Environment

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
SINCE = iso(AT.timestamp())


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("A\nB\n\nA\n", ["A", "B"]),
        ("orderId\nA\n", ["A"]),
        ("\ufeffplaced,Order_ID\n2026,A\n2026,\n", ["A"]),
        ("order,placed\nA,2026\nB\n", ["A", "B"]),
        ('"orderId","total"\n"A,1","3"\n', ["A,1"]),
        ("datum;orderId;summe\n2026;A;3,50\n2026;B,2;4,00\n", ["A", "B,2"]),
        ("orderId\tname\nA\tx;y\n", ["A"]),
        ("orderId;Betrag, netto\nA;3\n", ["A"]),
        ("", []),
        ("\n", []),
    ],
)
def test_a_list_is_read_as_shops_write_it(text: str, ids: list[str]) -> None:
    assert order_ids(text) == ids


@pytest.mark.parametrize(
    ("statuses", "says"),
    [
        ([], ""),
        (["DELIVERED", "CLAIMED"], "CLAIMED"),
        (["DELIVERED", "FAILED"], "FAILED"),
        (["REJECTED", "BOUNCED"], "BOUNCED"),
        (["REJECTED"], "REJECTED"),
    ],
)
def test_what_an_orders_records_say_together(statuses: list[str], says: str) -> None:
    assert outcome([{"status": status} for status in statuses]) == says


def a_record(order_id: str, status: Status) -> Record:
    return {
        "notificationId": f"id-{order_id}",
        "orderId": order_id,
        "customerEmail": "jo@example.com",
        "status": status,
        "timestamp": SINCE,
    }


def test_each_order_without_an_outcome_is_told_with_its_place(environment: Environment) -> None:
    for order_id, status in (
        ("SENT", Status.SENT),
        ("BAD", Status.REJECTED),
        ("LOST", Status.FAILED),
        ("BUSY", Status.SENDING),
    ):
        keep(a_record(order_id, status))
    waits: dict[str, Any] = {"message_id": MESSAGE, "reason": "QuotaExceeded", "delay": 60}
    environment.log("/aws/lambda/email-processor", AT, message="later", order_id="WAITS", **waits)
    environment.log(
        "/aws/lambda/email-validate", AT, message="event rejected", order_id="VALIDATED", reasons=[]
    )
    put(
        environment.deployment,
        "email-order-dlq",
        json.dumps({"orderId": "DEAD"}),
        reason="UnexpectedError",
    )
    asked: list[None] = []
    orders = ["SENT", "BAD", "LOST", "BUSY", "WAITS", "VALIDATED", "DEAD", "GONE"]
    found = reconcile(environment.deployment, orders, asked=lambda: asked.append(None))
    assert len(asked) == 8
    assert (found.orders, found.mailed, found.rejected, found.failed) == (8, 1, 1, 1)
    assert found.notes == []
    assert {m.order_id: (m.status, m.seen.partition(":")[0]) for m in found.missing} == {
        "BUSY": ("SENDING", "its record"),
        "WAITS": ("", "order queue"),
        "VALIDATED": ("", "the log of validate"),
        "DEAD": ("", "dead letters (email-order-dlq)"),
        "GONE": ("", "nowhere"),
    }
    assert found.missing[-1] == Missing(
        order_id="GONE", seen="nowhere", next_step="Have the shop publish it."
    )


def test_an_order_id_that_is_an_address_is_hidden(environment: Environment) -> None:
    (missing,) = hidden(reconcile(environment.deployment, ["jo@example.com"]).missing)
    assert missing.order_id == shown("jo@example.com")


def test_without_a_list_every_mail_that_is_stuck_is_told_the_oldest_first(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits_for = timedelta(hours=4)  # in doubt, by the deployment's setting
    settings = ReconciliationSettings(
        tracking_table="t",
        reports_table="r",
        metrics_namespace="m",
        in_doubt_grace_seconds=int(waits_for.total_seconds()),
        environment_suffix=ENV,
    )

    def settings_of(_: Deployment, function: str) -> dict[str, str]:
        assert function == "email-reconciliation"
        return settings.to_env()

    monkeypatch.setattr(Deployment, "settings_of", settings_of)
    hours = {
        "UNSURE": (Status.SENDING, 5),
        "TAKEN": (Status.CLAIMED, 6),
        "WAITING": (Status.SENDING, 3),
        "SILENT": (Status.SENT, 21),
        "BUSY": (Status.SENDING, 0),
        "SENT": (Status.SENT, 19),
        "ARRIVED": (Status.DELIVERED, 48),
        "GIVEN-UP": (Status.FAILED, 48),
        "CANARY-20261130T031500Z": (Status.SENT, 48),
        "CANARY-CAGE": (Status.SENT, 49),
    }
    since = {
        name: iso(datetime.now(UTC).timestamp() - age * 3600) for name, (_, age) in hours.items()
    }
    for name, (status, _) in hours.items():
        keep(a_record(name, status) | {"timestamp": since[name]})
    read: list[int] = []
    assert stuck(environment.deployment, read=read.append) == [
        Stuck(order_id=name, kind=kind, status=hours[name][0], since=since[name])
        for name, kind in (
            ("CANARY-CAGE", "silent"),
            ("SILENT", "silent"),
            ("TAKEN", "unsettled"),
            ("UNSURE", "unsettled"),
        )
    ]
    assert read == list(range(1, limits.SCAN_SEGMENTS + 1))
