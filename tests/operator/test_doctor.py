"""`order-mail doctor`: each fault is named by its own check and by no other, with what mends it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.alarms import alarms
from infra.config import Config
from infra.operator.aws import Deployment
from infra.operator.doctor import checks, examine, facts
from infra.operator.doctor.checks import ALARMS, CHECKS, EVENTS, Place, State, judge
from infra.operator.doctor.facts import Skipped, Unknown, of_dns
from infra.operator.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.operator.doctor.checks import Finding

PLACE = Place("prod", "eu-central-1", "123456789012")
FUNCTION = PLACE.arn("lambda", "function:email-feedback")
EVENTS_QUEUE = PLACE.arn("sqs", "email-ses-events-queue")
HEALTHY: dict[str, Any] = {
    "place": PLACE,
    "volume": 40_000,
    "sender": "orders@shop.example",
    "identity": {"name": "shop.example", "VerifiedForSendingStatus": True},
    "dkim": {"SigningEnabled": True, "Status": "SUCCESS"},
    "mail_from": {
        "MailFromDomain": "bounce.shop.example",
        "MailFromDomainStatus": "SUCCESS",
    },
    "mail_from_mx": ["10 feedback-smtp.eu-central-1.amazonses.com."],
    "mail_from_txt": ["something else", "v=spf1 include:amazonses.com ~all"],
    "dmarc": {
        "records": ["v=DMARC1; p=none; rua=mailto:dmarc@shop.example"],
        "organization": "shop.example",
    },
    "account": {
        "ProductionAccessEnabled": True,
        "EnforcementStatus": "HEALTHY",
        "SendingEnabled": True,
        "SendQuota": {"Max24HourSend": 50_000.0, "MaxSendRate": 14.0},
        "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
    },
    "configuration_set": {
        "SendingOptions": {"SendingEnabled": True},
        "DeliveryOptions": {"TlsPolicy": "OPTIONAL"},
        "SuppressionOptions": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
    },
    "event_destinations": [
        {
            "Name": "ours",
            "Enabled": True,
            "MatchingEventTypes": sorted(EVENTS),
            "SnsDestination": {"TopicArn": PLACE.arn("sns", "email-ses-events")},
        }
    ],
    "orders_subscriptions": [
        {"Protocol": "sqs", "Endpoint": PLACE.arn("sqs", "email-order-queue")}
    ],
    "events_subscriptions": [{"Protocol": "lambda", "Endpoint": FUNCTION}],
    "alerts_subscriptions": [{"SubscriptionArn": "arn:aws:sns:eu-central-1:1:a:b"}],
    "dispatcher_mappings": [
        {"UUID": "d", "State": "Enabled", "ScalingConfig": {"MaximumConcurrency": 5}}
    ],
    "feedback_mappings": [],
    "lambda_limit": 1000,
    "alarms": [
        {
            "AlarmName": PLACE.name(name),
            "StateValue": "OK",
            "ActionsEnabled": True,
            "AlarmActions": ["arn"],
        }
        for name in ALARMS
    ],
    "cost_tags": [{"TagKey": "app", "Status": "Active"}],
}
WITH_QUEUE = {
    "events_subscriptions": [{"Protocol": "sqs", "Endpoint": EVENTS_QUEUE}],
    "feedback_mappings": [{"UUID": "f", "State": "Enabled", "EventSourceArn": EVENTS_QUEUE}],
}


def mends(found: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in found if finding.state is State.MEND}


def with_(*path: Any, value: Any) -> dict[str, Any]:
    """Return the healthy facts, but for one value deep in them."""
    changed = copy.deepcopy(HEALTHY)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("more", [{}, WITH_QUEUE, {"volume": None}])
def test_where_all_is_well_there_is_nothing_to_mend(more: dict[str, Any]) -> None:
    found = judge(HEALTHY | more)
    assert [f.state for f in found] == [State.OK] * len(CHECKS)
    assert len({f.check for f in found}) == len(CHECKS)


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    (with_("sender", value=None), "sender", "make deploy"),
    (
        with_("identity", value=None),
        "sender",
        "create-email-identity --email-identity shop.example",
    ),
    (with_("identity", "VerifiedForSendingStatus", value=False), "sender", "DkimAttributes.Tokens"),
    (with_("dkim", "Status", value="PENDING"), "DKIM", "DkimAttributes.Tokens"),
    (with_("dkim", "SigningEnabled", value=False), "DKIM", "--signing-enabled"),
    (
        with_("mail_from", "MailFromDomainStatus", value="PENDING"),
        "MAIL FROM",
        "bounce.shop.example. MX 10 feedback-smtp.eu-central-1.amazonses.com.",
    ),
    (with_("mail_from_mx", value=[]), "MX of MAIL FROM", "MX 10"),
    (
        with_("mail_from_mx", value=["10 feedback-smtp.us-east-1.amazonses.com."]),
        "MX of MAIL FROM",
        "feedback-smtp.eu-central-1",
    ),
    (with_("mail_from_txt", value=[]), "SPF", 'TXT "v=spf1 include:amazonses.com ~all"'),
    (with_("mail_from_txt", value=["v=spf1 -all"]), "SPF", "include:amazonses.com"),
    (
        with_("mail_from_txt", value=["v=spf1 include:amazonses.com ~all", "v=spf1 -all"]),
        "SPF",
        "include:amazonses.com",
    ),
    (with_("dmarc", "records", value=[]), "DMARC", '_dmarc.shop.example. TXT "v=DMARC1; p=none;'),
    (
        with_("dmarc", "records", value=["v=DMARC1; p=none", "v=DMARC1; p=reject"]),
        "DMARC",
        "p=none",
    ),
    (with_("dmarc", "records", value=["v=DMARC1"]), "DMARC", "p=none"),
    (with_("account", "ProductionAccessEnabled", value=False), "sandbox", "put-account-details"),
    (with_("account", "EnforcementStatus", value="PROBATION"), "enforcement", "support"),
    (with_("account", "SendingEnabled", value=False), "enforcement", "--sending-enabled"),
    (with_("volume", value=50_001), "daily quota", "--desired-value 50001"),
    (
        with_("account", "SendQuota", "MaxSendRate", value=2.0),
        "send rate",
        "--quota-code L-CDEF9B6B --desired-value 3",
    ),
    (
        with_("account", "SuppressionAttributes", value={"SuppressedReasons": ["BOUNCE"]}),
        "suppression list of the account",
        "put-account-suppression-attributes --suppressed-reasons BOUNCE COMPLAINT",
    ),
    (with_("configuration_set", value=None), "configuration set", "make deploy"),
    (
        with_("configuration_set", "SendingOptions", "SendingEnabled", value=False),
        "configuration set",
        "order-mail lift --env prod",
    ),
    (
        with_("configuration_set", "SuppressionOptions", "SuppressedReasons", value=["COMPLAINT"]),
        "suppression list of the configuration set",
        "put-configuration-set-suppression-options",
    ),
    (
        with_("event_destinations", value=[]),
        "SES's events",
        "create-configuration-set-event-destination",
    ),
    (
        with_("event_destinations", 0, "Enabled", value=False),
        "SES's events",
        "update-configuration-set-event-destination",
    ),
    (
        with_("event_destinations", 0, "MatchingEventTypes", value=sorted(EVENTS - {"BOUNCE"})),
        "SES's events",
        "--event-destination-name ours",
    ),
    (with_("orders_subscriptions", value=[]), "orders reach the queue", "RawMessageDelivery=true"),
    (with_("events_subscriptions", value=[]), "events reach feedback", FUNCTION),
    (
        HEALTHY | WITH_QUEUE | {"events_subscriptions": HEALTHY["events_subscriptions"]},
        "events reach feedback",
        EVENTS_QUEUE,
    ),
    (
        HEALTHY
        | WITH_QUEUE
        | {
            "feedback_mappings": [
                {"UUID": "f", "State": "Disabled", "EventSourceArn": EVENTS_QUEUE}
            ]
        },
        "feedback",
        "update-event-source-mapping --uuid f --enabled",
    ),
    (
        with_("dispatcher_mappings", 0, "State", value="Disabled"),
        "dispatcher",
        "update-event-source-mapping --uuid d --enabled",
    ),
    (with_("lambda_limit", value=10), "Lambda's concurrency", "L-B99A9384"),
    (with_("alerts_subscriptions", value=[]), "alerts", "sns subscribe"),
    (
        with_("alerts_subscriptions", 0, "SubscriptionArn", value="PendingConfirmation"),
        "alerts",
        "sns subscribe",
    ),
    (with_("alarms", value=HEALTHY["alarms"][1:]), "all alarms", "make deploy"),
    (
        with_("alarms", 0, "StateValue", value="ALARM"),
        "alarms are quiet",
        "--alarm-names email-bounce-rate-prod",
    ),
    (
        with_("alarms", 0, "ActionsEnabled", value=False),
        "alarms call somebody",
        "enable-alarm-actions",
    ),
    (with_("alarms", 0, "AlarmActions", value=[]), "alarms call somebody", "make deploy"),
    (with_("cost_tags", value=[]), "cost allocation tag", "TagKey=app,Status=Active"),
    (
        with_("cost_tags", 0, "Status", value="Inactive"),
        "cost allocation tag",
        "--region us-east-1",
    ),
]


@pytest.mark.parametrize(("planted", "named", "command"), FAULTS)
def test_each_fault_is_named_by_its_check_alone(
    planted: dict[str, Any], named: str, command: str
) -> None:
    found = mends(judge(planted))
    assert [*found] == [named]
    assert command in found[named].command


def test_every_check_has_a_fault_that_it_names() -> None:
    # Of MAIL FROM where there is none: the facts of DNS are none either, see below.
    assert {named for _, named, _ in FAULTS} == {check.name for check in CHECKS}


NO_MAIL_FROM = dict.fromkeys(("mail_from_mx", "mail_from_txt"), Skipped("none"))


def record(text: str) -> dict[str, Any]:
    return {"dmarc": HEALTHY["dmarc"] | {"records": [text]}}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "p=none, passed by DKIM and SPF"),
        (record("v=DMARC1;p=reject;aspf=s"), "p=reject, passed by DKIM"),
        ({"mail_from": {}} | NO_MAIL_FROM, "p=none, passed by DKIM"),
        ({"sender": "orders@mail.shop.example"}, "p=none, passed by DKIM and SPF"),
        (
            {"sender": "orders@mail.shop.example"} | record("v=DMARC1; p=none; adkim=s"),
            "p=none, passed by SPF",
        ),
    ],
)
def test_dmarc_is_passed_by_what_fits_the_sender(changed: dict[str, Any], words: str) -> None:
    (found,) = [f for f in judge(HEALTHY | changed) if f.check == "DMARC"]
    assert found.sentence == words


def test_dmarc_that_nothing_fits_is_to_be_mended() -> None:
    strict = record("v=DMARC1; p=reject; adkim=s; aspf=s")
    found = mends(judge(HEALTHY | {"sender": "orders@mail.shop.example"} | strict))
    assert [*found] == ["DMARC"]
    assert "p=reject" in found["DMARC"].command
    assert "adkim=s" not in found["DMARC"].command


def test_what_is_not_known_is_no_verdict() -> None:
    denied = Unknown("ListCostAllocationTags is denied to you")
    found = {f.check: f for f in judge(HEALTHY | {"cost_tags": denied})}
    assert found["cost allocation tag"].state is State.UNKNOWN
    assert found["cost allocation tag"].sentence == denied.why
    skipped = judge(HEALTHY | dict.fromkeys(facts.OF_DNS, Skipped("none here")))
    assert {f.check for f in skipped if f.state is State.SKIPPED} == {
        *("DKIM", "MAIL FROM", "MX of MAIL FROM", "SPF", "DMARC"),
    }
    assert mends(skipped) == {}


def test_the_alarms_are_those_that_are_deployed() -> None:
    environ = {
        "VERIFIED_DOMAIN": "shop.example",
        "CDK_DEFAULT_ACCOUNT": PLACE.account,
        "CDK_DEFAULT_REGION": PLACE.region,
    }
    assert {spec.name for spec in alarms(Config.from_environment(environ, local=False))} == set(
        ALARMS
    )


def test_more_alarms_than_are_free_are_no_fault() -> None:
    other = {"AlarmName": "other", "StateValue": "ALARM"}
    found = judge(with_("alarms", value=[*HEALTHY["alarms"], other]))
    assert mends(found) == {}
    (there,) = [f for f in found if f.check == "all alarms"]
    assert "1 more in this region than are free" in there.sentence


# --- the facts ------------------------------------------------------------------------------------

DOMAIN = {
    "name": "shop.example",
    "DkimAttributes": {"Status": "SUCCESS", "SigningEnabled": True},
    "MailFromAttributes": {"MailFromDomain": "bounce.shop.example"},
}
DNS = {
    ("bounce.shop.example", "MX"): ["10 feedback-smtp.eu-central-1.amazonses.com."],
    ("bounce.shop.example", "TXT"): ["v=spf1 include:amazonses.com ~all"],
    ("_dmarc.shop.example", "TXT"): ["v=DMARC1; p=none"],
}


def resolver(name: str, kind: str) -> list[str]:
    return DNS.get((name, kind), [])


def test_dns_is_asked_for_the_identity_s_records() -> None:
    told = of_dns([DOMAIN], "orders@mail.shop.example", resolver)
    assert told == {
        "dkim": DOMAIN["DkimAttributes"],
        "mail_from": DOMAIN["MailFromAttributes"],
        "mail_from_mx": DNS["bounce.shop.example", "MX"],
        "mail_from_txt": DNS["bounce.shop.example", "TXT"],
        # Of the domain above the sender's.
        "dmarc": {"records": ["v=DMARC1; p=none"], "organization": "shop.example"},
    }


def test_an_address_has_its_domain_s_keys_and_mail_from() -> None:
    address = {"name": "orders@shop.example", "DkimAttributes": {"Status": "NOT_STARTED"}}
    told = of_dns([address, DOMAIN], "orders@shop.example", resolver)
    assert told == of_dns([DOMAIN], "orders@shop.example", resolver)


def test_without_a_mail_from_domain_that_alone_is_named() -> None:
    told = of_dns([DOMAIN | {"MailFromAttributes": {}}], "orders@shop.example", resolver)
    found = mends(judge(HEALTHY | told))
    assert [*found] == ["MAIL FROM"]
    assert "--mail-from-domain bounce.shop.example" in found["MAIL FROM"].command


def test_dns_that_does_not_answer_says_nothing_of_the_record() -> None:
    def silent(*_: str) -> list[str]:
        raise facts.DnsFailure("DNS says nothing")

    told = of_dns([DOMAIN], "orders@shop.example", silent)
    assert told["dmarc"] == told["mail_from_mx"] == Unknown("DNS says nothing")


class Denying(Deployment):
    """A deployment of which its caller may ask nothing but who they are."""

    account = PLACE.account

    class _Client:
        meta = type("Meta", (), {"endpoint_url": "https://email.eu-central-1.amazonaws.com"})

        def __getattr__(self, operation: str) -> Callable[..., Any]:
            def refuse(*_: Any, **__: Any) -> Any:
                if operation == "get_paginator":
                    return type("Pages", (), {"paginate": refuse_page})
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)

            def refuse_page(**_: Any) -> Any:
                raise ClientError({"Error": {"Code": "AccessDenied"}}, "a page")

            return refuse

    def client(self, _: str) -> Any:
        return self._Client()


def test_who_may_ask_nothing_is_told_so() -> None:
    with pytest.raises(OperatorError, match="is denied to you") as refused:
        examine(Denying(PLACE.env, PLACE.region))
    assert refused.value.exit == 3


def test_each_fact_of_a_check_is_asked_for() -> None:
    asked = facts.gather(Denying(PLACE.env, PLACE.region), resolver)
    assert {name for check in checks.CHECKS for name in check.facts} == {
        *asked,
        *("place", "volume"),
    }
    assert set(HEALTHY) == {*asked, "place", "volume"}
