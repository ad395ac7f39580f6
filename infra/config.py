"""The one configuration object, read once from the environment when the app is synthesised.

`python -m infra.config` prints the settings as a table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Self

from infra import formats
from infra.setting import ROW, Format, Group, Setting, group, markdown_table, setting
from steps.contract import limits
from steps.mail.brand import Brand

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_ACCOUNT, LOCAL_REGION, LOCAL_SENDER = "000000000000", "us-east-1", "orders@example.com"
LOCAL_BRAND = Brand(name="Example Shop", support_email=LOCAL_SENDER)

BRAND_SETTINGS = {
    "name": Setting(
        "BRAND_NAME",
        "the shop's name in the mails",
        formats.line(80, "the shop's name,"),
        default="",
        default_words="the sender's domain",
        laptop_default=LOCAL_BRAND.name,
    ),
    "support_email": Setting(
        "SUPPORT_EMAIL",
        "where customers write to; also the mails' Reply-To",
        formats.SUPPORT_ADDRESS,
        default="",
        default_words="the sender",
    ),
    "colour": Setting(
        "BRAND_COLOUR",
        "the mails' colour; the text on it is chosen to be readable",
        formats.COLOUR,
        default=Brand.colour,
    ),
    "logo_url": Setting(
        "BRAND_LOGO_URL",
        "a picture in place of the name at the top",
        formats.WEB_LINK,
        default=Brand.logo_url,
    ),
    "website_url": Setting(
        "BRAND_WEBSITE_URL",
        "where the name at the top leads to",
        formats.WEB_LINK,
        default=Brand.website_url,
    ),
    "postal_address": Setting(
        "BRAND_POSTAL_ADDRESS",
        "stands in the footer",
        formats.line(200, "one line of"),
        default=Brand.postal_address,
    ),
    "links": Setting(
        "BRAND_LINKS",
        "the footer's links: `Help=https://…, Returns=https://…`",
        formats.LINKS,
        default=Brand.links,
    ),
    "unsubscribe_url": Setting(
        "LIST_UNSUBSCRIBE_URL",
        "adds one-click unsubscribe (RFC 8058): `https://…/{notificationId}`",
        formats.UNSUBSCRIBE_LINK,
        default=Brand.unsubscribe_url,
    ),
}
"""By the fields of `Brand`."""


def _grace(least: int) -> Format[int]:
    return formats.whole_number(least, limits.IN_DOUBT_GRACE_MAX, "a whole number of seconds")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a deployment is made of: each field is a setting.

    `sender` is the From address and `domain` its domain; `cost_budget` is in USD a month,
    `in_doubt_grace` in seconds; `brand` is the letterhead of the mails.
    """

    sender: str = setting(
        "VERIFIED_DOMAIN",
        "the sender: an address, or a domain (then `orders@` it)",
        formats.SENDER,
        laptop_default=LOCAL_SENDER,
    )
    account: str = setting(
        "CDK_DEFAULT_ACCOUNT",
        "the account to deploy to",
        formats.ACCOUNT,
        default_words="from your AWS credentials",
        laptop_default=LOCAL_ACCOUNT,
    )
    region: str = setting(
        "CDK_DEFAULT_REGION",
        "the region to deploy to",
        formats.REGION,
        default_words="from your AWS credentials",
        laptop_default=LOCAL_REGION,
    )
    env: str = setting(
        "ENVIRONMENT_SUFFIX", "`{env}` in every name", formats.ENVIRONMENT, default="dev"
    )
    alert_emails: tuple[str, ...] = setting(
        "NOTIFICATION_EMAILS",
        "addresses that get alerts, separated by commas",
        formats.ADDRESSES,
        default=(),
    )
    cost_budget: Decimal = setting(
        "COST_BUDGET_THRESHOLD", "USD a month", formats.USD_A_MONTH, default=Decimal(100)
    )
    auto_pause_sending: bool = setting(
        "AUTO_PAUSE_SENDING",
        "`true` pauses sending at a critical bounce or complaint rate",
        formats.SWITCH,
        default=False,
    )
    customer_managed_key: bool = setting(
        "CUSTOMER_MANAGED_KEY",
        "`true` puts a KMS key of your own under table, queues, topics and logs ($1 a month)",
        formats.SWITCH,
        default=False,
    )
    log_execution_data: bool = setting(
        "LOG_EXECUTION_DATA",
        "`true` logs orders and mails in the workflow's log: for tests only",
        formats.SWITCH,
        default=False,
    )
    dispatcher_concurrency: int = setting(
        "DISPATCHER_CONCURRENCY",
        "dispatchers at once, ten mails each; 5 carry about 50 mails a second",
        formats.whole_number(2, 1000),
        default=5,
    )
    in_doubt_grace: int = setting(
        "IN_DOUBT_GRACE_SECONDS",
        "how long a mail without an answer waits for SES's own event",
        _grace(limits.IN_DOUBT_GRACE_MIN),
        default=limits.IN_DOUBT_GRACE,
        # The laptop's events are quick, and its users do not want to wait for a re-send.
        laptop_takes=_grace(limits.IN_DOUBT_GRACE_LOCAL_MIN),
    )
    brand: Brand = group(Brand, BRAND_SETTINGS)

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
    def from_environment(cls, environ: Mapping[str, str], *, local: bool) -> Self:
        """Read the settings; on the laptop account, region and sender have defaults.

        Raises:
            ConfigError: for the first wrong value.
        """
        config = cls.rows().read(environ, local=local)
        brand = replace(
            config.brand,
            name=config.brand.name or config.domain,
            support_email=config.brand.support_email or config.sender,
        )
        return replace(config, brand=brand)

    @classmethod
    def rows(cls) -> Group[Self]:
        """Return the table of settings: a row for each field."""
        return Group(cls, {field.name: field.metadata[ROW] for field in fields(cls)})


def settings_table() -> str:
    """Return all settings as a Markdown table: variable, meaning, default."""
    return markdown_table(Config.rows().settings())


if __name__ == "__main__":
    sys.stdout.write(f"{settings_table()}\n")
