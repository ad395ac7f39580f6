"""Read an order event of any kind, or say everything that is wrong with it."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from steps import kinds
from steps.contract.order_event import DEFAULT_EVENT_TYPE, OrderEvent

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic_core import ErrorDetails

    from steps.contract.state import Reason


class InvalidEvent(Exception):
    """The message is not an order event; `reasons` names every wrong field at once."""

    def __init__(self, reasons: list[Reason], raw: object = None) -> None:
        super().__init__(", ".join(f"{r['path']} {r['reason']}" for r in reasons))
        self.reasons = reasons
        self.raw = raw


def parse(message: str, now: datetime) -> OrderEvent:
    """Read an order event of any kind at the moment `now`, by which its age counts.

    Raises:
        InvalidEvent: with one reason per wrong field; `raw` is the decoded JSON where it is any.
    """
    raw = _decode(message)
    event_type = raw.get("eventType", DEFAULT_EVENT_TYPE)
    reasons: list[Reason] = []
    if event_type in kinds.names():
        shape, max_age = kinds.event(event_type)
    else:
        known = ", ".join(kinds.names())
        reasons = [{"path": "eventType", "reason": f"is not one of the known kinds: {known}"}]
        # What is wrong besides is said in the same go.
        shape, max_age = OrderEvent, timedelta.max
        raw = raw | {"eventType": DEFAULT_EVENT_TYPE}
    try:
        event = shape.model_validate(raw)
    except ValidationError as error:
        reasons += [_reason(e) for e in error.errors(include_input=False)]
        raise InvalidEvent(reasons, raw) from None
    if (happened := event.event_timestamp) and now - happened > max_age:
        too_old = f"is too long ago: {event_type} is sent for {max_age.days} days after the event"
        reasons.append({"path": "eventTimestamp", "reason": too_old})
    if reasons:
        raise InvalidEvent(reasons, raw)
    return event


def _decode(message: str) -> dict[str, Any]:
    try:
        raw = json.loads(message, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidEvent([{"path": "$", "reason": "is not JSON (RFC 8259)"}]) from None
    if not isinstance(raw, dict):
        raise InvalidEvent([{"path": "$", "reason": "must be a JSON object"}], raw)
    return raw


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _reason(error: ErrorDetails) -> Reason:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = {
        "missing": "is required",
        "string_type": "must be a string",
        "list_type": "must be a list",
        "too_short": "must have at least one entry",
        "string_too_long": f"must have at most {error.get('ctx', {}).get('max_length')} characters",
        "greater_than": "must be greater than 0",
    }.get(error["type"], error["msg"])
    return {"path": path.lstrip("."), "reason": message}
