"""`resend`: a mail is sent again on purpose, by an event that says of which notification and why."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.operator.audit import audited, without_addresses
from infra.operator.errors import NotFound, Refused
from infra.operator.suppression import allow_retry, look_up, was_kept_back
from steps.contract.order_event import resend_event
from steps.contract.order_id import shown
from steps.contract.text import NOTIFICATION_ID, identifier
from steps.kinds.parsing import identify, printable
from steps.ledger import rules
from steps.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from infra.operator.aws import Deployment
    from steps.contract.state import State
    from steps.ledger.rules import Record

_ANY = "0" * 40
"""Stands for a notification, as long as it is not known which."""


@dataclass(frozen=True, kw_only=True)
class Resend:
    """A mail that is to be sent again.

    of: the notification that was to bring the mail. notification_id: the one that brings it now. status: what
    the record of that one says already; empty where there is none, so that a mail follows.
    order_id: as logs show it. same_address: whether it goes to where that mail went.
    """

    order_id: str
    event_type: str
    of: str
    notification_id: str
    status: str
    same_address: bool
    event: str = field(repr=False)


def read_event(file: Path) -> dict[str, Any]:
    """Read an order event as a shop publishes it.

    Raises:
        Refused: the file holds none.
    """
    try:
        event = json.loads(file.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{file.name} holds no JSON ({type(error).__name__})") from error
    if not isinstance(event, dict):
        raise Refused(f"{file.name} holds no order event: it is to be a JSON object")
    return event


def prepare(
    deployment: Deployment,
    order_id: str,
    event: Mapping[str, Any],
    *,
    of: str,
    why: str,
    kept_back: bool = False,
) -> Resend:
    """Find what is sent again, and make the event by which it is. Nothing is changed.

    Args:
        deployment: where the order was.
        order_id: the order.
        event: its event, as the shop published it or mended.
        of: the notification that is sent again; empty where there is only one that it can be.
        why: the operator's words; another reason makes another mail.
        kept_back: the newest that SES kept back is meant, if there is any.

    Raises:
        NotFound: the order has no such notification.
        Refused: it has several that fit, or the event is of another order, or not valid.
    """
    if identifier(str(event.get("orderId", ""))) != identifier(order_id):
        raise Refused("the event is not of this order: its orderId is another")
    records = [
        record
        for record in deployment.ledger.find_of_order(identifier(order_id))
        if NOTIFICATION_ID.fullmatch(record["notificationId"])  # no rejected event
    ]
    _valid(deployment, event, of=of or _ANY, why=why)
    if kept_back and not of:
        of = _kept_back(records, event)
    resent = _chosen(records, event, of)
    if rules.is_erased(resent):
        raise Refused("its customer's data was erased: no mail of it is sent again")
    message, state = _valid(deployment, event, of=resent["notificationId"], why=why)
    record = deployment.ledger.whole(state["notificationId"])
    return Resend(
        order_id=shown(order_id),
        event_type=state["eventType"],
        of=resent["notificationId"],
        notification_id=state["notificationId"],
        status=record.get("status", ""),
        same_address=resent["customerEmail"].casefold() == _recipient(event),
        event=message,
    )


def _valid(
    deployment: Deployment, event: Mapping[str, Any], *, of: str, why: str
) -> tuple[str, State]:
    """Return the message that sends `of` again, and what the workflow reads of it.

    Raises:
        Refused: the event is not valid; all that is wrong with it is said at once.
    """
    now = datetime.now(UTC)
    marked = resend_event(
        event, of=of, reason=without_addresses(why), by=without_addresses(deployment.who), at=now
    )
    message = json.dumps(marked)
    state = validate({"message": message, "attempt": 1, "lastReceive": False}, now)
    if rejection := state.get("rejection"):
        wrong = "\n".join(f"  {r['path']}: {printable(r['reason'])}" for r in rejection["reasons"])
        raise Refused(f"the event is not valid, so nothing is sent:\n{without_addresses(wrong)}")
    return message, state


def _chosen(records: Iterable[Record], event: Mapping[str, Any], of: str) -> Record:
    """Return the one record that is sent again."""
    every = list(records)
    if of:
        fitting = [record for record in every if record["notificationId"] == of]
    else:
        # Whoever sends a mail again for another reason means the first one.
        fitting = [r for r in every if "resendOf" not in r and _fits(r, event)]
        to_them = [r for r in fitting if r["customerEmail"].casefold() == _recipient(event)]
        fitting = to_them if len(fitting) > 1 and to_them else fitting
    if len(fitting) == 1:
        return fitting[0]
    known = "\n".join(f"  {_named(record)}" for record in every)
    if not every:
        raise NotFound(
            "this order has no notification that could be sent again. Is it the right --env?"
        )
    if not fitting:
        raise NotFound(f"no notification of this order fits the event. It has:\n{known}\nSay --of")
    choice = "\n".join(f"  {_named(record)}" for record in fitting)
    raise Refused(f"several notifications of this order fit the event:\n{choice}\nSay which: --of")


def _kept_back(records: Iterable[Record], event: Mapping[str, Any]) -> str:
    """Return the newest notification of the event's kind and part that SES kept back; empty without one."""
    kept = [record for record in records if _fits(record, event) and was_kept_back(record)]
    newest = max(kept, key=lambda record: str(record["timestamp"]), default={"notificationId": ""})
    return str(newest["notificationId"])


def _recipient(event: Mapping[str, Any]) -> str:
    return str(event["customerEmail"]).strip().casefold()


def _fits(record: Record, event: Mapping[str, Any]) -> bool:
    """Whether a record is of a valid event's kind and part; to whom its mail went is no matter."""
    identity = identify(event)
    return identity is not None and (record.get("eventType"), record.get("part", {})) == (
        identity.event_type,
        identity.part,
    )


def _named(record: Record) -> str:
    part = "".join(f", {name} {shown(value)}" for name, value in record.get("part", {}).items())
    kind = record.get("eventType", "")
    return f"{record['notificationId']}: {kind}{part}, {record['status']}, {record['timestamp']}"


def prepare_retry(
    deployment: Deployment, order_id: str, event: Mapping[str, Any], *, of: str, why: str
) -> Resend:
    """Prepare to send a mail again that SES kept back, once nothing keeps its address back any more.

    Raises:
        NotFound, Refused: as `prepare`; or SES did not keep it back, or would again.
    """
    mail = prepare(deployment, order_id, event, of=of, why=why, kept_back=True)
    found = look_up(deployment, str(event["customerEmail"]).strip())
    allow_retry(deployment.ledger.whole(mail.of), found)
    return mail


def publish(deployment: Deployment, resend: Resend, *, why: str) -> None:
    """Publish the event: the mail goes the way of every other."""
    about = {"order": resend.order_id, "of": resend.of, "notification": resend.notification_id}
    with audited(deployment, "resend", why=why, **about):
        deployment.client("sns").publish(TopicArn=deployment.orders_topic, Message=resend.event)
