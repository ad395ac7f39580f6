"""Read an order event of any kind, or say everything that is wrong with it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from steps import kinds
from steps.contract import limits
from steps.contract.order_event import DEFAULT_EVENT_TYPE, Address, OrderEvent, OrderId, PartId

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        kind = kinds.kind(event_type)
        shape, max_age = kind.event, kind.max_age
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
        event = shape.model_validate(fields)
    except ValidationError as error:
        reasons += [_reason(e) for e in error.errors(include_url=False, include_input=False)]
        raise InvalidEvent(reasons, raw) from None
    if untimely := _untimely(event, fields, max_age, now):
        reasons.append(untimely)
    if reasons:
        raise InvalidEvent(reasons, raw)
    return event


def _untimely(
    event: OrderEvent, fields: Mapping[str, Any], max_age: timedelta, now: datetime
) -> Reason | None:
    """Say why an event comes too late or too early; None where it does not, or tells no time.

    One that is sent again on purpose is as old as that purpose.
    """
    if event.resend:
        path, what, happened, raw = "resend.at", "resend", event.resend.at, fields["resend"]["at"]
    elif event.event_timestamp:
        path, what = "eventTimestamp", "event"
        happened, raw = event.event_timestamp, fields["eventTimestamp"]
    else:
        return None
    if now - happened > max_age:
        late = (
            f"is too long ago: {event.event_type} is sent for {max_age.days} days after the {what}"
        )
        return {"path": path, "reason": late}
    if datetime.fromisoformat(raw).tzinfo:
        early, reason = limits.CLOCK_SKEW, "is in the future"
    else:
        early = limits.CLOCK_SKEW + limits.ZONES_AHEAD
        reason = "is in the future: a time without a zone counts as UTC"
    return {"path": path, "reason": reason} if happened - now > timedelta(seconds=early) else None


def _known_fields(raw: Mapping[str, Any], shape: type[OrderEvent]) -> dict[str, Any]:
    names = {info.alias for info in shape.model_fields.values()}
    return {name: value for name, value in raw.items() if name in names}


class Identity(NamedTuple):
    """What makes an event one notification: `part` is `{"shipmentId": "P1"}`, or `{}` for the whole order.

    resent: see `OrderEvent.resent`.
    """

    order_id: str
    event_type: str
    recipient: str
    part: dict[str, str]
    resent: tuple[str, str, str] | None = None


def identify(raw: Mapping[str, Any]) -> Identity | None:
    """Return what a JSON object identifies, as an event with these fields would have them.

    Returns:
        None where one of them is wrong, and where anything is of a resend, whose content is one of them: it
        is never taken for the notification that it sends again. Of an unknown kind there is no part.
    """
    try:
        event_type = _KIND.validate_python(raw.get("eventType", DEFAULT_EVENT_TYPE))
        identity = kinds.kind(event_type).identity if event_type in kinds.names() else None
        part = _PART_ID.validate_python(raw.get(identity)) if identity else None
        return Identity(
            _ORDER_ID.validate_python(raw.get("orderId")),
            event_type,
            _ADDRESS.validate_python(raw.get("customerEmail")),
            {identity: part} if identity and part else {},
            _resent(raw, event_type),
        )
    except ValidationError:
        return None


def _resent(raw: Mapping[str, Any], event_type: str) -> tuple[str, str, str] | None:
    """Return what an event of this kind sends again.

    Raises:
        ValidationError: it is a resend, and one of its fields is wrong, or its kind is unknown.
    """
    if raw.get("resend") is None:
        return None
    known = event_type in kinds.names()
    shape = kinds.kind(event_type if known else DEFAULT_EVENT_TYPE).event
    return shape.model_validate(_known_fields(raw, shape)).resent()


_ORDER_ID: TypeAdapter[str] = TypeAdapter(OrderId)
_PART_ID: TypeAdapter[str | None] = TypeAdapter(PartId)
_KIND: TypeAdapter[str] = TypeAdapter(str)
_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)


def printable(text: str) -> str:
    """Return a text that UTF-8 can carry: lone surrogates are spelt out, as JSON escapes them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _decode(message: str) -> dict[str, Any]:
    try:
        raw = json.loads(
            message.removeprefix("\ufeff"),  # RFC 8259, 8.1: a byte order mark may be ignored.
            parse_float=_number,
            parse_int=_number,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise InvalidEvent([_TOO_DEEP]) from None
    except ValueError:
        raise InvalidEvent([{"path": "$", "reason": "is not JSON (RFC 8259)"}]) from None
    if not isinstance(raw, dict):
        raise InvalidEvent([{"path": "$", "reason": "must be a JSON object"}], raw)
    if _is_too_deep(raw):
        raise InvalidEvent([_TOO_DEEP], raw)
    return raw


_TOO_DEEP: Reason = {
    "path": "$",
    "reason": f"is nested too deeply: {limits.NESTING_MAX} levels are the most",
}


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(limits.NESTING_MAX):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [inner for inner in value if isinstance(inner, dict | list)]
        if isinstance(value, list)
        else []
    )


def _number(digits: str) -> Decimal:
    """Read a JSON number of any length; one whose exponent no decimal can have is none."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return Decimal("NaN")


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _reason(error: ErrorDetails) -> Reason:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    context = error.get("ctx", {})
    most = context.get("max_length")
    message = {
        "missing": "is required",
        "string_type": "must be a string",
        "string_unicode": "holds half of a character (a lone surrogate), which no encoding can carry",
        "list_type": "must be a list",
        "too_short": "must have at least one entry",
        "too_long": f"must have at most {most} entries",
        "string_too_short": "must not be empty",
        "string_too_long": f"must have at most {most} characters",
        "url_too_long": f"must have at most {most} characters",
        "greater_than": "must be greater than 0",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "literal_error": f"must be {context.get('expected')}",
        "model_type": "must be an object",
    }.get(error["type"], error["msg"])
    return {"path": path.lstrip("."), "reason": message}
