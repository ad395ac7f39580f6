"""Read an order event of any kind, or say everything that is wrong with it."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from steps import kinds
from steps.contract.order_event import DEFAULT_EVENT_TYPE, Address, OrderEvent, OrderId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pydantic_core import ErrorDetails

    from steps.contract.state import Reason


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character outside the BMP, as a cut UTF-16 text ends with; no encoding can carry it."""

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON may spell one; halves that belong together are spelt alike."""


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
        unknown = f"is not one of the known kinds: {known}"
        reasons.append({"path": "eventType", "reason": unknown})
        # What is wrong besides is said in the same go.
        shape, max_age = OrderEvent, timedelta.max
    fields = _known_fields(raw, shape)
    if shape is OrderEvent:
        fields["eventType"] = DEFAULT_EVENT_TYPE
    try:
        if _ESCAPED_SURROGATE.search(message):
            fields = _whole_characters(fields, "", reasons)
        event = shape.model_validate(fields)
    except RecursionError:
        raise InvalidEvent([{"path": "$", "reason": "is nested too deeply"}], raw) from None
    except ValidationError as error:
        reasons += [_reason(e) for e in error.errors(include_input=False)]
        raise InvalidEvent(reasons, raw) from None
    if (happened := event.event_timestamp) and now - happened > max_age:
        too_old = f"is too long ago: {event_type} is sent for {max_age.days} days after the event"
        reasons.append({"path": "eventTimestamp", "reason": too_old})
    if reasons:
        raise InvalidEvent(reasons, raw)
    return event


def _known_fields(raw: Mapping[str, Any], shape: type[OrderEvent]) -> dict[str, Any]:
    names = {alias for name, info in shape.model_fields.items() for alias in (name, info.alias)}
    return {name: value for name, value in raw.items() if name in names}


def identify(raw: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return order id, kind and recipient of a JSON object, as an event with these would have them.

    Returns:
        None where one of them is wrong.
    """
    try:
        return (
            _ORDER_ID.validate_python(raw.get("orderId")),
            _KIND.validate_python(raw.get("eventType", DEFAULT_EVENT_TYPE)),
            _ADDRESS.validate_python(raw.get("customerEmail")),
        )
    except ValidationError:
        return None


_ORDER_ID: TypeAdapter[str] = TypeAdapter(OrderId)
_KIND: TypeAdapter[str] = TypeAdapter(str)
_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)


def printable(text: str) -> str:
    """Return a text that UTF-8 can carry: lone surrogates are spelt out, as JSON escapes them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _whole_characters(value: Any, path: str, reasons: list[Reason]) -> Any:
    """Return a JSON value without lone surrogates, and add a reason for each text that has one."""
    match value:
        case dict():
            return {
                printable(key): _whole_characters(inner, f"{path}.{printable(key)}", reasons)
                for key, inner in value.items()
            }
        case list():
            return [
                _whole_characters(inner, f"{path}[{number}]", reasons)
                for number, inner in enumerate(value)
            ]
        case str() if _LONE_SURROGATE.search(value):
            reason = "holds half of a character (a lone surrogate), which no encoding can carry"
            reasons.append({"path": path.lstrip("."), "reason": reason})
            return printable(value)
    return value


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
