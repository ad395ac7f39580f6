"""A resend: the right mail is sent again, once, and whatever is wrong with the event is said before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from infra.operator.cli.base import cli
from infra.operator.errors import NotFound, Refused
from infra.operator.resend import prepare, prepare_retry, publish, read_event
from steps.ledger import rules
from tests.conftest import load_event
from tests.operator.environment import ADDRESS, ENV, REGION, audit_lines, keep

if TYPE_CHECKING:
    from pathlib import Path

    from infra.operator.aws import Deployment
    from tests.operator.environment import Environment

ORDER = "O-1"


def event(**changes: Any) -> dict[str, Any]:
    return load_event("order") | {"orderId": ORDER} | changes


def shipped(**changes: Any) -> dict[str, Any]:
    return event(
        eventType="order.shipped", carrier="UPS", eventTimestamp="2026-11-20T00:00:00Z", **changes
    )


def sent(
    event_type: str = "order.confirmed",
    to: str = ADDRESS,
    part: dict[str, str] | None = None,
    **more: Any,
) -> str:
    """Keep the record of a mail that arrived; return its id."""
    notification_id = rules.notification_id(ORDER, event_type, to, part)
    record = {
        "notificationId": notification_id,
        "orderId": ORDER,
        "eventType": event_type,
        "customerEmail": to,
        "status": "DELIVERED",
        "timestamp": "2026-11-21T00:00:00Z",
        "owner": "x",
    }
    keep(record | ({"part": part} if part else {}) | more)
    return notification_id


def test_the_mail_of_the_event_s_kind_is_sent_again(deployment: Deployment) -> None:
    confirmed = sent()
    sent("order.shipped")
    answer = prepare(deployment, ORDER, event(), of="", why="Lost, says jo@example.com")
    assert (answer.of, answer.event_type, answer.status) == (confirmed, "order.confirmed", "")
    mark = json.loads(answer.event)["resend"]
    assert (mark["of"], mark["reason"]) == (confirmed, "Lost, says (address)")
    assert answer.notification_id not in {confirmed, ""}
    assert audit_lines() == []


def test_the_same_call_twice_is_one_mail(deployment: Deployment) -> None:
    of = sent()
    first = prepare(deployment, ORDER, event(), of="", why="Lost")
    keep(
        {
            "notificationId": first.notification_id,
            "orderId": ORDER,
            "eventType": "order.confirmed",
            "customerEmail": ADDRESS,
            "status": "SENT",
            "resendOf": of,
        }
    )
    again = prepare(deployment, ORDER, event(), of="", why="Lost")
    assert (again.of, again.notification_id) == (of, first.notification_id)
    assert again.status == "SENT"
    another = prepare(deployment, ORDER, event(), of="", why="Lost again")
    assert another.status == ""


def test_the_part_or_the_recipient_chooses_among_several(deployment: Deployment) -> None:
    whole, p1, p2 = (
        sent("order.shipped", part=part)
        for part in (None, {"shipmentId": "P1"}, {"shipmentId": "P2"})
    )
    other = sent("order.shipped", to="other@example.com", part={"shipmentId": "P1"})
    for of, changes in (
        (whole, {}),
        (p1, {"shipmentId": "P1"}),
        (p2, {"shipmentId": "P2"}),
        (other, {"shipmentId": "P1", "customerEmail": "Other@example.com"}),
    ):
        assert prepare(deployment, ORDER, shipped(**changes), of="", why="x").of == of
    third = shipped(shipmentId="P1", customerEmail="third@example.com")
    with pytest.raises(Refused, match="several") as refused:
        prepare(deployment, ORDER, third, of="", why="x")
    assert {p1, other} == {word for word in (p1, p2, other, whole) if word in str(refused.value)}
    assert "@" not in str(refused.value)
    assert prepare(deployment, ORDER, third, of=other, why="x").of == other


def test_where_none_fits_the_choice_is_named(deployment: Deployment) -> None:
    with pytest.raises(NotFound, match="no notification that could be"):
        prepare(deployment, ORDER, event(), of="", why="x")
    of = sent()
    with pytest.raises(NotFound, match=of):
        prepare(deployment, ORDER, shipped(), of="", why="x")
    with pytest.raises(NotFound, match=of):
        prepare(deployment, ORDER, event(), of="a" * 40, why="x")
    with pytest.raises(Refused, match="orderId is another"):
        prepare(deployment, ORDER, event(orderId="O-2"), of="", why="x")


def test_all_that_is_wrong_with_the_event_is_said_at_once(deployment: Deployment) -> None:
    sent()
    wrong = event(orderTotal="a lot", customerEmail="nobody")
    with pytest.raises(Refused) as refused:
        prepare(deployment, ORDER, wrong, of="", why="x")
    assert "orderTotal: " in str(refused.value)
    assert "customerEmail: " in str(refused.value)


def test_nothing_of_an_erased_customer_is_sent_again(deployment: Deployment) -> None:
    sent(erasedAt="2026-11-25T00:00:00Z")
    with pytest.raises(Refused, match="erased"):
        prepare(deployment, ORDER, event(), of="", why="x")


def test_what_is_published_is_audited(deployment: Deployment) -> None:
    of = sent()
    topic = f"arn:aws:sns:{REGION}:{deployment.account}:email-order-events-{ENV}"
    sqs, sns = deployment.client("sqs"), deployment.client("sns")
    queue = f"arn:aws:sqs:{REGION}:{deployment.account}:email-order-queue-{ENV}"
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"}
    )
    answer = prepare(deployment, ORDER, event(), of="", why="Lost")
    publish(deployment, answer, why="Lost")
    url = deployment.queue_url("email-order-queue")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["resend"]["of"] == of
    begun, done = audit_lines()
    assert (begun["what"], begun["order"], begun["of"], done["state"]) == (
        "resend",
        ORDER,
        of,
        "done",
    )


@pytest.mark.parametrize("text", ["no JSON", "[1]", "[" * 100_000])
def test_a_file_without_an_event_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(text)
    with pytest.raises(Refused, match=r"event\.json"):
        read_event(file)


@pytest.mark.usefixtures("deployment")
def test_the_command_asks_and_prints_no_address(environment: Environment, tmp_path: Path) -> None:
    sent()
    file = tmp_path / "event.json"
    file.write_text("\ufeff" + json.dumps(event()))
    words = ["resend", ORDER, "--event", str(file), "--reason", "Lost", "--env", ENV]
    words += ["--region", REGION]
    refused = CliRunner().invoke(cli, words, input="n\n")
    assert (refused.exit_code, audit_lines()) == (1, [])
    assert "would go to the same address as before" in " ".join(refused.stderr.split())
    file.write_text(json.dumps(event(customerEmail="other@example.com")))
    environment.ses.sends = False
    refused = CliRunner().invoke(cli, words, input="n\n")
    assert "would go to ANOTHER address than before" in " ".join(refused.stderr.split())
    assert "Sending is paused" in refused.stderr
    file.write_text(json.dumps(event()))
    done = CliRunner().invoke(cli, [*words, "--yes", "--json"])
    assert done.exit_code == 0
    assert "@" not in done.output
    assert set(json.loads(done.stdout)) == {
        "order_id",
        "event_type",
        "of",
        "notification_id",
        "same_address",
        "status",
    }


def test_a_retry_waits_until_the_address_is_off_the_list(
    environment: Environment, tmp_path: Path
) -> None:
    of = sent(status="BOUNCED", reason="Permanent/OnAccountSuppressionList")
    (file := tmp_path / "event.json").write_text(json.dumps(event()))
    words = ["suppression", "retry", ORDER, "--event", str(file), "--reason", "New mailbox"]
    words += ["--env", ENV, "--region", REGION, "--json"]
    since = datetime(2026, 11, 2, tzinfo=UTC)
    environment.ses.listed[ADDRESS] = {"Reason": "BOUNCE", "LastUpdateTime": since}
    refused = CliRunner().invoke(cli, [*words, "--yes"])
    assert "still on the list" in json.loads(refused.stdout)["error"]
    environment.ses.listed.clear()
    assert CliRunner().invoke(cli, words, input="n\n").exit_code == 1
    assert audit_lines() == []
    declined = CliRunner().invoke(cli, words, input="n\n")
    assert json.loads(declined.stdout)["error"].startswith("nothing was changed")
    done = CliRunner().invoke(cli, [*words, "--yes"])
    assert (done.exit_code, json.loads(done.stdout)["of"]) == (0, of)
    assert [line["state"] for line in audit_lines()] == ["begun", "done"]


def test_a_retry_means_the_newest_mail_that_was_kept_back(deployment: Deployment) -> None:
    first = sent(status="BOUNCED", reason="Permanent/General")
    resent = {"notificationId": "f" * 40, "resendOf": first, "timestamp": "2026-11-22T00:00:00Z"}
    kept_back = {"status": "BOUNCED", "reason": "Permanent/OnAccountSuppressionList"}
    keep(deployment.ledger.whole(first) | resent | kept_back)
    assert prepare_retry(deployment, ORDER, event(), of="", why="New mailbox").of == "f" * 40
    with pytest.raises(Refused, match="did not keep this mail back"):
        prepare_retry(deployment, ORDER, event(), of=first, why="New mailbox")
