"""Canaries: has the last one arrived, where was it last seen, and is that news? Pure.

A canary takes the whole way of an order: topic, queue, dispatcher, workflow, SES, SES's events, record. One
that does not arrive says that orders may not either, where nothing fails and so nothing alarms: a subscription
is gone, a mapping is disabled, SES's events do not come back.

News is the first that does not arrive, once more each day while none does, and the first that arrives again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict, final

from steps.contract.canary import ORDER_PREFIX
from steps.contract.recipient import SIMULATOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steps.contract.report_tasks import Alert

ARRIVED, WAITING, MISSING = "ARRIVED", "WAITING", "MISSING"

PATIENCE = timedelta(minutes=5)
"""A mail takes seconds. Twenty times as long is no accident, and the alert is worth reading."""

REPEAT_AFTER = timedelta(hours=24)
"""A fault that goes on is told once a day: whoever did not see the first alert sees the second."""

READ = ("notificationId", "status", "timestamp", "reason", "reasons")
"""What is read of a canary's record."""

NO_RECORD = ""
"""Stands for the status where there is no record."""

SUBJECT_LENGTH = 100
"""SNS's limit (Publish, API Reference)."""

_NAME = "%Y%m%dT%H%M%SZ"


@final
class Told(TypedDict):
    """Of which canary's publication on none has arrived, and when the operators were told last (ISO 8601)."""

    since: str
    at: str


class Report(TypedDict):
    """What a run did and found.

    date: names the canary that it published, at `publishedAt` (ISO 8601); the report's sort key.
    verdict: on the canary before: ARRIVED or MISSING; "" where there was none.
    seen: where that was last seen: `last_seen`.
    told: None where nothing is wrong as far as is known; what the next run must know.
    """

    date: str
    publishedAt: str
    verdict: str
    seen: str
    told: Told | None
    alert: NotRequired[Alert]


class Place(NamedTuple):
    """What the alert leads to: an environment, the order topic's ARN, the dashboard's URL."""

    environment: str
    orders_topic: str
    dashboard: str


# --- the canary -----------------------------------------------------------------------------------


def name(moment: datetime) -> str:
    """Name the canary of a moment in UTC: the same second, the same canary. Names sort by time."""
    return moment.strftime(_NAME)


def order(of: str) -> dict[str, Any]:
    """Return the order event of the canary of this name. It is always the same, so twice it is one mail."""
    moment = datetime.strptime(of, _NAME).replace(tzinfo=UTC)
    return {
        "eventType": "order.confirmed",
        "orderId": f"{ORDER_PREFIX}{of}",
        "customerEmail": f"success+canary-{of}@{SIMULATOR}",
        "customerName": "Canary",
        "orderItems": [{"name": "Canary", "quantity": 1, "price": "0.01"}],
        "orderTotal": "0.01",
        "orderTimestamp": moment.isoformat(),
    }


# --- what became of it ----------------------------------------------------------------------------


def state(published_at: datetime, record: Mapping[str, Any], now: datetime) -> str:
    """Return ARRIVED, MISSING, or WAITING for `PATIENCE`; `record` is `{}` where there is none."""
    if record.get("status") == "DELIVERED":
        return ARRIVED
    return MISSING if now - published_at >= PATIENCE else WAITING


def last_seen(record: Mapping[str, Any]) -> str:
    """Say in a line how far a canary came: its record's status, why, and when."""
    if not record:
        return "no record at all"
    reasons = [record["reason"]] if "reason" in record else list(record.get("reasons", ()))[:3]
    return f"{', '.join([record['status'], *reasons])} ({record['timestamp']})"


def advice(record: Mapping[str, Any], place: Place) -> str:
    """Say what it means that a canary was last seen there, and where to look, the likeliest first."""
    return _ADVICE[record.get("status", NO_RECORD)].format(**place._asdict())


_SES_ITSELF = """\
- Does SES have trouble? https://health.aws.amazon.com
"""
_SES_EVENTS = """\
- Is SES's event destination there and enabled?
  aws sesv2 get-configuration-set-event-destinations --configuration-set-name email-notifications-{environment}
- Does the topic email-ses-events-{environment} have its subscription? aws sns list-subscriptions
- Do the events wait on email-ses-events-queue-{environment}, or does email-feedback-{environment} fail?
  order-mail doctor --env {environment}, its log, and the letters in email-internal-dlq-{environment}.
"""
_DISPATCHER_LOG = """\
- Why do orders wait? The lines "later" in the log of email-processor-{environment}.
"""

_ADVICE = {
    NO_RECORD: """\
It never got as far as the order workflow, and most likely no order does.
- Is the subscription of the order topic there?
  aws sns list-subscriptions-by-topic --topic-arn {orders_topic}
- Is the mapping of the order queue enabled?
  aws lambda list-event-source-mappings --function-name email-processor-{environment}
- Are there many orders before it on email-order-queue-{environment}? The dashboard shows their age.
- Does SES let us send (paused, daily quota)? aws sesv2 get-account
"""
    + _DISPATCHER_LOG
    + """\
- Is it in the dead letters? order-mail dead list --env {environment}
""",
    "CLAIMED": """\
The order workflow took it, and SES does not have it. It waits, and so do orders.
"""
    + _DISPATCHER_LOG
    + """\
- Does SES let us send (sender verified, paused, throttled)? aws sesv2 get-account
""",
    "SENDING": """\
It was handed to SES, whose answer is not known, and no event of SES's tells more.
"""
    + _SES_EVENTS
    + _SES_ITSELF,
    "FAILED": """\
It was given up, and orders are, too.
- Its letter in email-order-dlq-{environment} names the execution.
""",
    "REJECTED": """\
It was rejected, by us or by SES, and orders may be, too. The reason is above.
- What was deployed last?
""",
    "SENT": """\
SES took it, and nothing was heard since. Mails most likely go out, but SES's events do not come back: nobody
hears of bounces and complaints.
"""
    + _SES_EVENTS,
    "DELAYED": """\
SES's own mailbox simulator does not take it yet.
"""
    + _SES_ITSELF,
    "UNDELIVERED": """\
SES gave it up, and it was for SES's own mailbox simulator.
"""
    + _SES_ITSELF,
    "BOUNCED": """\
SES's mailbox simulator sent it back, which it does not do by itself.
- Is the address on the account's suppression list? aws sesv2 list-suppressed-destinations
"""
    + _SES_ITSELF,
    "COMPLAINED": """\
SES says that its mailbox simulator complained, which that does not do by itself.
"""
    + _SES_ITSELF,
}
"""By the status where a canary stays."""


# --- the run --------------------------------------------------------------------------------------


def report(
    published: str,
    last: Mapping[str, Any],
    record: Mapping[str, Any],
    *,
    now: datetime,
    place: Place,
) -> Report:
    """Judge the canary of the run before, and say what is news.

    Args:
        published: names the canary of this run.
        last: the report of the run before, `{}` where there was none.
        record: of the canary of the run before; `{}` where there is none.
        now: when.
        place: what the alert leads to.
    """
    of_the_run: Report = {
        "date": published,
        "publishedAt": now.isoformat(timespec="seconds"),
        "verdict": "",
        "seen": "",
        "told": None,
    }
    if not last:
        return of_the_run
    told: Told | None = last["told"]
    verdict = state(datetime.fromisoformat(last["publishedAt"]), record, now)
    of_the_run |= {"verdict": verdict, "seen": last_seen(record)}
    if verdict == MISSING:
        of_the_run["told"] = told
        if not told or now - datetime.fromisoformat(told["at"]) >= REPEAT_AFTER:
            since = told["since"] if told else last["publishedAt"]
            of_the_run["told"] = {"since": since, "at": of_the_run["publishedAt"]}
            of_the_run["alert"] = _missing(last, record, since, place)
    elif told:
        of_the_run["alert"] = _arrives_again(last, told, place)
    return of_the_run


def _missing(last: Mapping[str, Any], record: Mapping[str, Any], since: str, place: Place) -> Alert:
    seen = last_seen(record)
    again = f"None has arrived since {since}." if since != last["publishedAt"] else ""
    return {
        "subject": f"Canary mail has not arrived, last seen: {seen}"[:SUBJECT_LENGTH],
        "message": "\n".join(
            [
                f"{ORDER_PREFIX}{last['date']}, published at {last['publishedAt']}, has not arrived.",
                *filter(None, [again]),
                "",
                f"Last seen: {seen}.",
                advice(record, place),
                f"More of it: order-mail find {ORDER_PREFIX}{last['date']} --env {place.environment}",
                "This is not alerted again within 24 hours; when canaries arrive again, that is told.",
                "",
                place.dashboard,
            ]
        ),
    }


def _arrives_again(last: Mapping[str, Any], told: Told, place: Place) -> Alert:
    return {
        "subject": "Canary mails arrive again",
        "message": "\n".join(
            [
                f"{ORDER_PREFIX}{last['date']}, published at {last['publishedAt']}, has arrived.",
                f"The first that had not was published at {told['since']}.",
                "Orders that waited go out by themselves; look into the dead letters for the others.",
                "",
                place.dashboard,
            ]
        ),
    }
