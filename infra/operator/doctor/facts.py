"""What `doctor` asks: each fact by its name, which is a parameter's of the checks that judge it."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import dns.exception
import dns.resolver
from botocore.exceptions import BotoCoreError, ClientError

from infra.operator.aws import ABSENT, DENIED
from steps.aws.sdk import error_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.operator.aws import Deployment

Resolver: TypeAlias = "Callable[[str, str], list[str]]"
"""Takes a name and a record's type, returns the records as text; none where there are none."""
Facts: TypeAlias = "Mapping[str, Any]"
"""By name: an answer, None where there is no such thing, or why it is `Unknown` or `Skipped`."""

OF_DNS = ("dkim", "mail_from", "mail_from_mx", "mail_from_txt", "dmarc")
"""The facts that stand or fall with records in DNS."""
_DNS_SECONDS = 5.0
_ON_THE_LAPTOP = "the local AWS has none of it: asked of AWS alone"


@dataclass(frozen=True)
class Unknown:
    """A fact that was asked for and not told, and why."""

    why: str


@dataclass(frozen=True)
class Skipped:
    """A fact that there is none of here, and why."""

    why: str


class DnsFailure(Exception):
    """DNS did not answer, which says nothing about the record."""


def resolve(name: str, kind: str) -> list[str]:
    """Ask the machine's own resolver.

    Raises:
        DnsFailure: it does not answer.
    """
    try:
        answer = dns.resolver.resolve(name, kind, lifetime=_DNS_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        raise DnsFailure(f"DNS says nothing of {name} ({type(error).__name__})") from error
    if kind == "TXT":
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
    return [record.to_text() for record in answer]


def gather(deployment: Deployment, resolver: Resolver) -> dict[str, Any]:
    """Ask for all facts; what cannot be asked is `Unknown`."""
    asks: tuple[Callable[[Deployment], dict[str, Any]], ...] = (
        lambda at: _of_ses(at, resolver),
        _of_lambda,
        _of_sns,
        _of_alarms,
        _of_costs,
    )
    with ThreadPoolExecutor(len(asks)) as pool:
        facts: dict[str, Any] = {}
        for told in pool.map(lambda ask: ask(deployment), asks):
            facts |= told
    return facts


def ask(question: Callable[[], Any]) -> Any:
    """Return the answer, None where AWS knows no such thing, or `Unknown`."""
    try:
        return question()
    except ClientError as error:
        code = error_code(error)
        if code in ABSENT:
            return None
        what = f"{error.operation_name} is denied to you" if code in DENIED else str(error)
        return Unknown(what)
    except (BotoCoreError, DnsFailure) as error:
        return Unknown(str(error))


def _on_the_laptop(client: Any) -> bool:
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of_ses(deployment: Deployment, resolver: Resolver) -> dict[str, Any]:
    """Ask SES one after the other: it takes one question a second."""
    ses = deployment.client("sesv2")
    name = {"ConfigurationSetName": deployment.configuration_set}
    facts = {
        "account": ask(ses.get_account),
        "configuration_set": ask(lambda: ses.get_configuration_set(**name)),
        "event_destinations": ask(
            lambda: ses.get_configuration_set_event_destinations(**name)["EventDestinations"]
        ),
        "sender": ask(lambda: _sender(deployment)),
    }
    sender = facts["sender"]
    if not isinstance(sender, str):
        nobody = sender or Skipped("email-send is not deployed, so nobody says who sends")
        return facts | {"identity": sender} | dict.fromkeys(OF_DNS, nobody)
    identities = ask(lambda: _identities(ses, sender))
    if isinstance(identities, Unknown):
        return facts | {"identity": identities} | dict.fromkeys(OF_DNS, identities)
    facts["identity"] = identities[0] if identities else None
    if _on_the_laptop(ses):
        return facts | dict.fromkeys(OF_DNS, Skipped(_ON_THE_LAPTOP))
    return facts | of_dns(identities, sender, resolver)


def _sender(deployment: Deployment) -> str:
    """Return who sends, by the settings of the function that does."""
    return deployment.settings_of("email-send")["SENDER"]


def _identities(ses: Any, sender: str) -> list[dict[str, Any]]:
    """Return what SES knows of a sender, the first of which it goes by: the address, the nearest domain."""
    domain = sender.rpartition("@")[2]
    labels = domain.split(".")
    found = []
    for name in (sender, *(".".join(labels[n:]) for n in range(len(labels) - 1))):
        try:
            found.append({**ses.get_email_identity(EmailIdentity=name), "name": name})
        except ses.exceptions.NotFoundException:
            continue
        if name != sender:
            break
    return found


def of_dns(identities: list[dict[str, Any]], sender: str, resolver: Resolver) -> dict[str, Any]:
    """Return the facts that are DNS's. What an address leaves open is as its domain has it."""
    if not identities:
        return dict.fromkeys(OF_DNS, Skipped("SES does not know the sender"))

    def first(attributes: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        found: list[dict[str, Any]] = [i.get(attributes, {}) for i in identities]
        return next((each for each in found if holds(each)), found[0])

    mail_from = first("MailFromAttributes", lambda a: "MailFromDomain" in a)
    domain = mail_from.get("MailFromDomain")
    none = Skipped("there is no MAIL FROM domain")
    return {
        "dkim": first("DkimAttributes", lambda a: a.get("Status") == "SUCCESS"),
        "mail_from": mail_from,
        "mail_from_mx": ask(lambda: resolver(domain, "MX")) if domain else none,
        "mail_from_txt": ask(lambda: resolver(domain, "TXT")) if domain else none,
        "dmarc": ask(lambda: _dmarc(sender.rpartition("@")[2], resolver)),
    }


def _dmarc(domain: str, resolver: Resolver) -> dict[str, Any]:
    """Return the DMARC `records` that apply to a domain, and the `organization` that it belongs to.

    The records are the nearest ones, its own or of a domain above it; the organization is the topmost domain
    that has any (RFC 9989, "DNS Tree Walk").
    """
    labels = domain.split(".")
    found = {}
    for start in range(len(labels) - 1):
        name = ".".join(labels[start:])
        records = resolver(f"_dmarc.{name}", "TXT")
        if ours := [text for text in records if text.replace(" ", "").startswith("v=DMARC1")]:
            found[name] = ours
    return {
        "records": next(iter(found.values()), []),
        "organization": next(reversed(found), domain),
    }


def _of_lambda(deployment: Deployment) -> dict[str, Any]:
    functions = deployment.client("lambda")

    def mappings(base: str) -> Any:
        return ask(
            lambda: functions.list_event_source_mappings(FunctionName=deployment.name(base))[
                "EventSourceMappings"
            ]
        )

    return {
        "lambda_limit": ask(
            lambda: functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
        ),
        "dispatcher_mappings": mappings("email-processor"),
        "feedback_mappings": mappings("email-feedback"),
    }


def _of_sns(deployment: Deployment) -> dict[str, Any]:
    pages = deployment.client("sns").get_paginator("list_subscriptions_by_topic")

    def subscriptions(base: str) -> Any:
        topic = ask(lambda: deployment.arn("sns", base))  # asks STS whose account it is
        if isinstance(topic, Unknown):
            return topic
        return ask(lambda: pages.paginate(TopicArn=topic).build_full_result()["Subscriptions"])

    return {
        "orders_subscriptions": subscriptions("email-order-events"),
        "events_subscriptions": subscriptions("email-ses-events"),
        "alerts_subscriptions": subscriptions("email-alerts"),
    }


def _of_alarms(deployment: Deployment) -> dict[str, Any]:
    pages = deployment.client("cloudwatch").get_paginator("describe_alarms")
    return {
        "alarms": ask(
            lambda: pages.paginate(AlarmTypes=["MetricAlarm"]).build_full_result()["MetricAlarms"]
        )
    }


def _of_costs(deployment: Deployment) -> dict[str, Any]:
    costs = deployment.client("ce")
    if _on_the_laptop(costs):
        return {"cost_tags": Skipped(_ON_THE_LAPTOP)}
    return {
        "cost_tags": ask(
            lambda: costs.list_cost_allocation_tags(TagKeys=["app"])["CostAllocationTags"]
        )
    }
