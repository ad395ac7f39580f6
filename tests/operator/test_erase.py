"""An erasure: all that names a customer goes, wherever it is, and it is said what stays."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from infra.operator import aws
from infra.operator.cli.base import cli
from infra.operator.erase import OUT_OF_REACH, Subject, Traces, count, erase
from infra.operator.errors import Refused
from infra.operator.letters import INTERNAL, ORDERS, peek
from steps.ledger import rules
from tests.operator.environment import (
    ADDRESS,
    ENV,
    REGION,
    an_order,
    audit_lines,
    keep,
    put,
    records,
)

if TYPE_CHECKING:
    from infra.operator.aws import Deployment

OTHER = "other@example.com"


def sent(order_id: str, to: str = ADDRESS) -> str:
    notification_id = rules.notification_id(order_id, "order.confirmed", to)
    keep(
        {
            "notificationId": notification_id,
            "orderId": order_id,
            "eventType": "order.confirmed",
            "customerEmail": to,
            "status": "DELIVERED",
            "timestamp": "2026-11-21T00:00:00Z",
            "owner": "x",
        }
    )
    return notification_id


def rejected(text: str) -> None:
    keep(
        {
            "notificationId": rules.rejected_id(text),
            "orderId": "UNKNOWN",
            "customerEmail": "",
            "status": "REJECTED",
            "timestamp": "2026-11-21T00:00:00Z",
            "owner": "x",
            "event": text,
            "reasons": ["$: is no JSON"],
        }
    )


def bounce_of(notification_id: str, to: str = ADDRESS) -> str:
    tags = {"notificationId": [notification_id]}
    return json.dumps({"eventType": "Bounce", "mail": {"destination": [to], "tags": tags}})


def test_an_address_is_erased_wherever_it_is(deployment: Deployment) -> None:
    sent("O-1")
    sent("O-2", ADDRESS.upper())
    sent("O-3", OTHER)
    rejected(f'{{"orderId": 5, "customerEmail": "{ADDRESS}"')
    rejected(f'{{"orderId": 5, "customerEmail": "{OTHER}"')
    keep({"notificationId": "pace"})
    put(deployment, ORDERS, an_order("O-4"))
    put(deployment, ORDERS, an_order("O-5", customerEmail=OTHER))
    put(deployment, INTERNAL, bounce_of("a" * 40))
    subject = Subject(address=ADDRESS)
    expected = Traces(records=2, rejected_events=1, dead_letters=2)
    assert count(deployment, subject) == expected
    assert [record for record in records() if "erasedAt" in record] == []

    answer = erase(deployment, subject, why="asked by jo@example.com")
    assert (answer.found, answer.left) == (expected, Traces())
    assert answer.out_of_reach == OUT_OF_REACH
    assert ADDRESS not in json.dumps(records(), default=str).casefold()
    assert len([record for record in records() if "erasedAt" in record]) == 3
    assert [letter.order_id for letter in peek(deployment, ORDERS).letters] == ["O-5"]
    assert peek(deployment, INTERNAL).letters == []
    lines = audit_lines()
    assert "@" not in json.dumps(lines)
    assert lines[-1]["found"] == asdict(expected)
    assert lines[-1]["orders"] == ["O-1", "O-2", "UNKNOWN"]
    assert erase(deployment, subject, why="again").found == Traces()


def test_of_an_order_go_its_records_and_letters_and_no_others(deployment: Deployment) -> None:
    of, other = sent("O-1"), sent("O-2")
    put(deployment, ORDERS, an_order("O-1"))
    put(deployment, ORDERS, an_order("O-2"))
    put(deployment, INTERNAL, bounce_of(of))
    put(deployment, INTERNAL, bounce_of(other))
    answer = erase(deployment, Subject(order="O-1"), why="x")
    assert answer.found == Traces(records=1, dead_letters=2)
    assert answer.left == Traces()
    assert [letter.order_id for letter in peek(deployment, ORDERS).letters] == ["O-2"]
    assert [letter.notification_id for letter in peek(deployment, INTERNAL).letters] == [other]
    assert {r["orderId"]: "erasedAt" in r for r in records()} == {"O-1": True, "O-2": False}


def test_a_record_that_changes_meanwhile_is_erased_as_it_is_then(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, written = sent("O-1"), rules.erased

    def changed_once(record: rules.Record, now: float) -> Any:
        update = written(record, now)
        if record["status"] == "DELIVERED":
            keep(record | {"status": "COMPLAINED"})
        return update

    monkeypatch.setattr(rules, "erased", changed_once)
    assert erase(deployment, Subject(order="O-1"), why="x").left == Traces()
    (record,) = records()
    assert (record["notificationId"], record["status"]) == (of, "COMPLAINED")
    assert (record["customerEmail"], "erasedAt" in record) == ("", True)


class SuppressionList:
    """SES's list: an entry is found by its spelling."""

    def __init__(self, *listed: str) -> None:
        self.listed = set(listed)

    def get_suppressed_destination(self, EmailAddress: str) -> Any:  # noqa: N803 - boto3's
        if EmailAddress not in self.listed:
            raise ClientError({"Error": {"Code": "NotFoundException"}}, "GetSuppressedDestination")
        return {"SuppressedDestination": {"EmailAddress": EmailAddress}}

    def delete_suppressed_destination(self, EmailAddress: str) -> None:  # noqa: N803
        self.listed.remove(EmailAddress)


def test_the_suppression_list_is_asked_only_where_that_is_said(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ses, door = SuppressionList("Jo@example.com", "jo@example.com", OTHER), aws._client
    monkeypatch.setattr(aws, "_client", lambda name, at: ses if name == "sesv2" else door(name, at))
    assert erase(deployment, Subject(address="Jo@example.com"), why="x").found == Traces()
    assert len(ses.listed) == 3
    answer = erase(deployment, Subject(address="Jo@example.com", suppression=True), why="x")
    assert answer.found == Traces(suppression_entries=2)
    assert ses.listed == {OTHER}


def test_the_command_asks_first(deployment: Deployment) -> None:
    sent("O-1")

    def order_mail(*words: str, answer: str = "") -> Any:
        all_words = ["erase", *words, "--reason", "x", "--env", ENV, "--region", REGION]
        return CliRunner().invoke(cli, all_words, input=answer)

    assert order_mail().exit_code == 2
    without_a_word = ["erase", "--address", ADDRESS, "--yes", "--env", ENV, "--region", REGION]
    assert CliRunner().invoke(cli, without_a_word).exit_code == 2
    counted = order_mail("--address", ADDRESS, "--dry-run", "--json")
    assert (counted.exit_code, json.loads(counted.stdout)["records"]) == (1, 1)
    assert audit_lines() == []
    assert order_mail("--order", "O-1", "--address", ADDRESS).exit_code == 2
    assert order_mail("--order", "O-1", "--suppression").exit_code == 2
    refused = order_mail("--address", ADDRESS, answer="n\n")
    assert (refused.exit_code, "records: 1" in refused.output) == (1, True)
    assert [record["customerEmail"] for record in records()] == [ADDRESS]
    done = order_mail("--address", ADDRESS, "--yes", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["left"] == asdict(Traces())
    assert order_mail("--address", ADDRESS, "--dry-run").exit_code == 0
    assert deployment.env == ENV


@pytest.mark.parametrize("word", ["example.com", "@example.com", "jo", "jo@", "SENT", " "])
def test_a_part_of_an_address_erases_nobody(deployment: Deployment, word: str) -> None:
    sent("O-1")
    with pytest.raises(Refused):
        erase(deployment, Subject(address=word), why="x")
    assert [record["customerEmail"] for record in records()] == [ADDRESS]
