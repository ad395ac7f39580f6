"""`order-mail find`: what became of an order's mails, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from infra.operator.find import Moment, Story, find
from steps.ledger import rules
from steps.ledger.status import Status

if TYPE_CHECKING:
    from infra.operator.find import Finding
    from steps.ledger.rules import Record
    from tests.operator.environment import Environment

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
"""When the notification was claimed."""

JO = "Jo@example.com"

SEND, RECORD, DEDUP, VALIDATE, PROCESSOR = (
    f"/aws/lambda/email-{name}" for name in ("send", "record", "dedup", "validate", "processor")
)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def moment(seconds: float) -> str:
    return rules.iso(after(seconds).timestamp())


def a_record(status: Status, owner: str = "owner", **more: Any) -> Record:
    order_id = more.get("orderId", "ORDER1")
    return {
        "notificationId": rules.notification_id(order_id, "order.confirmed", JO),
        "orderId": order_id,
        "customerEmail": JO,
        "eventType": "order.confirmed",
        "status": status,
        "timestamp": moment(2),
        "owner": owner,
        "sequence": round(AT.timestamp() * 1000) + 3,
        "leaseUntil": round(AT.timestamp()) + 60,
        "ttl": round(AT.timestamp()) + 1000,
    } | more


def sent(status: Status, *events: str, **more: Any) -> Record:
    accepted: dict[str, Any] = {
        "sendingAt": round(after(1).timestamp()),
        "messageId": "0100-m",
        "events": {f"{event}|{moment(3)}#a" for event in events},
    }
    return a_record(status, **(accepted | more))


def only(finding: Finding) -> Story:
    (story,) = finding.stories
    return story


def happened(moments: list[Moment]) -> list[tuple[str, str, str]]:
    return [(m.at, m.what, m.detail) for m in moments]


def test_a_delivered_mail_and_its_timeline(environment: Environment) -> None:
    arn = environment.execution("ORDER1")
    environment.keep(sent(Status.DELIVERED, "Send", "Delivery", owner=arn))
    said = {"execution_id": arn, "order_id": "ORDER1"}
    environment.log(SEND, after(2), message="accepted", message_id="0100-m", **said)
    environment.log(RECORD, after(2), message="recorded", status="SENT", **said)
    finding = find(environment.deployment, "ORDER1")
    story = only(finding)
    assert story.words == "Delivered"
    assert story.announced == "Confirmation of the order"
    assert story.reason == "The recipient's server took the mail."
    assert happened(story.timeline) == [
        (moment(0), "Taken up: the notification was claimed", ""),
        (moment(1), "Handed to SES", ""),
        (moment(2), "Attempt: sent", "ORDER1-1a2b3c4d-1"),
        (moment(2), "Sent: SES accepted the mail", "message 0100-m"),
        (moment(3), "SES: sending", ""),
        (moment(3), "SES: delivered", ""),
    ]
    shown = f"{arn}?startDate={round(after(2).timestamp() * 1000)}"
    console = "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1"
    assert [m.link for m in story.timeline if m.link] == [
        f"{console}#/express-executions/details/{shown}"
    ]
    assert (finding.notes, finding.unasked, finding.elsewhere) == ([], [], [])
    assert not finding.is_empty


@pytest.mark.parametrize("which", ["message", "notification", "execution", "arn"])
def test_every_name_of_an_order_finds_it(which: str, environment: Environment) -> None:
    arn = environment.execution("ORDER1")
    record = sent(Status.DELIVERED, "Delivery", owner=arn)
    environment.keep(record)
    terms = {
        "message": "0100-m",
        "notification": record["notificationId"],
        "execution": "ORDER1-1a2b3c4d-1",
        "arn": arn,
    }
    assert only(find(environment.deployment, terms[which])).order_id == "ORDER1"
