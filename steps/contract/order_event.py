"""The order event as shops publish it: its field types, and what all kinds of mail share.

Each kind adds its own fields in `steps.kinds`, of which nothing here knows.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Literal

from babel.core import get_global
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
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from steps.contract import limits
from steps.contract.attachments import file_name
from steps.contract.text import NOTIFICATION_ID, identifier, one_line, shows

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_EVENT_TYPE = "order.confirmed"
"""The kind of an event that names none."""

CONTENT_DIGITS = 16

ISO_4217_LENGTH = 3

_NO_COUNTRIES = {"CP", "CQ", "DG", "EA", "IC", "ZZ"}
"""The CLDR's codes of places that go by their country's (the Canary Islands: ES), and of no place."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

AMOUNT_LIMIT, AMOUNT_DECIMALS = Decimal(10**15), 6


def _without_halves(value: object) -> object:
    """Drop what is left of an emoji where a text was cut between its halves, as JavaScript's `slice` does."""
    return _LONE_SURROGATE.sub("", value) if isinstance(value, str) else value


def _one_line(value: str) -> str:
    return _visible(one_line(value))


def _identifier(value: str) -> str:
    return _visible(identifier(value))


def _visible(text: str) -> str:
    if not any(map(shows, text)):
        raise PydanticCustomError("empty", "must not be empty")
    return text


def _money(value: object) -> object:
    if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
        raise PydanticCustomError("money", "must be a decimal string or a JSON number")
    if isinstance(value, Decimal) and value.is_finite() and abs(value) < AMOUNT_LIMIT:
        value = _written_out(value)
    if not re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", str(value), re.ASCII):
        raise PydanticCustomError("money", 'must be an amount such as "29.99"')
    return value


def _written_out(number: Decimal) -> Decimal:
    """Return a JSON number as an amount: 1E2 is 100, and JavaScript's 0.1 + 0.2 is 0.3."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -AMOUNT_DECIMALS <= exponent <= 0:
        return number
    return Decimal(f"{round(number, AMOUNT_DECIMALS).normalize():f}")


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


def country_codes() -> set[str]:
    """Return the codes of ISO 3166-1 alpha-2, and XK, AC and TA, which shops send to as well."""
    return set(get_global("territory_languages")) - _NO_COUNTRIES


def _country_code(value: str) -> str:
    code: str = value.strip().upper()
    # UK is GB, DEU is DE.
    code = get_global("territory_aliases").get(code, [code])[0]
    if not value.isascii() or code not in country_codes():
        raise PydanticCustomError("country", "is not an ISO 3166-1 country code such as DE")
    return code


def _locale(value: str) -> str:
    tag = value.replace("_", "-")
    if not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", tag, re.ASCII):
        raise PydanticCustomError("locale", "is not a BCP 47 language tag such as en-US")
    # Extensions begin with a single letter or digit; they say nothing that a mail heeds (RFC 5646, 2.2.6).
    return re.split("-[A-Za-z0-9](?:-|$)", tag)[0]


def _moment(value: object) -> object:
    if not isinstance(value, str) or len(value) > limits.MOMENT_MAX_LENGTH:
        raise PydanticCustomError(
            "moment", "must be an ISO 8601 string such as 2024-10-08T12:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise PydanticCustomError("moment", "is not an ISO 8601 date and time") from error
    if (moment.utcoffset() or timedelta()) % timedelta(minutes=1):
        raise PydanticCustomError("moment", "must have whole minutes in its zone (RFC 3339, 5.6)")
    if not limits.FIRST_YEAR <= moment.year <= limits.LAST_YEAR:
        years = {"first": limits.FIRST_YEAR, "last": limits.LAST_YEAR}
        raise PydanticCustomError("year", "must be in the years {first} to {last}", years)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day(value: object) -> object:
    moment = _moment(value)
    return moment.date() if isinstance(moment, datetime) else moment


def _part_id(value: object) -> object:
    """Read an id as shops write them: a whole number is one, and an empty text is none."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        if number.is_finite() and number.adjusted() < limits.ID_MAX_LENGTH:
            return str(int(number)) if number == number.to_integral_value() else value
    return value


def _notification_id(value: str) -> str:
    if not NOTIFICATION_ID.fullmatch(value):
        raise PydanticCustomError("notification_id", "must be a notification id: 40 hex digits")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise PydanticCustomError("sha256", "must be a SHA-256: 64 hex digits")
    return value.lower()


def _file_name(value: str) -> str:
    return _visible(file_name(value))


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
    PlainSerializer(str, when_used="json"),
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
CountryCode = Annotated[
    str,
    AfterValidator(_country_code),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{2,3}$"}),
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


PartId = Annotated[
    OrderId | None,
    BeforeValidator(_part_id),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": limits.ID_MAX_LENGTH},
                {"type": "integer"},
                {"type": "null"},
            ]
        }
    ),
]
"""The shop's own id of a part of an order, where it has one."""
NotificationId = Annotated[
    str,
    AfterValidator(_notification_id),
    WithJsonSchema({"type": "string", "pattern": f"^{NOTIFICATION_ID.pattern}$"}),
]
ResendText = Annotated[
    str,
    Field(min_length=1, max_length=limits.RESEND_TEXT_MAX_LENGTH),
    BeforeValidator(_without_halves),
    AfterValidator(_one_line),
]


_A_FEW = Field(max_length=limits.SUMS_MAX)
Options = Annotated[list[Text], Field(max_length=limits.OPTIONS_MAX)]


class _Shape(BaseModel):
    """Of a field that need not be given, an empty text says that it is not: forms send them so."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_texts(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        # A mark that is broken must not make an original of a resend.
        optional = {f.alias for f in cls.model_fields.values() if f.default is None} - {"resend"}
        return {
            name: value
            for name, value in given.items()
            if not (name in optional and isinstance(value, str) and not value.strip())
        }


class Piece(_Shape):
    """Something ordered, and how much of it. `options` tell it from its like: `["Size M", "Blue"]`."""

    name: Text
    quantity: Annotated[Money, Field(gt=0)]
    sku: Text | None = None
    options: Options | None = None
    image_url: WebLink | None = None
    url: WebLink | None = None


Pieces = Annotated[list[Piece], Field(min_length=1, max_length=limits.ITEMS_MAX)]


class Item(Piece):
    """One line of an order. `price` and the regular `compareAtPrice` are for one piece."""

    price: Money
    compare_at_price: Money | None = None


class RefundedPiece(Piece):
    """A line of a refund; `amount` is what is paid back for all of it."""

    amount: Money | None = None


RefundedPieces = Annotated[list[RefundedPiece], Field(min_length=1, max_length=limits.ITEMS_MAX)]


class Tax(_Shape):
    """One of an order's taxes: `label` is its name where the order was placed, `rate` is in percent."""

    label: Text | None = None
    rate: Money | None = None
    amount: Money


class Discount(_Shape):
    """What lowers the total, whichever sign it has, and the code that the customer entered for it."""

    label: Text | None = None
    code: Text | None = None
    amount: Money


class Fee(_Shape):
    """What is charged besides items, shipping and taxes."""

    label: Text
    amount: Money


class GiftCard(_Shape):
    """A gift card that pays a part of the total. `code` is shown: send its last digits alone."""

    code: Text | None = None
    amount: Money


class Payment(_Shape):
    """How the order is paid, or what gift cards leave of it. `method` is shown as it is: `Visa •••• 4242`.

    state: `paid`; `pending` until somebody else has confirmed it; `due`: the customer is to pay before the
        order is made ready, until the day `due`, as `instructions` say; `on_delivery`, or when it is picked up.
    """

    method: Text
    amount: Money | None = None
    state: Literal["paid", "pending", "due", "on_delivery"] | None = None
    due: Day | None = None
    instructions: Text | None = None


class PostalAddress(_Shape):
    """Where the parcel goes; shown line by line in its country's order, as far as it is given."""

    name: Text | None = None
    company: Text | None = None
    line1: Text | None = None
    line2: Text | None = None
    postal_code: Text | None = None
    city: Text | None = None
    region: Text | None = None
    country: Text | None = None
    country_code: CountryCode | None = None


class BillingAddress(PostalAddress):
    """Who gets the invoice."""

    vat_id: Text | None = None


class PickupPoint(_Shape):
    """Where the customer picks the order up."""

    name: Text
    address: PostalAddress | None = None
    opening_hours: Text | None = None
    url: WebLink | None = None


class Attachment(_Shape):
    """A file that a mail is to bring, by where it is in S3 (`s3://bucket/key`), with its extension in its name.

    `url`: where the customer can have it, too. What cannot be attached becomes a link.
    """

    uri: Annotated[
        str,
        Field(min_length=1, max_length=limits.S3_URI_MAX_LENGTH),
        BeforeValidator(_without_halves),
    ]
    sha256: Annotated[
        str,
        AfterValidator(_sha256),
        WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}),
    ]
    file_name: Annotated[
        str,
        Field(min_length=1, max_length=limits.FILE_NAME_MAX_LENGTH),
        BeforeValidator(_without_halves),
        AfterValidator(_file_name),
    ]
    url: WebLink | None = None


class Resend(_Shape):
    """Marks an event by which a notification is sent again on purpose.

    of: the notification that was to bring the mail. reason, by: why, and who says so. at: when.
    """

    of: NotificationId
    reason: ResendText
    by: ResendText
    at: Moment


class OrderEvent(_Shape):
    """What all kinds share of the SNS message body. Unknown fields are ignored.

    `eventTimestamp` is when the announced change happened; the event's age is measured from it, or from
    `resend.at`, where the event is sent again on purpose. `taxes` and `discounts` tell what `tax` and
    `discount` sum up, and are shown in their place; with `taxIncluded` the prices hold the taxes.
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
    taxes: Annotated[list[Tax], _A_FEW] | None = None
    tax_included: bool | None = None
    discount: Money | None = None
    discounts: Annotated[list[Discount], _A_FEW] | None = None
    fees: Annotated[list[Fee], _A_FEW] | None = None
    gift_cards: Annotated[list[GiftCard], _A_FEW] | None = None
    payment: Payment | None = None
    shipping_method: Text | None = None
    expected_arrival_from: Day | None = None
    expected_arrival_until: Day | None = None
    shipping_address: PostalAddress | None = None
    billing_address: BillingAddress | None = None
    pickup_point: PickupPoint | None = None
    gift_note: Text | None = None
    customer_note: Text | None = None
    order_url: WebLink | None = None
    attachments: (
        Annotated[
            list[Attachment],
            Field(max_length=limits.ATTACHMENTS_LISTED_MAX),
        ]
        | None
    ) = None
    resend: Resend | None = None

    def content(self) -> str:
        """Name what the mail says: 16 hex digits of a SHA-256 over the fields.

        A shop that publishes an event again may write another `eventTimestamp`, the address in other case,
        or 5 for 5.00: none of these says anything else. Nor does `resend`, which no mail shows.
        """
        beside = {"event_timestamp", "customer_email", "resend"}
        said = _said(self.model_dump(exclude=beside, exclude_none=True))
        written = json.dumps(said, sort_keys=True, default=_plain)
        return hashlib.sha256(written.encode()).hexdigest()[:CONTENT_DIGITS]

    def resent(self) -> tuple[str, str, str] | None:
        """Return what is sent again by this event: of which notification, with which content, and why.

        Who says so and when is no part of it: the same call twice is one mail.

        Returns:
            None where the event is no resend.
        """
        return (self.resend.of, self.content(), self.resend.reason) if self.resend else None


def resend_event(
    event: Mapping[str, Any], *, of: str, reason: str, by: str, at: datetime
) -> dict[str, Any]:
    """Return an order event (JSON, as published) marked as one that sends a notification again on purpose.

    The event may be mended, or for another address; a mark that it has already is replaced. Nothing is checked
    here: `steps.kinds.parsing.parse` says what is wrong with it.

    Args:
        event: the event.
        of: the id of the notification that was to bring the mail.
        reason: why; another one makes another mail.
        by: who says so.
        at: when, with its zone; the event's age is measured from it.
    """
    mark = {"of": of, "reason": reason, "by": by, "at": at.isoformat(timespec="seconds")}
    return {**event, "resend": mark}


def _said(value: Any) -> Any:
    """Drop empty lists, which say what no list says."""
    if isinstance(value, dict):
        return {name: _said(inner) for name, inner in value.items() if inner != []}
    return [_said(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
