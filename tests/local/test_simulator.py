"""Each answer that SES can give ends in its status, end to end: the simulator's mailboxes and more."""

from __future__ import annotations

import json
import secrets
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.running_stack import RunningStack, until
from infra.local.ses.upstream import Upstream
from tests.conftest import load_event

pytestmark = pytest.mark.usefixtures("ses_as_it_was")

SUPPRESSED = "Permanent/OnAccountSuppressionList"


def order(stack: RunningStack, recipient: str) -> str:
    """Publish an order for this recipient; return its id."""
    order_id = f"SES-{secrets.token_hex(3)}"
    changes = {"orderId": order_id, "customerEmail": recipient}
    stack.publish(json.dumps(load_event("order") | changes))
    return order_id


def events(record: dict[str, Any]) -> set[str]:
    """Return the types of the events that a record holds."""
    return {event.partition("|")[0] for event in record.get("events", ())}


@pytest.mark.parametrize(
    ("box", "status", "reason", "mails"),
    [
        ("success", "DELIVERED", None, 1),
        ("bounce", "BOUNCED", "Permanent/General", 0),
        ("complaint", "COMPLAINED", "abuse", 1),
        ("suppressionlist", "BOUNCED", "Permanent/General", 0),
    ],
)
def test_the_simulators_mailboxes(
    stack: RunningStack, box: str, status: str, reason: str | None, mails: int
) -> None:
    order_id = order(stack, f"{box}+{secrets.token_hex(3)}@simulator.amazonses.com")
    record = stack.wait_for_status(order_id, status)
    assert record.get("reason") == reason
    if mails:  # The inbox's page knows of a mail a little after its SMTP server took it.
        until(lambda: stack.inbox(order_id), what="the mail in the inbox")
    assert len(stack.inbox(order_id)) == mails


def test_an_automatic_reply_is_no_bounce(stack: RunningStack) -> None:
    order_id = order(stack, "ooto@simulator.amazonses.com")
    told = {"Delivery", "Bounce"}  # In any order, and the reply alone proves that it arrived.
    record = until(
        lambda: r if events(r := stack.record(order_id)) >= told else None, what="both events"
    )
    assert record["status"] == "DELIVERED"


def test_bounced_then_delivered_is_bounced(stack: RunningStack) -> None:
    order_id = order(stack, "bounce@simulator.amazonses.com")
    record = stack.wait_for_status(order_id, "BOUNCED")
    by_hand(stack, record, "Delivery")
    record = until(
        lambda: r if "Delivery" in events(r := stack.record(order_id)) else None, what="it"
    )
    assert record["status"] == "BOUNCED"


def test_delivered_then_bounced_is_bounced(stack: RunningStack) -> None:
    order_id = order(stack, "customer@example.com")
    record = stack.wait_for_status(order_id, "DELIVERED")
    by_hand(stack, record, "Bounce", bounceSubType="NoEmail")
    record = stack.wait_for_status(order_id, "BOUNCED")
    assert record["reason"] == "Permanent/NoEmail"


def test_a_mail_to_a_suppressed_address_says_so(stack: RunningStack) -> None:
    recipient = f"gone-{secrets.token_hex(3)}@example.com"
    settings = stack.settings.client | {"endpoint_url": stack.plan.ses_url}
    ses = boto3.client("sesv2", **settings)
    ses.put_suppressed_destination(EmailAddress=recipient, Reason="BOUNCE")
    order_id = order(stack, recipient)
    record = stack.wait_for_status(order_id, "BOUNCED")
    assert record["reason"] == SUPPRESSED
    assert stack.inbox(order_id) == []


def test_a_hard_bounce_suppresses_the_address_for_the_next_order(stack: RunningStack) -> None:
    recipient = f"bounces-{secrets.token_hex(3)}@example.com"
    first = order(stack, recipient)
    by_hand(stack, stack.wait_for_status(first, "DELIVERED"), "Bounce")
    stack.wait_for_status(first, "BOUNCED")
    record = stack.wait_for_status(order(stack, recipient), "BOUNCED")
    assert record["reason"] == SUPPRESSED


def test_nobody_but_ses_publishes_events(stack: RunningStack) -> None:
    order_id = order(stack, "customer@example.com")
    record = stack.wait_for_status(order_id, "DELIVERED")
    forged = load_event("ses/bounce-permanent")
    forged["mail"] |= {"messageId": record["messageId"]}
    forged["mail"]["tags"]["notificationId"] = [record["notificationId"]]
    with pytest.raises(ClientError, match="AuthorizationError"):
        stack.client("sns").publish(
            TopicArn=stack.arn("sns", "email-ses-events"), Message=json.dumps(forged)
        )
    assert stack.record(order_id)["status"] == "DELIVERED"


@pytest.mark.usefixtures("impatient_events")
def test_what_is_no_event_of_ses_ends_in_the_dead_letters_with_its_reason(
    stack: RunningStack,
) -> None:
    settings = stack.settings
    ses = Upstream(settings.aws_url, account=settings.account, region=settings.region)
    ses.publish(
        stack.arn("sns", "email-ses-events"),
        {"eventType": "Bounce"},
        configuration_set=stack.name("email-notifications"),
    )
    ses.close()
    letter, *_ = until(
        lambda: [
            letter
            for letter in stack.dead_letters("email-internal-dlq")
            if json.loads(letter["Body"]) == {"eventType": "Bounce"}
        ],
        what="the dead letter",
    )
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "InvalidSesEvent"


def by_hand(stack: RunningStack, record: dict[str, Any], event_type: str, **detail: Any) -> None:
    """Let SES publish one more event of a record's mail."""
    asked = {"messageId": record["messageId"], "eventType": event_type, "detail": detail}
    stack.ses("events", asked, method="POST")
