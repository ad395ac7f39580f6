"""`order-mail doctor` and `order-mail suppression` on the local stack, as a person calls them."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.running_stack import until
from steps.contract.order_id import shown
from tests.support.operator_cli import OrderMail, order_mail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.running_stack import Json, RunningStack

pytestmark = pytest.mark.usefixtures("no_dead_letters")

NOT_ON_THE_LAPTOP = {
    *("DKIM", "MAIL FROM", "MX of MAIL FROM", "SPF", "DMARC"),
    "cost allocation tag",
}
OF_OTHER_TESTS = "alarms are quiet"
"""What other tests do on the same stack may ring an alarm."""


def doctor(stack: RunningStack, *words: str, person: OrderMail | None = None) -> dict[str, Json]:
    """Return the findings by their checks; where no `person` asks, whoever may do everything does."""
    answer = (person or OrderMail(stack, {}))("doctor", "--json", *words)
    return {finding["check"]: finding for finding in answer.json["findings"]}


def states(found: dict[str, Json], state: str) -> set[str]:
    return {check for check, finding in found.items() if finding["state"] == state}


def mends(found: dict[str, Json]) -> set[str]:
    return states(found, "mend") - {OF_OTHER_TESTS}


@pytest.fixture(scope="module")
def somebody_hears_alerts(stack: RunningStack) -> Iterator[None]:
    subscription = stack.sns.subscribe(
        TopicArn=stack.arn("sns", "email-alerts"),
        Protocol="sqs",
        Endpoint=stack.arn("sqs", "email-internal-dlq"),
    )["SubscriptionArn"]
    yield
    stack.sns.unsubscribe(SubscriptionArn=subscription)


@contextmanager
def changed(do: Callable[[], Any], undo: Callable[[], Any]) -> Iterator[None]:
    do()
    try:
        yield
    finally:
        undo()


def test_without_anybody_who_hears_alerts_that_alone_is_named(stack: RunningStack) -> None:
    found = doctor(stack)
    assert mends(found) == {"alerts"}
    assert "--notification-endpoint" in found["alerts"]["command"]


@pytest.mark.usefixtures("somebody_hears_alerts")
def test_a_healthy_stack_has_nothing_to_mend_however_slowly_ses_answers(
    stack: RunningStack,
) -> None:
    quick = stack.ses("settings")["action_rate"]
    with changed(
        lambda: stack.ses("settings", {"action_rate": 1}),
        lambda: stack.ses("settings", {"action_rate": quick}),
    ):
        found = doctor(stack, "--volume", "40000")
    assert mends(found) == set()
    assert states(found, "not known") == set()
    assert states(found, "skipped") == NOT_ON_THE_LAPTOP


@pytest.mark.usefixtures("somebody_hears_alerts")
def test_each_fault_that_is_planted_is_named(stack: RunningStack) -> None:
    ses = stack.client("sesv2")
    lambda_, cloudwatch = stack.client("lambda"), stack.client("cloudwatch")
    name = {"ConfigurationSetName": stack.name("email-notifications")}
    (mapping,) = lambda_.list_event_source_mappings(FunctionName=stack.name("email-processor"))[
        "EventSourceMappings"
    ]
    (destination,) = ses.get_configuration_set_event_destinations(**name)["EventDestinations"]
    event_name = destination.pop("Name")
    events = stack.arn("sns", "email-ses-events")
    (heard,) = stack.sns.list_subscriptions_by_topic(TopicArn=events)["Subscriptions"]
    attributes = stack.sns.get_subscription_attributes(SubscriptionArn=heard["SubscriptionArn"])[
        "Attributes"
    ]
    kept = {k: attributes[k] for k in ("RawMessageDelivery", "RedrivePolicy") if k in attributes}
    alarm = stack.name("email-cost-budget")

    def dispatch(*, on: bool) -> None:
        lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)

    def pause(*, on: bool) -> None:
        ses.put_configuration_set_sending_options(**name, SendingEnabled=not on)

    def tell(*, on: bool) -> None:
        ses.update_configuration_set_event_destination(
            **name, EventDestinationName=event_name, EventDestination=destination | {"Enabled": on}
        )

    def suppress(*reasons: str) -> None:
        ses.put_configuration_set_suppression_options(**name, SuppressedReasons=[*reasons])

    def suppress_all(*reasons: str) -> None:
        ses.put_account_suppression_attributes(SuppressedReasons=[*reasons])

    def listen() -> None:
        stack.sns.subscribe(
            TopicArn=events,
            Protocol=heard["Protocol"],
            Endpoint=heard["Endpoint"],
            Attributes=kept,
        )

    def act(*, on: bool) -> None:
        change = cloudwatch.enable_alarm_actions if on else cloudwatch.disable_alarm_actions
        change(AlarmNames=[alarm])

    both = ("BOUNCE", "COMPLAINT")
    planted: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "dispatcher": (lambda: dispatch(on=False), lambda: dispatch(on=True)),
        "configuration set": (lambda: pause(on=True), lambda: pause(on=False)),
        "SES's events": (lambda: tell(on=False), lambda: tell(on=True)),
        "suppression list of the configuration set": (
            lambda: suppress("BOUNCE"),
            lambda: suppress(*both),
        ),
        "suppression list of the account": (
            lambda: suppress_all("COMPLAINT"),
            lambda: suppress_all(*both),
        ),
        "events reach feedback": (
            lambda: stack.sns.unsubscribe(SubscriptionArn=heard["SubscriptionArn"]),
            listen,
        ),
        "alarms call somebody": (lambda: act(on=False), lambda: act(on=True)),
        "sandbox": (
            lambda: stack.ses("settings", {"sandbox": True}),
            lambda: stack.ses("settings", {"sandbox": False}),
        ),
    }
    for check, (do, undo) in planted.items():
        with changed(do, undo):
            assert mends(doctor(stack)) == {check}
    assert mends(doctor(stack)) == set()


@pytest.mark.usefixtures("somebody_hears_alerts")
def test_an_alarm_that_is_red_is_named(stack: RunningStack) -> None:
    cloudwatch, name = stack.client("cloudwatch"), stack.name("email-dead-letters")
    queue = stack.queue_url("email-order-dlq")

    def is_red() -> bool:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return bool(alarm["StateValue"] == "ALARM")

    with changed(
        lambda: stack.sqs.send_message(QueueUrl=queue, MessageBody="{}"), stack.dead_letters
    ):
        until(is_red, what="the alarm")
        assert name in doctor(stack)[OF_OTHER_TESTS]["command"]


# --- who may --------------------------------------------------------------------------------------


def test_an_operator_may_ask_all_of_it_and_a_stranger_nothing(stack: RunningStack) -> None:
    with order_mail(stack, "operator") as operator:
        assert states(doctor(stack, person=operator), "not known") == set()
    with order_mail(stack, "operator", "*") as stranger:
        refused = stranger("doctor", "--json")
    assert refused.exit == 3
    assert refused.json["error"].startswith("nothing was answered: ")
    assert "is denied to you" in refused.notes


# --- suppression ----------------------------------------------------------------------------------


def test_an_address_is_shown_and_taken_off_the_list(stack: RunningStack) -> None:
    address = f"Jo.Gone-{secrets.token_hex(3)}@example.com"
    ses = stack.client("sesv2")
    ses.put_suppressed_destination(EmailAddress=address.lower(), Reason="BOUNCE")
    with order_mail(stack, "support") as support:
        shown_first = support("suppression", "show", address, "--json")
        assert (shown_first.exit, shown_first.json["heeded"]) == (1, True)
        (entry,) = shown_first.json["entries"]
        assert (entry["spelling"], entry["reason"]) == ("lower case", "BOUNCE")
        why = "Jo called, jo@example.com is open again"
        words = ("suppression", "remove", address, "--reason", why, "--json")
        unsure = support(*words)  # and nobody there to say yes
        assert unsure.exit == 1
        assert "bounce rate" in unsure.notes
        removed = support(*words, "--yes")
        assert (removed.exit, removed.json) == (0, {"removed": 1})
        shown_then = support("suppression", "show", address, "--json")
        assert (shown_then.exit, shown_then.json["entries"]) == (0, [])
        assert "global list" in shown_then.json["note"]
        assert support(*words, "--yes").exit == 1
    pages = stack.client("logs").get_paginator("filter_log_events")
    lines = [
        json.loads(event["message"])
        for page in pages.paginate(logGroupName=stack.name("/order-mail/audit"))
        for event in page["events"]
        if "suppression remove" in event["message"]
    ]
    assert [(line["state"], line["address"]) for line in lines] == [
        ("begun", shown(address)),
        ("done", shown(address)),
    ]
    assert address.lower() not in json.dumps(lines).lower()
    assert "jo@example.com" not in json.dumps(lines)
