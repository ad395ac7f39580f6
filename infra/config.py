"""The one configuration object, read once from the environment when the app is synthesised.

`python -m infra.config` prints the settings as a table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar

from infra import formats
from infra.brand import BRAND_SETTINGS, FILE, LOCAL_BRAND, completed
from infra.setting import (
    ROW,
    ConfigError,
    Format,
    Group,
    group,
    markdown_table,
    setting,
)
from steps.contract import limits
from steps.contract.attachments import MEDIA_TYPES
from steps.contract.metrics import PRODUCTION, namespace
from steps.mail.brand import Brand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

LOCAL_ACCOUNT, LOCAL_REGION = "000000000000", "us-east-1"
LOCAL_ATTACHMENTS = "s3://shop-documents/mails/"
"""The local stack makes the bucket."""

HOME = "us-east-1"
"""The region with the plain names of what an account has once, for all its regions: dashboards (CloudWatch
API Reference, PutDashboard) and policies (IAM User Guide, "IAM and AWS STS quotas")."""


class KeyUse(StrEnum):
    """What a customer-managed key is for: all new data, only data from before, or there is none."""

    TRUE = "true"
    RETIRING = "retiring"
    FALSE = "false"


LARGE = 100_000
"""Mails a day above which a shop is large: what its order workflow would log of each step, 8 KB a mail, costs
more than all its functions, and these are hardly ever idle for so long that they begin anew."""

FEW_MAILS = 10_000
"""Mails a day up to which nothing need limit the functions that take SES's events: what waits after half a
day's outage, 10,000 of them, is a minute's work for the five that Lambda begins with."""
EVERYTHING_TRACED_UP_TO = 3_000
"""Mails a day up to which each has a trace: a month's are within the 100,000 that X-Ray gives for nothing."""
POLLERS = 5
"""As many functions at once does Lambda begin with where nothing limits them (AWS Lambda Developer Guide,
"Configuring scaling behavior for SQS event source mappings")."""


def _grace(least: int) -> Format[int]:
    return formats.whole_number(least, limits.IN_DOUBT_GRACE_MAX, "a whole number of seconds")


def _up_to(mails_a_day: int, few: T, many: T) -> Callable[[Mapping[str, str]], T]:
    """Return what makes a default: `few` up to so many MAILS_A_DAY, `many` above."""

    def default(environ: Mapping[str, str]) -> T:
        expected: int = Config.rows().rows["mails_a_day"].read(environ, local=False)  # type: ignore[assignment]
        return few if expected <= mails_a_day else many

    return default


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
        laptop_default=LOCAL_BRAND.support_email,
    )
    account: str = setting(
        "CDK_DEFAULT_ACCOUNT",
        "the account to deploy to: the CDK CLI sets it",
        formats.ACCOUNT,
        default_words="that of your AWS credentials (`AWS_PROFILE`)",
        laptop_default=LOCAL_ACCOUNT,
    )
    region: str = setting(
        "CDK_DEFAULT_REGION",
        "the region to deploy to: the CDK CLI sets it",
        formats.REGION,
        default_words="`AWS_REGION`, else that of `AWS_PROFILE`",
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
    mails_a_day: int = setting(
        "MAILS_A_DAY",
        "how many mails you expect: the defaults of others follow, and the functions' memory",
        formats.whole_number(1, 100_000_000),
        default=2000,
    )
    auto_pause_sending: bool = setting(
        "AUTO_PAUSE_SENDING",
        "`true` pauses sending at a critical bounce or complaint rate",
        formats.SWITCH,
        default=False,
    )
    customer_managed_key: KeyUse = setting(
        "CUSTOMER_MANAGED_KEY",
        "`true` puts a KMS key of your own under table, queues, topics and logs ($1 a month); "
        "from `true` the way back leads over `retiring`",
        formats.one_of(KeyUse),
        default=KeyUse.FALSE,
    )
    require_tls: bool = setting(
        "REQUIRE_TLS",
        "`true` lets SES deliver over TLS only; a server without it never gets the mail",
        formats.SWITCH,
        default=False,
    )
    outcome_events: bool = setting(
        "OUTCOME_EVENTS",
        "`false` leaves out what tells the shop of outcomes: the topic, its function, the table's stream",
        formats.SWITCH,
        default=True,
    )
    attachments_prefix: str = setting(
        "ATTACHMENTS_PREFIX",
        "where the files are that mails may bring: `s3://bucket/prefix/`; without it none brings any",
        formats.S3_PREFIX,
        default="",
        laptop_default=LOCAL_ATTACHMENTS,
    )
    attachment_types: tuple[str, ...] = setting(
        "ATTACHMENT_TYPES",
        f"which files, by their extensions: of {', '.join(MEDIA_TYPES)}",
        formats.ATTACHMENT_TYPES,
        default=("pdf",),
        default_words="`pdf`",
    )
    canary_minutes: int = setting(
        "CANARY_MINUTES",
        "how often a canary order runs through the whole path; `0` is off",
        formats.zero_or(formats.whole_number(5, 24 * 60, "a whole number of minutes")),
        default=60,
        # The local stack stays quiet unless asked.
        laptop_default=0,
    )
    workflow_log_level: str = setting(
        "WORKFLOW_LOG_LEVEL",
        "what the order workflow logs: `ALL` its steps, what fails alone (`ERROR`), or nothing (`OFF`)",
        formats.LOG_LEVEL,
        default_by=_up_to(LARGE, "ALL", "ERROR"),
        default_words=f"`ALL`; above {LARGE:,} `MAILS_A_DAY` `ERROR`",
    )
    tracing_rate: Decimal = setting(
        "TRACING_RATE",
        "of how many mails X-Ray keeps a trace: `0.01` is one in a hundred; `0` is off, for the reports, too",
        formats.SHARE,
        default_by=_up_to(EVERYTHING_TRACED_UP_TO, Decimal(1), Decimal("0.01")),
        default_words=f"`1`; above {EVERYTHING_TRACED_UP_TO:,} `MAILS_A_DAY` `0.01`",
    )
    log_execution_data: bool = setting(
        "LOG_EXECUTION_DATA",
        "`true` logs orders and mails in the workflow's log: for tests only, not in `prod`",
        formats.SWITCH,
        default=False,
    )
    dispatcher_concurrency: int = setting(
        "DISPATCHER_CONCURRENCY",
        "dispatchers at once, ten mails each; 5 carry about 50 mails a second; as many take SES's events,"
        f" unless it is {POLLERS} or more and `MAILS_A_DAY` are few ({FEW_MAILS:,})",
        formats.whole_number(2, 1000),
        default=5,
    )
    dispatcher_window: int = setting(
        "DISPATCHER_WINDOW_SECONDS",
        "how long orders are gathered, so that many share a dispatcher: for large shops, since where"
        " few come Lambda may gather for 20 seconds",
        formats.whole_number(0, limits.DISPATCHER_WINDOW_MAX),
        default=0,
    )
    in_doubt_grace: int = setting(
        "IN_DOUBT_GRACE_SECONDS",
        "how long a mail without an answer waits for SES's own event",
        _grace(limits.IN_DOUBT_GRACE_MIN),
        default=limits.IN_DOUBT_GRACE,
        # The laptop's events are quick, and its users do not want to wait for a re-send.
        laptop_takes=_grace(limits.IN_DOUBT_GRACE_LOCAL_MIN),
    )
    brand_file: str = setting(
        "BRAND_FILE",
        "all of the brand: a JSON file such as `infra/brand.example.json`; variables win over it",
        FILE,
        default="",
    )
    brand: Brand = group(Brand, BRAND_SETTINGS)

    @property
    def domain(self) -> str:
        """The domain that the sender's address belongs to."""
        return self.sender.rpartition("@")[2]

    @property
    def keeps_data(self) -> bool:
        """Whether `cdk destroy` leaves the tracking table in place."""
        return self.env == PRODUCTION

    @property
    def is_large(self) -> bool:
        """Whether so many mails are expected that what each costs counts more than the first of a morning."""
        return self.mails_a_day > LARGE

    @property
    def feedback_concurrency(self) -> int | None:
        """How many functions at once may take SES's events; None where nothing need limit them."""
        few = self.mails_a_day <= FEW_MAILS and self.dispatcher_concurrency >= POLLERS
        return None if few else self.dispatcher_concurrency

    @property
    def key_alias(self) -> str:
        """The customer-managed key's name."""
        return f"alias/{self.name('order-mail')}"

    @property
    def metrics_namespace(self) -> str:
        """CloudWatch's namespace of the business metrics: each environment counts for itself."""
        return namespace(self.env)

    def name(self, base: str) -> str:
        """Return a resource's public name: `base`-`env`."""
        return f"{base}-{self.env}"

    def account_wide_name(self, base: str) -> str:
        """Return a name that no other region may have: `base`-`env`, with the region outside of `HOME`."""
        name = self.name(base)
        return name if self.region == HOME else f"{name}-{self.region}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, local: bool) -> Self:
        """Read the settings; on the laptop account, region and sender have defaults.

        Raises:
            ConfigError: for the first wrong value, for all that is wrong in the brand's file, or for values
                that do not go together.
        """
        config = cls.rows().read(environ, local=local)
        brand = completed(config.brand, config.brand_file, environ)
        brand = replace(
            brand,
            name=brand.name or formats.shown_domain(config.sender),
            support_email=brand.support_email or config.sender,
        )
        config = replace(config, brand=brand)
        config._check()
        return config

    def _check(self) -> None:
        if self.log_execution_data and self.keeps_data:
            raise ConfigError(
                "LOG_EXECUTION_DATA is true and ENVIRONMENT_SUFFIX is prod: customers' data must not be "
                "logged there; look at an order in another environment"
            )
        if self.brand.logo_dark_url and not self.brand.logo_url:
            raise ConfigError(
                "BRAND_LOGO_DARK_URL is given without BRAND_LOGO_URL: it takes its place in dark mode alone; "
                "so it is for logoDarkUrl and logoUrl in BRAND_FILE"
            )

    @classmethod
    def rows(cls) -> Group[Self]:
        """Return the table of settings: a row for each field."""
        return Group(cls, {field.name: field.metadata[ROW] for field in fields(cls)})


def settings_table() -> str:
    """Return all settings as a Markdown table: variable, meaning, default."""
    return markdown_table(Config.rows().settings())


if __name__ == "__main__":
    sys.stdout.write(f"{settings_table()}\n")
