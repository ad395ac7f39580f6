"""The one configuration object, read once from the environment when the app is synthesised."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from email_validator import validate_email

from steps.contract import limits
from steps.mail.brand import Brand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

LOCAL_ACCOUNT, LOCAL_REGION, LOCAL_SENDER = "000000000000", "us-east-1", "orders@example.com"
LOCAL_BRAND = Brand(name="Example Shop", support_email=LOCAL_SENDER)


class ConfigError(ValueError):
    """A setting is missing or wrong. The message is one line: the variable, what it held, what it takes."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a deployment is made of; see "Settings" in the README for each variable.

    `sender` is the From address and `domain` its domain; `cost_budget` is in USD a month; `brand` is
    the letterhead of the mails.
    """

    account: str
    region: str
    env: str
    sender: str
    brand: Brand = LOCAL_BRAND
    alert_emails: tuple[str, ...] = ()
    cost_budget: Decimal = Decimal(100)
    customer_managed_key: bool = False
    log_execution_data: bool = False
    dispatcher_concurrency: int = 5
    auto_pause_sending: bool = False
    in_doubt_grace: int = limits.IN_DOUBT_GRACE

    @property
    def domain(self) -> str:
        """The domain that the sender's address belongs to."""
        return self.sender.rpartition("@")[2]

    @property
    def keeps_data(self) -> bool:
        """Whether `cdk destroy` leaves the tracking table in place."""
        return self.env == "prod"

    def name(self, base: str) -> str:
        """Return a resource's public name: `base`-`env`."""
        return f"{base}-{self.env}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, local: bool) -> Config:
        """Read the settings; on the laptop account, region and sender have defaults.

        Raises:
            ConfigError: for the first wrong value.
        """

        def read(variable: str, parse: Callable[[str], T], default: T | None, takes: str) -> T:
            held = environ.get(variable, "").strip()
            if not held:
                if default is None:
                    raise ConfigError(f"{variable} is not set: it takes {takes}")
                return default
            try:
                return parse(held)
            except (ValueError, KeyError, InvalidOperation):
                raise ConfigError(f'{variable} is "{held}": it takes {takes}') from None

        sender = read(
            "VERIFIED_DOMAIN",
            _sender,
            LOCAL_SENDER if local else None,
            "a sender that SES has verified: an address (orders@shop.example) or a domain",
        )
        # The laptop's events are quick, and its users do not want to wait for a re-send.
        shortest = limits.IN_DOUBT_GRACE_LOCAL_MIN if local else limits.IN_DOUBT_GRACE_MIN
        return cls(
            account=read(
                "CDK_DEFAULT_ACCOUNT",
                _matching(r"\d{12}"),
                LOCAL_ACCOUNT if local else None,
                "the 12 digits of an AWS account",
            ),
            region=read(
                "CDK_DEFAULT_REGION",
                _matching(r"[a-z]{2}(-[a-z]+)+-\d"),
                LOCAL_REGION if local else None,
                "an AWS region such as us-east-1",
            ),
            env=read(
                "ENVIRONMENT_SUFFIX",
                _matching(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?"),
                "dev",
                "1 to 20 of a-z, 0-9 and -, such as dev or prod",
            ),
            sender=sender,
            brand=Brand(
                name=read(
                    "BRAND_NAME",
                    _line(80),
                    LOCAL_BRAND.name if local else sender.rpartition("@")[2],
                    "the shop's name, at most 80 characters",
                ),
                support_email=read(
                    "SUPPORT_EMAIL", _address, sender, "the address that customers write to"
                ),
                colour=read(
                    "BRAND_COLOUR",
                    _matching("#[0-9a-fA-F]{6}"),
                    Brand.colour,
                    "a colour such as #1f5a43",
                ),
                logo_url=read("BRAND_LOGO_URL", _web_link, "", "a link that begins with https://"),
                website_url=read(
                    "BRAND_WEBSITE_URL", _web_link, "", "a link that begins with https://"
                ),
                postal_address=read(
                    "BRAND_POSTAL_ADDRESS", _line(200), "", "one line of at most 200 characters"
                ),
                links=read(
                    "BRAND_LINKS",
                    _links,
                    (),
                    "up to six links for the footer: Help=https://..., Returns=https://...",
                ),
                unsubscribe_url=read(
                    "LIST_UNSUBSCRIBE_URL",
                    _web_link,
                    "",
                    "a link that begins with https:// and may hold {notificationId}",
                ),
            ),
            alert_emails=read(
                "NOTIFICATION_EMAILS", _addresses, (), "addresses separated by commas"
            ),
            cost_budget=read(
                "COST_BUDGET_THRESHOLD", _positive, Decimal(100), "US dollars a month, such as 100"
            ),
            customer_managed_key=read(
                "CUSTOMER_MANAGED_KEY", _switch, default=False, takes="true or false"
            ),
            log_execution_data=read(
                "LOG_EXECUTION_DATA", _switch, default=False, takes="true or false"
            ),
            dispatcher_concurrency=read(
                "DISPATCHER_CONCURRENCY", _whole(2, 1000), 5, "a whole number from 2 to 1000"
            ),
            in_doubt_grace=read(
                "IN_DOUBT_GRACE_SECONDS",
                _whole(shortest, limits.IN_DOUBT_GRACE_MAX),
                limits.IN_DOUBT_GRACE,
                f"a whole number of seconds from {shortest} to {limits.IN_DOUBT_GRACE_MAX}",
            ),
            auto_pause_sending=read(
                "AUTO_PAUSE_SENDING", _switch, default=False, takes="true or false"
            ),
        )


def _matching(pattern: str) -> Callable[[str], str]:
    def parse(held: str) -> str:
        if not re.fullmatch(pattern, held, re.ASCII):
            raise ValueError(held)
        return held

    return parse


def _address(held: str) -> str:
    return validate_email(held, check_deliverability=False, allow_smtputf8=False).normalized


def _sender(held: str) -> str:
    return _address(held if "@" in held else f"orders@{held}")


def _addresses(held: str) -> tuple[str, ...]:
    return tuple(_address(part.strip()) for part in held.split(",") if part.strip())


def _positive(held: str) -> Decimal:
    amount = Decimal(held)
    if not (amount.is_finite() and amount > 0):
        raise ValueError(held)
    return amount


def _switch(held: str) -> bool:
    return {"true": True, "false": False}[held.lower()]


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(held: str) -> int:
        if not least <= (number := int(held)) <= most:
            raise ValueError(held)
        return number

    return parse


def _line(longest: int) -> Callable[[str], str]:
    def parse(held: str) -> str:
        if len(held) > longest or not held.isprintable():
            raise ValueError(held)
        return held

    return parse


def _web_link(held: str) -> str:
    # Printable ASCII without brackets: it also stands in a header field (RFC 2369).
    if not re.fullmatch(r"https://[!-;=?-~]{1,500}", held) or not urlsplit(held).hostname:
        raise ValueError(held)
    return held


def _links(held: str) -> tuple[tuple[str, str], ...]:
    links = []
    for part in held.split(","):
        label, separator, url = part.strip().partition("=")
        if not (separator and label.strip()):
            raise ValueError(held)
        links.append((_line(40)(label.strip()), _web_link(url.strip())))
    if len(links) > 6:  # noqa: PLR2004 - a footer, not a site map; Lambda's environment holds 4 KB
        raise ValueError(held)
    return tuple(links)
