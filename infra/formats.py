"""What settings take: each format in words, and the function that reads it."""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

import boto3
from email_validator import validate_email
from pydantic import HttpUrl, TypeAdapter

from infra.setting import Format
from steps.contract.attachments import MEDIA_TYPES
from steps.contract.order_event import WebLink
from steps.mail.brand import DEFAULT, OrderWording

Choice = TypeVar("Choice", bound=StrEnum)

PARTITION = "aws"
"""Links into the console, Cost Explorer and prices are this partition's: China and GovCloud have others."""

LINKS_MAX, LEGAL_MAX = 10, 10
"""A footer, not a site map; and lines below it."""


def matching(pattern: str, words: str) -> Format[str]:
    """Return the format of a text that matches the whole of a regular expression."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(text)
        return text

    return Format(words, parse)


def line(longest: int, words: str) -> Format[str]:
    """Return the format of a printable text; its words go on: "at most `longest` characters"."""

    def parse(text: str) -> str:
        if not text.strip() or len(text) > longest or not text.isprintable():
            raise ValueError(text)
        return text

    return Format(f"{words} at most {longest} characters", parse)


def whole_number(least: int, most: int, words: str = "a whole number") -> Format[int]:
    """Return the format of a whole number; its words go on: "from `least` to `most`"."""

    def parse(text: str) -> int:
        if not least <= (number := int(text)) <= most:
            raise ValueError(text)
        return number

    return Format(f"{words} from {least} to {most}", parse)


def zero_or(other: Format[int]) -> Format[int]:
    """Return the format of a number that `0` switches off."""
    return Format(f"0, or {other.words}", lambda text: 0 if text == "0" else other.parse(text))


def one_of(values: type[Choice]) -> Format[Choice]:
    """Return the format of one of an enumeration's values, in small letters."""
    *others, last = values

    def parse(text: str) -> Choice:
        return values(text.lower())

    return Format(f"{', '.join(others)} or {last}", parse)


_LEAST_USD, _MOST_USD = Decimal("0.01"), Decimal(10**9)


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _usd(text: str) -> Decimal:
    amount = Decimal(text)
    if not (amount.is_finite() and _LEAST_USD <= amount <= _MOST_USD):
        raise ValueError(text)
    return amount


def _share(text: str) -> Decimal:
    share = Decimal(text)
    if not (share.is_finite() and 0 <= share <= 1):
        raise ValueError(text)
    return share


def _region(text: str) -> str:
    if text not in _regions():
        raise ValueError(text)
    return text


@functools.cache
def _regions() -> frozenset[str]:
    return frozenset(boto3.Session().get_available_regions("sesv2", PARTITION))


def _address(text: str) -> str:
    # SES takes ASCII alone in every header, and a policy's `ses:FromAddress` is compared with what it got: an
    # international domain is its A-labels (RFC 5890) from here on.
    address = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    return address.ascii_email or address.normalized


def shown_domain(address: str) -> str:
    """Return an address's domain as people write it: an international one in Unicode."""
    return validate_email(address, check_deliverability=False).domain


def _addresses(text: str) -> tuple[str, ...]:
    addresses = (_address(part.strip()) for part in text.split(",") if part.strip())
    return tuple(dict.fromkeys(addresses))  # SNS has each once.


def _sender(text: str) -> str:
    return _address(text if "@" in text else f"orders@{text}")


def _web_link(text: str) -> str:
    # Printable ASCII without brackets: it also stands in a header field (RFC 2369). And the host comes at once:
    # readers differ in what they make of `https:///`, of a backslash, and of an empty user name.
    if not re.fullmatch(r"https://[A-Za-z0-9][!-;=?-\[\]-~]{0,499}", text):
        raise ValueError(text)
    _EVENTS_LINK.validate_python(text)  # What an event may link to, a setting may.
    return text


def _links(text: str) -> dict[str, tuple[tuple[str, str], ...]]:
    pairs = []
    for part in text.split(","):
        label, separator, url = part.strip().partition("=")
        if not (separator and label.strip()):
            raise ValueError(text)
        pairs.append((LABEL.parse(label.strip()), _web_link(url.strip())))
    if len(pairs) > LINKS_MAX:
        raise ValueError(text)
    return {DEFAULT: tuple(pairs)}


def _attachment_types(text: str) -> tuple[str, ...]:
    types = tuple(dict.fromkeys(part.strip().lower().removeprefix(".") for part in text.split(",")))
    if not MEDIA_TYPES.keys() >= set(types):
        raise ValueError(text)
    return types


_EVENTS_LINK: TypeAdapter[HttpUrl] = TypeAdapter(WebLink)

SWITCH = Format("true or false", _switch)
SHARE = Format("a number from 0 to 1, such as 0.01", _share)
USD_A_MONTH = Format("US dollars a month, such as 100", _usd)

ACCOUNT = matching(r"\d{12}", "the 12 digits of an AWS account")
REGION = Format(
    "an AWS region that has SES, such as us-east-1; not one of China, GovCloud or another partition",
    _region,
)
ENVIRONMENT = matching(
    r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", "1 to 20 of a-z, 0-9 and -, such as dev or prod"
)

SENDER = Format(
    "a sender that SES has verified: an address (orders@shop.example) or a domain", _sender
)
ADDRESSES = Format("addresses separated by commas", _addresses)
SUPPORT_ADDRESS = Format("the address that customers write to", _address)

COLOUR = matching("#[0-9a-fA-F]{6}", "a colour such as #1f5a43")
WEB_LINK = Format("a link that begins with https:// and a host's name", _web_link)
UNSUBSCRIBE_LINK = Format(f"{WEB_LINK.words} and may hold {{notificationId}}", _web_link)
LABEL = line(40, "a label of")
LINKS = Format(
    f"up to {LINKS_MAX} links for the footer: Help=https://..., Returns=https://...", _links
)
LEGAL_LINE = line(200, "a line of")
LANGUAGE = matching(
    rf"{DEFAULT}|[A-Za-z]{{2,3}}(-[A-Za-z0-9]{{2,8}})*",
    f'a language tag such as de-AT, or "{DEFAULT}"',
)
# A trunk prefix in brackets, as in +49 (0)40, is dialled from nowhere.
PHONE = matching(
    r"(?!.*\(0)(?=(\D*\d){3,15}\D*$)\+?[\d(][\d ()./-]{1,30}\d",
    "a phone number such as +49 40 1234567 or +1 (503) 555-0100, without a (0)",
)
ORDER_WORDING = one_of(OrderWording)
LOG_LEVEL = matching("ALL|ERROR|OFF", "ALL, ERROR or OFF")
S3_PREFIX = matching(
    # No wildcard of IAM's: it becomes a part of a policy's resource.
    r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([A-Za-z0-9!_.'()-]+/)*",
    "a bucket and a prefix that ends with a slash, such as s3://shop-documents/invoices/",
)
ATTACHMENT_TYPES = Format(
    f"file extensions separated by commas, of {', '.join(MEDIA_TYPES)}", _attachment_types
)
