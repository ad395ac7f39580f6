"""The order event as shops publish it: its field types, and what all kinds of mail share.

Each kind adds its own fields in `steps.kinds`, of which nothing here knows.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

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
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

DEFAULT_EVENT_TYPE = "order.confirmed"
"""The kind of an event that names none."""

URL_MAX = 2048
"""Characters of a link that every browser and mail client takes."""

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
        address = validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise PydanticCustomError(
            "email", "is not an e-mail address: {why}", {"why": str(error)}
        ) from error
    # SES takes ASCII only: an internationalised domain travels as punycode (RFC 5891).
    return address.ascii_email or address.normalized


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
    if len(str(value)) > URL_MAX:
        raise PydanticCustomError("url", "must have at most {most} characters", {"most": URL_MAX})
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

    `eventTimestamp` is when the announced change happened; the event's age is measured from it.
    """

    order_id: OrderId
    customer_email: Address
    customer_name: Text
    order_items: Annotated[list[Item], Field(min_length=1)]
    order_total: Money
    order_timestamp: Moment
    event_type: str = DEFAULT_EVENT_TYPE
    event_timestamp: Moment | None = None
    currency: Currency = "USD"
    locale: LanguageTag = "en-US"
    shipping: Money | None = None
    tax: Money | None = None
    discount: Money | None = None
    shipping_address: PostalAddress | None = None
    order_url: WebLink | None = None
