"""The order event as shops publish it: its field types, and what all kinds of mail share.

Each kind adds its own fields in `steps.kinds`, of which nothing here knows.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import ip_address
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

from steps.contract import limits

DEFAULT_EVENT_TYPE = "order.confirmed"
"""The kind of an event that names none."""

ISO_4217_LENGTH = 3

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")
_BIDI_MARK = re.compile("[\u200e\u200f\u061c]")
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a symbol that show nothing: Hangul fillers, the empty Braille pattern."""


def _without_halves(value: object) -> object:
    """Drop what is left of an emoji where a text was cut between its halves, as JavaScript's `slice` does."""
    return _LONE_SURROGATE.sub("", value) if isinstance(value, str) else value


def _one_line(value: str) -> str:
    """Make a text one line that cannot reorder what is around it (Unicode TR 36, 3.3).

    Marks stay: Arabic and Hebrew shops write them, and they do no more than a letter of their direction.
    """
    line = " ".join(_CONTROL.sub(" ", _BIDI_CONTROL.sub("", value)).split())
    if not any(unicodedata.category(c)[0] in "LNPS" and c not in _BLANK for c in line):
        raise PydanticCustomError("empty", "must not be empty")
    return line


def _identifier(value: str) -> str:
    return _one_line(_BIDI_MARK.sub("", value))


def _money(value: object) -> object:
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise PydanticCustomError("money", "must be a decimal string or a JSON number")
    if not re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", str(value), re.ASCII):
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
    if len(value) != ISO_4217_LENGTH or not is_currency(value.upper()):
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
    if not isinstance(value, str) or len(value) > limits.MOMENT_MAX_LENGTH:
        raise PydanticCustomError(
            "moment", "must be an ISO 8601 string such as 2024-10-08T12:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise PydanticCustomError("moment", "is not an ISO 8601 date and time") from error
    if not limits.FIRST_YEAR <= moment.year <= limits.LAST_YEAR:
        years = {"first": limits.FIRST_YEAR, "last": limits.LAST_YEAR}
        raise PydanticCustomError("year", "must be in the years {first} to {last}", years)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day(value: object) -> object:
    moment = _moment(value)
    return moment.date() if isinstance(moment, datetime) else moment


def _web_link(value: HttpUrl) -> HttpUrl:
    if len(str(value)) > limits.LINK_MAX_LENGTH:
        most = {"most": limits.LINK_MAX_LENGTH}
        raise PydanticCustomError("url", "must have at most {most} characters", most)
    if value.username is not None or value.password is not None:
        raise PydanticCustomError("url", "must not have a user name before its host")
    try:
        # The host is normalised: 3232235777 and 0xc0.168.257 are 192.168.1.1 by now (WHATWG URL).
        ip_address((value.host or "").strip("[]"))
    except ValueError:
        return value
    raise PydanticCustomError("url", "must name its host, not an IP address")


Text = Annotated[
    str,
    Field(min_length=1, max_length=limits.TEXT_MAX_LENGTH),
    BeforeValidator(_without_halves),
    AfterValidator(_one_line),
]
"""What a mail shows. Half a character is dropped, since the rest is worth a mail."""
Money = Annotated[
    Decimal,
    BeforeValidator(_money),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^-?\d{1,15}(\.\d{1,6})?$"},
                {"type": "number", "exclusiveMinimum": -1e15, "exclusiveMaximum": 1e15},
            ]
        }
    ),
]
Address = Annotated[
    str,
    Field(max_length=limits.ADDRESS_MAX_LENGTH),
    AfterValidator(_address),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": limits.ADDRESS_MAX_LENGTH}),
]
Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$"})
]
LanguageTag = Annotated[
    str, Field(max_length=limits.LANGUAGE_TAG_MAX_LENGTH), AfterValidator(_locale)
]
_IN_OUR_TIME = {"pattern": "^20\\d\\d-", "maxLength": limits.MOMENT_MAX_LENGTH}
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", **_IN_OUR_TIME}),
]
"""A moment without a zone counts as UTC."""
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", **_IN_OUR_TIME}),
]
"""The day of a moment, where a moment is given."""
WebLink = Annotated[
    HttpUrl,
    Field(max_length=limits.LINK_MAX_LENGTH),
    AfterValidator(_web_link),
    PlainSerializer(str),
]
OrderId = Annotated[
    str,
    Field(min_length=1, max_length=limits.ID_MAX_LENGTH),
    AfterValidator(_identifier),
]


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


Pieces = Annotated[list[Piece], Field(min_length=1, max_length=limits.ITEMS_MAX)]


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
    order_items: Annotated[list[Item], Field(min_length=1, max_length=limits.ITEMS_MAX)]
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
