"""The checks of `doctor`: each is given facts by their names, and says that all is well or what to mend.

Nothing is asked here. A check whose facts are not known is not made, and says so.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from infra.operator.doctor.facts import Skipped, Unknown
from infra.operator.suppression import REASONS
from steps.contract.limits import DISPATCHER_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.operator.doctor.facts import Facts

Answer: TypeAlias = "dict[str, Any]"
Answers: TypeAlias = "list[dict[str, Any]]"

PEAK = 0.2
"""The share of a day's mails that is expected in its busiest hour: five times the average."""

FREE_ALARMS = 10
"""CloudWatch's, of an account."""

ALARMS = (
    *("email-bounce-rate", "email-complaint-rate", "email-no-mail-out", "email-queue-age"),
    *("email-lambda-errors", "email-workflow-failures", "email-rejections", "email-dead-letters"),
    *("email-internal-dead-letters", "email-cost-budget"),
)
"""Without their environment. A test holds them against infra/alarms.py, which imports CDK."""

EVENTS = frozenset(
    {
        *("SEND", "DELIVERY", "DELIVERY_DELAY", "BOUNCE", "COMPLAINT", "REJECT"),
        "RENDERING_FAILURE",
    }
)
"""All that the feedback function folds into records."""

BULK = "Gmail and Yahoo, from 5,000 mails a day"
SES = "SES's best practices"
OURS = "infra/README.md"

BY_HAND = (
    (
        "Gmail tells in Postmaster Tools alone how many of your mails its users call spam: register the domain "
        "there. Gmail and Yahoo want less than 0.1%, and refuse mails from 0.3% on."
    ),
    (
        "One-click unsubscribe is asked of marketing, not of order mails. If the shop puts offers into them, "
        "set LIST_UNSUBSCRIBE_URL."
    ),
    "A valid PTR and TLS are asked for, too: SES's servers have them.",
)
"""What no API tells, and what is so by itself."""


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    MEND = "mend"
    UNKNOWN = "not known"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found.

    command: mends it; a command line, a DNS record to be made, or a page. rule: who asks for it.
    """

    check: str
    state: State
    sentence: str
    command: str
    rule: str


class Place(NamedTuple):
    """Where the commands are for."""

    env: str
    region: str
    account: str

    def name(self, base: str) -> str:
        """Return a resource's name."""
        return f"{base}-{self.env}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of one of the environment's resources."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{self.name(resource)}"

    def aws(self, *words: str) -> str:
        """Return a command of the AWS CLI's."""
        return f"aws {shlex.join(words)} --region {self.region}"

    @property
    def deploy(self) -> str:
        """The command that deploys."""
        return f"ENVIRONMENT_SUFFIX={self.env} AWS_REGION={self.region} make deploy"


class Mend(NamedTuple):
    """Something to mend."""

    sentence: str
    command: str


Verdict: TypeAlias = "str | Mend"
"""What is well, or what is not."""


class Check(NamedTuple):
    """A check. With `absent` it judges facts that are None, too: things that do not exist."""

    name: str
    rule: str
    facts: tuple[str, ...]
    judge: Callable[..., Verdict]
    absent: bool


CHECKS: list[Check] = []


def check(
    name: str, rule: str, *, absent: bool = False
) -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Make a function a check; its parameters name the facts."""

    def add(judge: Callable[..., Verdict]) -> Callable[..., Verdict]:
        CHECKS.append(Check(name, rule, tuple(inspect.signature(judge).parameters), judge, absent))
        return judge

    return add


def judge(facts: Facts) -> list[Finding]:
    """Make all checks."""
    return [_finding(each, facts) for each in CHECKS]


def _finding(each: Check, facts: Facts) -> Finding:
    given = {name: facts[name] for name in each.facts}

    def found(state: State, sentence: str, command: str = "") -> Finding:
        return Finding(
            check=each.name, state=state, sentence=sentence, command=command, rule=each.rule
        )

    for fact in given.values():
        if isinstance(fact, Unknown):
            return found(State.UNKNOWN, fact.why)
        if isinstance(fact, Skipped):
            return found(State.SKIPPED, fact.why)
    missing = [name for name, fact in given.items() if fact is None and name != "volume"]
    if missing and not each.absent:
        return found(State.SKIPPED, f"there is no {missing[0].replace('_', ' ')}")
    verdict = each.judge(**given)
    if isinstance(verdict, Mend):
        return found(State.MEND, verdict.sentence, verdict.command)
    return found(State.OK, verdict)


# --- the sender -----------------------------------------------------------------------------------


@check("sender", SES, absent=True)
def _sender_is_verified(sender: str | None, identity: Answer | None, place: Place) -> Verdict:
    if sender is None:
        return Mend("email-send is not deployed, so nobody says who sends.", place.deploy)
    if identity is None:
        domain = sender.rpartition("@")[2]
        return Mend(
            f"SES does not know {domain}: put the three CNAME records of the answer into your DNS.",
            place.aws("sesv2", "create-email-identity", "--email-identity", domain),
        )
    if not identity["VerifiedForSendingStatus"]:
        return Mend(
            f"{identity['name']} is not verified: orders wait. Are the CNAME records in your DNS?",
            _tokens(identity["name"], place),
        )
    return f"{sender} may send: {identity['name']} is verified"


@check("DKIM", BULK)
def _dkim_signs(dkim: Answer, identity: Answer, place: Place) -> Verdict:
    name = identity["name"]
    if dkim.get("Status") != "SUCCESS":
        return Mend(
            f"The DKIM keys of {name} are {dkim.get('Status', 'not set up')}: mails are not signed as yours. "
            "Put the three CNAME records TOKEN._domainkey into your DNS.",
            _tokens(name, place),
        )
    if not dkim.get("SigningEnabled"):
        return Mend(
            f"DKIM is set up for {name}, and off.",
            place.aws(
                *("sesv2", "put-email-identity-dkim-attributes", "--email-identity", name),
                "--signing-enabled",
            ),
        )
    return f"mails are signed as {name}"


def _tokens(name: str, place: Place) -> str:
    return place.aws(
        *("sesv2", "get-email-identity", "--email-identity", name),
        *("--query", "DkimAttributes.Tokens"),
    )


@check("MAIL FROM", BULK)
def _mail_from_is_ours(mail_from: Answer, identity: Answer, place: Place) -> Verdict:
    name, domain = identity["name"], mail_from.get("MailFromDomain")
    if not domain:
        return Mend(
            "Bounces go to amazonses.com, so SPF passes for SES's domain and not for yours.",
            place.aws(
                *("sesv2", "put-email-identity-mail-from-attributes", "--email-identity", name),
                *("--mail-from-domain", f"bounce.{name.rpartition('@')[2]}"),
            ),
        )
    status = mail_from.get("MailFromDomainStatus")
    if status != "SUCCESS":
        return Mend(
            f"SES has not found the MX record of {domain} ({status}): until it does it sends as amazonses.com.",
            _mx(domain, place),
        )
    return f"bounces go to {domain}"


@check("MX of MAIL FROM", SES)
def _mail_from_has_its_mx(mail_from: Answer, mail_from_mx: list[str], place: Place) -> Verdict:
    domain = mail_from["MailFromDomain"]
    hosts = [record.split()[-1].rstrip(".").lower() for record in mail_from_mx]
    if hosts != [f"feedback-smtp.{place.region}.amazonses.com"]:
        return Mend(
            f"{domain} must have one MX record, SES's of this region; it has {', '.join(hosts) or 'none'}.",
            _mx(domain, place),
        )
    return f"{domain} leads to SES"


def _mx(domain: str, place: Place) -> str:
    return f"{domain}. MX 10 feedback-smtp.{place.region}.amazonses.com."


@check("SPF", BULK)
def _spf_names_ses(mail_from: Answer, mail_from_txt: list[str]) -> Verdict:
    domain = mail_from["MailFromDomain"]
    records = [text for text in mail_from_txt if re.match(r"v=spf1( |$)", text, re.IGNORECASE)]
    record = f'{domain}. TXT "v=spf1 include:amazonses.com ~all"'
    if len(records) != 1:
        return Mend(
            f"{domain} has {len(records) or 'no'} SPF record{'s' * (len(records) > 1)}, and must have one "
            "(RFC 7208, 4.5).",
            record,
        )
    if "include:amazonses.com" not in records[0].lower().split():
        return Mend(f"The SPF record of {domain} does not name SES.", record)
    return f"{domain} lets SES send"


@check("DMARC", BULK)
def _dmarc_has_a_policy(sender: str, identity: Answer, mail_from: Answer, dmarc: Answer) -> Verdict:
    domain, records = sender.rpartition("@")[2].lower(), dmarc["records"]
    record = f'_dmarc.{domain}. TXT "v=DMARC1; p=none; rua=mailto:dmarc@{domain}"'
    if len(records) != 1:
        return Mend(
            f"{domain} must have one DMARC record, and has {len(records) or 'none'}.", record
        )
    pairs = (tag.partition("=") for tag in records[0].split(";"))
    tags = {name.strip(): value.strip() for name, _, value in pairs}
    policy = tags.get("p", "").lower()
    if policy not in {"none", "quarantine", "reject"}:
        return Mend("The DMARC record has no policy (p=none, quarantine or reject).", record)
    signed = identity["name"].rpartition("@")[2].lower()
    bounces = (mail_from.get("MailFromDomain") or "amazonses.com").lower()

    def aligned(name: str, mode: str) -> bool:
        """Whether a domain is the sender's, or of the same organization where that will do."""
        above = domain if tags.get(mode) == "s" else f".{dmarc['organization']}"
        return name == domain or (above != domain and f".{name}".endswith(above))

    passes = (("DKIM", aligned(signed, "adkim")), ("SPF", aligned(bounces, "aspf")))
    by = " and ".join(name for name, fits in passes if fits)
    if not by:
        return Mend(
            f"Neither the signature ({signed}) nor MAIL FROM ({bounces}) is {domain}, as the record asks: "
            "leave out adkim=s and aspf=s.",
            record.replace("p=none", f"p={policy}"),
        )
    return f"p={policy}, passed by {by}"


# --- the account ----------------------------------------------------------------------------------


@check("sandbox", SES)
def _out_of_the_sandbox(account: Answer, sender: str, place: Place) -> Verdict:
    if account["ProductionAccessEnabled"]:
        return "the account sends to everybody"
    website = f"https://{sender.rpartition('@')[2]}"
    return Mend(
        "The account is in SES's sandbox: 200 mails a day, to verified addresses alone.",
        place.aws(
            *("sesv2", "put-account-details", "--production-access-enabled"),
            *("--mail-type", "TRANSACTIONAL", "--website-url", website),
        ),
    )


@check("enforcement", SES)
def _ses_has_nothing_against_us(account: Answer, place: Place) -> Verdict:
    status = account.get("EnforcementStatus", "HEALTHY")
    if status != "HEALTHY":
        return Mend(
            f"SES has put the account under {status}: answer its mail to the account's address.",
            "https://support.console.aws.amazon.com/support/home",
        )
    if not account["SendingEnabled"]:
        return Mend(
            "Sending is switched off for the whole account.",
            place.aws("sesv2", "put-account-sending-attributes", "--sending-enabled"),
        )
    return "the account is healthy and sends"


@check("daily quota", SES)
def _the_quota_is_enough(account: Answer, volume: int | None, place: Place) -> Verdict:
    quota = account["SendQuota"]["Max24HourSend"]
    if volume is not None and 0 <= quota < volume:  # -1: without bounds
        return Mend(
            f"{volume:,} mails a day are expected, and SES takes {quota:,.0f}.",
            _increase("ses", "L-804C8AE8", volume, place),
        )
    return f"{quota:,.0f} mails a day" if quota >= 0 else "mails a day without bounds"


@check("send rate", SES)
def _the_rate_is_enough(account: Answer, volume: int | None, place: Place) -> Verdict:
    rate = account["SendQuota"]["MaxSendRate"]
    peak = math.ceil((volume or 0) * PEAK / 3600)
    if rate < peak:
        return Mend(
            f"SES takes {rate:g} mails a second, and {peak} come in the busiest hour, if that has {PEAK:.0%} "
            "of a day's: the others wait.",
            _increase("ses", "L-CDEF9B6B", peak, place),
        )
    asked = (
        ""
        if volume is None
        else f", {peak} are expected in the busiest hour ({PEAK:.0%} of a day's)"
    )
    return f"{rate:g} mails a second{asked}"


def _increase(service: str, quota: str, value: int, place: Place) -> str:
    return place.aws(
        *("service-quotas", "request-service-quota-increase", "--service-code", service),
        *("--quota-code", quota, "--desired-value", str(value)),
    )


@check("suppression list of the account", SES)
def _the_account_suppresses(account: Answer, place: Place) -> Verdict:
    reasons = set(account.get("SuppressionAttributes", {}).get("SuppressedReasons", []))
    if missing := sorted(REASONS - reasons):
        return Mend(
            f"After a {' or a '.join(missing)} the account goes on sending to an address.",
            place.aws(
                *("sesv2", "put-account-suppression-attributes"),
                *("--suppressed-reasons", *sorted(REASONS)),
            ),
        )
    return "bounces and complaints"


# --- the configuration set ------------------------------------------------------------------------


@check("configuration set", OURS, absent=True)
def _the_configuration_set_sends(configuration_set: Answer | None, place: Place) -> Verdict:
    if configuration_set is None:
        return Mend("There is no configuration set: is it deployed?", place.deploy)
    if not configuration_set.get("SendingOptions", {}).get("SendingEnabled", True):
        return Mend(
            "Sending is paused: orders wait on the queue.",
            f"order-mail lift --env {place.env} --region {place.region} --reason TEXT",
        )
    if configuration_set.get("DeliveryOptions", {}).get("TlsPolicy") == "REQUIRE":
        return "it sends, over TLS only (REQUIRE_TLS)"
    return "it sends, over TLS wherever the recipient's server has it"


@check("suppression list of the configuration set", SES)
def _our_set_suppresses(configuration_set: Answer, place: Place) -> Verdict:
    reasons = configuration_set.get("SuppressionOptions", {}).get("SuppressedReasons")
    if reasons is None:
        return "as the account says"
    if missing := sorted(REASONS - set(reasons)):
        return Mend(
            f"After a {' or a '.join(missing)} our mails go on to an address, whatever the account says.",
            place.aws(
                *("sesv2", "put-configuration-set-suppression-options"),
                *("--configuration-set-name", place.name("email-notifications")),
                *("--suppressed-reasons", *sorted(REASONS)),
            ),
        )
    return "bounces and complaints"


@check("SES's events", OURS)
def _ses_tells_what_happens(event_destinations: Answers, place: Place) -> Verdict:
    topic = place.arn("sns", "email-ses-events")
    ours = next(
        (d for d in event_destinations if d.get("SnsDestination", {}).get("TopicArn") == topic),
        None,
    )
    if ours and ours["Enabled"] and set(ours["MatchingEventTypes"]) >= EVENTS:
        return "all seven kinds go to our topic"
    wanted = {
        "Enabled": True,
        "MatchingEventTypes": sorted(EVENTS),
        "SnsDestination": {"TopicArn": topic},
    }
    missing = sorted(EVENTS - set(ours["MatchingEventTypes"])) if ours else []
    what = "The event destination is missing"
    if ours:
        what = f"SES does not tell of {', '.join(missing)}" if missing else "SES's events are off"
    return Mend(
        f"{what}: statuses stay behind.",
        place.aws(
            "sesv2",
            f"{'update' if ours else 'create'}-configuration-set-event-destination",
            *("--configuration-set-name", place.name("email-notifications")),
            *("--event-destination-name", ours["Name"] if ours else "events"),
            *("--event-destination", json.dumps(wanted)),
        ),
    )


# --- the way of an order, and of an event ---------------------------------------------------------


@check("orders reach the queue", OURS, absent=True)
def _orders_reach_the_queue(orders_subscriptions: Answers | None, place: Place) -> Verdict:
    if orders_subscriptions is None:
        return Mend("There is no topic for orders: is it deployed?", place.deploy)
    return _subscribed(
        orders_subscriptions,
        "email-order-events",
        "sqs",
        place.arn("sqs", "email-order-queue"),
        place,
    )


@check("events reach feedback", OURS)
def _events_reach_feedback(
    events_subscriptions: Answers, feedback_mappings: Answers | None, place: Place
) -> Verdict:
    queue = place.arn("sqs", "email-ses-events-queue")
    function = place.arn("lambda", "function:email-feedback")
    to_queue = any(m.get("EventSourceArn") == queue for m in feedback_mappings or [])
    protocol, endpoint = ("sqs", queue) if to_queue else ("lambda", function)
    return _subscribed(events_subscriptions, "email-ses-events", protocol, endpoint, place)


def _subscribed(
    subscriptions: Answers, topic: str, protocol: str, endpoint: str, place: Place
) -> Verdict:
    if any((s["Protocol"], s["Endpoint"]) == (protocol, endpoint) for s in subscriptions):
        return f"by the topic {place.name(topic)}"
    raw = ("--attributes", "RawMessageDelivery=true") if protocol == "sqs" else ()
    return Mend(
        f"{endpoint.rpartition(':')[2]} does not listen to the topic {place.name(topic)}.",
        place.aws(
            *("sns", "subscribe", "--topic-arn", place.arn("sns", topic)),
            *("--protocol", protocol, "--notification-endpoint", endpoint, *raw),
        ),
    )


@check("dispatcher", OURS, absent=True)
def _the_dispatcher_is_on(dispatcher_mappings: Answers | None, place: Place) -> Verdict:
    if not dispatcher_mappings:
        return Mend("Nothing takes orders from the queue: is it deployed?", place.deploy)
    return _enabled(dispatcher_mappings, "Orders wait on the queue", place)


@check("feedback", OURS)
def _feedback_is_on(feedback_mappings: Answers, place: Place) -> Verdict:
    return _enabled(feedback_mappings, "SES's events wait", place)


def _enabled(mappings: Answers, otherwise: str, place: Place) -> Verdict:
    for mapping in mappings:
        if mapping["State"] not in {"Enabled", "Enabling"}:
            return Mend(
                f"{otherwise}: the event source mapping is {mapping['State']}.",
                place.aws(
                    *("lambda", "update-event-source-mapping", "--uuid", mapping["UUID"]),
                    "--enabled",
                ),
            )
    return "enabled" if mappings else "called by the topic itself"


@check("Lambda's concurrency", OURS)
def _lambda_runs_enough_at_once(
    lambda_limit: int, dispatcher_mappings: Answers, place: Place
) -> Verdict:
    most = max(
        (m.get("ScalingConfig", {}).get("MaximumConcurrency", 0) for m in dispatcher_mappings),
        default=0,
    )
    needed = most * (1 + DISPATCHER_BATCH)
    if lambda_limit < needed:
        return Mend(
            f"The account runs {lambda_limit} functions at once, and {most} dispatchers with ten mails each "
            f"take {needed}: deploy with DISPATCHER_CONCURRENCY=2 until AWS grants more.",
            _increase("lambda", "L-B99A9384", 1000, place),
        )
    return f"{lambda_limit} at once, {most} dispatchers take {needed} at most"


# --- watching -------------------------------------------------------------------------------------


@check("alerts", OURS, absent=True)
def _somebody_hears_alerts(alerts_subscriptions: Answers | None, place: Place) -> Verdict:
    if alerts_subscriptions is None:
        return Mend("There is no topic for alerts: is it deployed?", place.deploy)
    waiting = [s for s in alerts_subscriptions if not s["SubscriptionArn"].startswith("arn:")]
    subscribe = place.aws(
        *("sns", "subscribe", "--topic-arn", place.arn("sns", "email-alerts")),
        *("--protocol", "email", "--notification-endpoint", "ADDRESS"),
    )
    if waiting:
        return Mend(
            f"{len(waiting)} of {len(alerts_subscriptions)} have not confirmed that they want alerts. The mail "
            "has a link; this sends it again.",
            subscribe,
        )
    if not alerts_subscriptions:
        return Mend("Nobody gets alerts: deploy with NOTIFICATION_EMAILS, or subscribe.", subscribe)
    return f"{len(alerts_subscriptions)} get them"


@check("all alarms", OURS)
def _all_alarms_are_there(alarms: Answers, place: Place) -> Verdict:
    missing = sorted({place.name(name) for name in ALARMS} - {a["AlarmName"] for a in alarms})
    if missing:
        return Mend(f"There is no alarm {', '.join(missing)}.", place.deploy)
    more = len(alarms) - FREE_ALARMS
    paid = f"; {more} more in this region than are free, $0.10 a month each" if more > 0 else ""
    return f"{len(ALARMS)}{paid}"


@check("alarms are quiet", OURS)
def _no_alarm_is_red(alarms: Answers, place: Place) -> Verdict:
    red = [a["AlarmName"] for a in _ours(alarms, place) if a["StateValue"] == "ALARM"]
    if red:
        return Mend(
            f"{', '.join(red)}: infra/operator/README.md, 'Alarms', says what to do.",
            place.aws("cloudwatch", "describe-alarms", "--alarm-names", *red),
        )
    return "none is red"


@check("alarms call somebody", OURS)
def _alarms_act(alarms: Answers, place: Place) -> Verdict:
    ours = _ours(alarms, place)
    if off := [a["AlarmName"] for a in ours if not a.get("ActionsEnabled", True)]:
        return Mend(
            f"{', '.join(off)}: nobody is told when it goes off.",
            place.aws("cloudwatch", "enable-alarm-actions", "--alarm-names", *off),
        )
    if mute := [a["AlarmName"] for a in ours if not a.get("AlarmActions")]:
        return Mend(f"{', '.join(mute)}: it has no action.", place.deploy)
    return "all of them"


def _ours(alarms: Answers, place: Place) -> Answers:
    names = {place.name(name) for name in ALARMS}
    return [alarm for alarm in alarms if alarm["AlarmName"] in names]


@check("cost allocation tag", OURS)
def _costs_are_told_apart(cost_tags: Answers) -> Verdict:
    if any(tag["TagKey"] == "app" and tag["Status"] == "Active" for tag in cost_tags):
        return "app is active"
    return Mend(
        "The tag app is not active, so reports count SES alone. It can be activated a day after the first "
        "deployment.",
        "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status TagKey=app,Status=Active "
        "--region us-east-1",
    )
