"""`order-mail doctor` and `order-mail suppression` on the local stack, as a person calls them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.settings import ROOT
from steps.contract.order_id import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.running_stack import Json, RunningStack

NOT_ON_THE_LAPTOP = {
    *("DKIM", "MAIL FROM", "MX of MAIL FROM", "SPF", "DMARC"),
    "cost allocation tag",
}
OF_OTHER_TESTS = "alarms are quiet"
"""What other tests do on the same stack may ring an alarm."""


def order_mail(stack: RunningStack, *words: str, **keys: str) -> tuple[int, Any, str]:
    """Run a command; return its exit code, its JSON, and what it said to the person."""
    command = subprocess.run(
        [sys.executable, "-m", "infra.operator", *words, "--env", "test", "--json"],
        cwd=ROOT,
        env=os.environ | stack.settings.client_env | keys,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return command.returncode, json.loads(command.stdout or "null"), command.stderr


def doctor(stack: RunningStack, *words: str, **keys: str) -> dict[str, Json]:
    """Return the findings by their checks."""
    _, told, said = order_mail(stack, "doctor", *words, **keys)
    assert told, said
    return {finding["check"]: finding for finding in told["findings"]}


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
def test_a_healthy_stack_has_nothing_to_mend(stack: RunningStack) -> None:
    found = doctor(stack, "--volume", "40000")
    assert mends(found) == set()
    assert states(found, "not known") == set()
    assert states(found, "skipped") == NOT_ON_THE_LAPTOP


@pytest.mark.usefixtures("somebody_hears_alerts")
def test_each_fault_that_is_planted_is_named(stack: RunningStack) -> None:
    ses = stack.client("sesv2", retries={"mode": "standard", "total_max_attempts": 10})
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
    cloudwatch, name = stack.client("cloudwatch"), stack.name("email-cost-budget")

    def turn(state: str) -> None:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    with changed(lambda: turn("ALARM"), lambda: turn("OK")):
        assert name in doctor(stack)[OF_OTHER_TESTS]["command"]
    assert name not in doctor(stack)[OF_OTHER_TESTS]["command"]


# --- who may --------------------------------------------------------------------------------------


@contextmanager
def user(stack: RunningStack, policy: str = "") -> Iterator[dict[str, str]]:
    """Yield the keys of a person with one of the two policies, or without any."""
    iam, name = stack.client("iam"), f"person-{secrets.token_hex(3)}"
    arn = f"arn:aws:iam::{stack.settings.account}:policy/{policy}"
    iam.create_user(UserName=name)
    if policy:
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        if policy:
            iam.detach_user_policy(UserName=name, PolicyArn=arn)
        iam.delete_user(UserName=name)


def test_an_operator_may_ask_all_of_it_and_a_stranger_nothing(stack: RunningStack) -> None:
    with user(stack, stack.name("order-mail-operator")) as keys:
        assert states(doctor(stack, **keys), "not known") == set()
    with user(stack) as keys:
        code, told, said = order_mail(stack, "doctor", **keys)
    assert (code, told) == (3, None)
    assert "nothing was answered" in said
    assert "is denied to you" in said


# --- suppression ----------------------------------------------------------------------------------


def test_an_address_is_shown_and_taken_off_the_list(stack: RunningStack) -> None:
    address = f"Jo.Gone-{secrets.token_hex(3)}@example.com"
    ses = stack.client("sesv2", retries={"mode": "standard", "total_max_attempts": 10})
    ses.put_suppressed_destination(EmailAddress=address.lower(), Reason="BOUNCE")
    with user(stack, stack.name("order-mail-support")) as keys:
        code, told, _ = order_mail(stack, "suppression", "show", address, **keys)
        assert (code, told["heeded"]) == (1, True)
        assert [(e["spelling"], e["reason"]) for e in told["entries"]] == [("lower case", "BOUNCE")]
        why = "Jo called, jo@example.com is open again"
        words = ("suppression", "remove", address, "--reason", why)
        code, _, said = order_mail(stack, *words, **keys)  # and nobody there to say yes
        assert code == 1
        assert "bounce rate" in said
        code, told, said = order_mail(stack, *words, "--yes", **keys)
        assert (code, told) == (0, {"removed": 1}), said
        code, told, _ = order_mail(stack, "suppression", "show", address, **keys)
        assert (code, told["entries"]) == (0, [])
        assert "global list" in told["note"]
        assert order_mail(stack, *words, "--yes", **keys)[0] == 1
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
