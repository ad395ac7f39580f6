"""The shapes that pass between the steps, and the order event as shops publish it.

Each kind of mail adds its own fields in `steps.kinds`; the JSON Schema of all of them
(`steps/order_event.schema.json`) is generated from here: `python -m steps.model`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from babel import Locale, UnknownLocaleError
from babel.numbers import is_currency
from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticCustomError

from steps import kinds


class Reason(TypedDict):
    """Why an event is rejected: the field's path (`orderItems[0].price`, `$` for the whole) and a sentence."""

    path: str
    reason: str


class Claim(TypedDict):
    """The dedup step's answer. `result`: NEW, DUPLICATE or IN_PROGRESS; `retryAfter` in seconds."""

    result: Literal["NEW", "DUPLICATE", "IN_PROGRESS"]
    retryAfter: int


class Email(TypedDict):
    """A rendered mail; the sender's address is the send step's.

    `to` and `replyTo` are bare addresses; `fromName`, `subject` and the values of `headers` are single
    lines.
    """

    to: str
    fromName: str
    replyTo: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]


class Receipt(TypedDict):
    """SES's answer: its message id, and when it answered (ISO 8601 UTC)."""

    messageId: str
    sentAt: str


class Rejection(TypedDict):
    """An invalid event: what the table keeps of it. `event` is the message as received, maybe cut."""

    orderId: str
    customerEmail: str
    event: str
    reasons: list[Reason]


class State(TypedDict):
    """What the order workflow carries from step to step. Each key appears when its step has run."""

    attempt: int
    message: NotRequired[str]
    notificationId: NotRequired[str]
    rejection: NotRequired[Rejection]
    order: NotRequired[dict[str, Any]]
    orderId: NotRequired[str]
    claim: NotRequired[Claim]
    email: NotRequired[Email]
    receipt: NotRequired[Receipt]
    error: NotRequired[dict[str, str]]


_INVISIBLE = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]")


def _one_line(value: str) -> str:
    """Make a text one line without control or bidi-override characters (Unicode TR 36, 3.3)."""
    visible = _INVISIBLE.sub("", value)
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in visible)
    line = " ".join(spaced.split())
    if not line:
        raise PydanticCustomError("empty", "must not be empty")
    return line


def _money(value: object) -> object:
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise PydanticCustomError("money", "must be a decimal string or a JSON number")
    if not re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", str(value)):
        raise PydanticCustomError("money", 'must be an amount such as "29.99"')
    return value


def _address(value: str) -> str:
    try:
        found = validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise PydanticCustomError(
            "email", "is not an e-mail address: {why}", {"why": str(error)}
        ) from error
    # SES takes ASCII only: an internationalised domain travels as punycode (RFC 5891).
    return found.ascii_email or found.normalized


def _currency(value: str) -> str:
    if not is_currency(value.upper()):
        raise PydanticCustomError("currency", "is not an ISO 4217 currency code")
    return value.upper()


def _locale(value: str) -> str:
    try:
        Locale.parse(value.replace("_", "-"), sep="-")
    except ValueError as error:
        raise PydanticCustomError("locale", "is not a BCP 47 language tag such as en-US") from error
    except UnknownLocaleError:
        pass  # Well formed and unknown to the CLDR: the mail falls back to English.
    return value.replace("_", "-")


def _moment(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError(
            "moment", "must be an ISO 8601 string such as 2024-10-08T12:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise PydanticCustomError("moment", "is not an ISO 8601 date and time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _web_link(value: HttpUrl) -> HttpUrl:
    if len(str(value)) > 2048:  # noqa: PLR2004 - the length that every browser and mail client takes
        raise PydanticCustomError("url", "must have at most 2048 characters")
    return value


Text = Annotated[str, AfterValidator(_one_line)]
Money = Annotated[
    Decimal,
    BeforeValidator(_money),
    PlainSerializer(str),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": r"^-?\d{1,15}(\.\d{1,6})?$"}, {"type": "number"}]}
    ),
]
Address = Annotated[
    str, AfterValidator(_address), WithJsonSchema({"type": "string", "format": "email"})
]
Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$"})
]
LanguageTag = Annotated[str, AfterValidator(_locale)]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
WebLink = Annotated[HttpUrl, AfterValidator(_web_link), PlainSerializer(str)]
OrderId = Annotated[str, AfterValidator(_one_line), Field(max_length=128)]


class _Shape(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


class Piece(_Shape):
    """Something ordered, and how much of it."""

    name: Text
    quantity: Annotated[Money, Field(gt=0)]
    sku: Text | None = None
    image_url: WebLink | None = None
    url: WebLink | None = None


class Item(Piece):
    """One line of an order. `price` is for one piece."""

    price: Money


class PostalAddress(_Shape):
    """Where the parcel goes; shown line by line, as far as it is given."""

    name: Text | None = None
    line1: Text | None = None
    line2: Text | None = None
    postal_code: Text | None = None
    city: Text | None = None
    region: Text | None = None
    country: Text | None = None


class OrderEvent(_Shape):
    """What all kinds share of the SNS message body. Unknown fields are ignored.

    `eventTimestamp` is when that happened which the mail announces; its kind's age counts from there.
    """

    order_id: OrderId
    customer_email: Address
    customer_name: Text
    order_items: Annotated[list[Item], Field(min_length=1)]
    order_total: Money
    order_timestamp: Moment
    event_type: str = kinds.DEFAULT
    event_timestamp: Moment | None = None
    currency: Currency = "USD"
    locale: LanguageTag = "en-US"
    shipping: Money | None = None
    tax: Money | None = None
    discount: Money | None = None
    shipping_address: PostalAddress | None = None
    order_url: WebLink | None = None


class InvalidEvent(Exception):
    """The message is not an order event; `reasons` names every wrong field at once."""

    def __init__(self, reasons: list[Reason], raw: object = None) -> None:
        super().__init__(", ".join(f"{r['path']} {r['reason']}" for r in reasons))
        self.reasons = reasons
        self.raw = raw


def parse(message: str, now: datetime | None = None) -> OrderEvent:
    """Read an order event of any kind; `now` is when it is read, the present where none is given.

    Raises:
        InvalidEvent: with one reason per wrong field; `raw` is the decoded JSON where it is any.
    """
    try:
        raw = json.loads(message, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidEvent([{"path": "$", "reason": "is not JSON (RFC 8259)"}]) from None
    if not isinstance(raw, dict):
        raise InvalidEvent([{"path": "$", "reason": "must be a JSON object"}], raw)
    event_type = raw.get("eventType", kinds.DEFAULT)
    reasons: list[Reason] = []
    if event_type in kinds.names():
        shape, max_age = kinds.event(event_type)
    else:
        known = ", ".join(kinds.names())
        reasons = [{"path": "eventType", "reason": f"is not one of the known kinds: {known}"}]
        # What is wrong besides is said in the same go.
        shape, max_age = OrderEvent, timedelta.max
        raw = raw | {"eventType": kinds.DEFAULT}
    try:
        event = shape.model_validate(raw)
    except ValidationError as error:
        reasons += [_reason(e) for e in error.errors(include_input=False)]
        raise InvalidEvent(reasons, raw) from None
    happened = event.event_timestamp
    if happened and (now or datetime.now(UTC)) - happened > max_age:
        too_old = f"is too long ago: {event_type} is sent for {max_age.days} days after the event"
        reasons.append({"path": "eventTimestamp", "reason": too_old})
    if reasons:
        raise InvalidEvent(reasons, raw)
    return event


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _reason(error: Any) -> Reason:
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


def notification_id(order_id: str, event_type: str, recipient: str) -> str:
    """Name the notification: 40 hex digits of a SHA-256 over the triple that may have one mail.

    Fits an SES message tag (`A-Za-z0-9_-`, at most 256 characters) and holds no personal data. Case
    does not make another recipient: mailbox providers ignore it.
    """
    triple = json.dumps([order_id, event_type, recipient.casefold()]).encode()
    return hashlib.sha256(triple).hexdigest()[:40]


def rejected_id(message: str) -> str:
    """Name a rejected message by its content, so that publishing it again adds no second record."""
    return "rejected-" + hashlib.sha256(message.encode()).hexdigest()[:40]


SCHEMA = Path(__file__).with_name("order_event.schema.json")
"""The event's JSON Schema, for shops: `python -m steps.model` writes it."""


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the order event as published: one alternative per kind."""
    events = [kinds.event(name)[0] for name in kinds.names()]
    references, definitions = models_json_schema([(event, "validation") for event in events])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Order event",
        "description": "The body of a message to the order events topic. Unknown fields are ignored.",
        "oneOf": [references[event, "validation"] for event in events],
        **definitions,
    }


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
