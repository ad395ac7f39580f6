"""The settings: a wrong one stops the synth with one line, and all of them stand in one table."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from infra.brand import BRAND_SETTINGS
from infra.config import Config, KeyUse, settings_table
from infra.setting import ConfigError
from steps.contract import limits
from steps.mail.brand import Brand
from tests.support.templates import AWS_SETTINGS

if TYPE_CHECKING:
    from infra.setting import Setting

SETTINGS = list(Config.rows().settings())


def test_on_aws_all_but_three_settings_have_a_default() -> None:
    given = AWS_SETTINGS | {"CDK_DEFAULT_REGION": "eu-west-1"}
    config = Config.from_environment(given, local=False)
    assert (config.account, config.region, config.env) == ("123456789012", "eu-west-1", "dev")
    assert (config.sender, config.domain) == ("orders@shop.example", "shop.example")
    assert config.cost_budget == Decimal(100)
    assert config.alert_emails == ()
    assert config.canary_minutes == 60
    assert not config.keeps_data


@pytest.mark.parametrize("given", ["bücher.example", "orders@xn--bcher-kva.example"])
def test_an_international_domain_is_sent_in_ascii_and_shown_in_unicode(given: str) -> None:
    addresses = {
        "SUPPORT_EMAIL": "hallo@bücher.example",
        "NOTIFICATION_EMAILS": "ops@bücher.example",
    }
    settings = AWS_SETTINGS | {"VERIFIED_DOMAIN": given} | addresses
    config = Config.from_environment(settings, local=False)
    assert (config.sender, config.domain) == (
        "orders@xn--bcher-kva.example",
        "xn--bcher-kva.example",
    )
    assert config.brand.support_email == "hallo@xn--bcher-kva.example"
    assert config.alert_emails == ("ops@xn--bcher-kva.example",)
    assert config.brand.name == "bücher.example"


@pytest.mark.parametrize("minutes", [0, 5, 60, 1440])
def test_canaries_are_off_or_five_minutes_to_a_day_apart(minutes: int) -> None:
    given = AWS_SETTINGS | {"CANARY_MINUTES": str(minutes)}
    assert Config.from_environment(given, local=False).canary_minutes == minutes


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({}, "ALL"),
        ({"MAILS_A_DAY": "100000"}, "ALL"),
        ({"MAILS_A_DAY": "100001"}, "ERROR"),
        ({"MAILS_A_DAY": "100001", "WORKFLOW_LOG_LEVEL": "ALL"}, "ALL"),
        ({"WORKFLOW_LOG_LEVEL": "OFF"}, "OFF"),
    ],
)
def test_many_mails_log_failed_executions_alone_unless_asked(
    given: dict[str, str], level: str
) -> None:
    assert Config.from_environment(AWS_SETTINGS | given, local=False).workflow_log_level == level


def test_on_the_laptop_everything_has_a_default() -> None:
    config = Config.from_environment({}, local=True)
    assert config.canary_minutes == 0
    assert (config.account, config.region) == ("000000000000", "us-east-1")
    assert config.sender == "orders@example.com"


def test_every_setting_is_read() -> None:
    config = Config.from_environment(
        AWS_SETTINGS
        | {
            "ENVIRONMENT_SUFFIX": "staging",
            "VERIFIED_DOMAIN": "hello@shop.example",
            "NOTIFICATION_EMAILS": "a@shop.example, b@shop.example, a@SHOP.example",
            "COST_BUDGET_THRESHOLD": "9.26",
            "CUSTOMER_MANAGED_KEY": "true",
            "LOG_EXECUTION_DATA": "True",
            "REQUIRE_TLS": "true",
            "TRACING_RATE": "1",
            "DISPATCHER_WINDOW_SECONDS": "1",
            "DISPATCHER_CONCURRENCY": "50",
            "IN_DOUBT_GRACE_SECONDS": "600",
            "ATTACHMENTS_PREFIX": "s3://shop-documents/mails/invoices/",
            "ATTACHMENT_TYPES": "pdf, .XML,pdf",
        },
        local=False,
    )
    assert config.sender == "hello@shop.example"
    assert config.alert_emails == ("a@shop.example", "b@shop.example")
    assert config.cost_budget == Decimal("9.26")
    assert config.customer_managed_key is KeyUse.TRUE
    assert config.require_tls
    assert config.log_execution_data
    assert config.tracing_rate == 1
    assert config.dispatcher_window == 1
    assert config.dispatcher_concurrency == 50
    assert config.in_doubt_grace == 600
    assert config.attachments_prefix == "s3://shop-documents/mails/invoices/"
    assert config.attachment_types == ("pdf", "xml")
    assert not config.keeps_data
    assert config.name("email-order-dlq") == "email-order-dlq-staging"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CDK_DEFAULT_ACCOUNT", "12345"),
        ("CDK_DEFAULT_REGION", "Frankfurt"),
        ("CDK_DEFAULT_REGION", "us-est-1"),
        ("CDK_DEFAULT_REGION", "us-east-9"),
        ("ENVIRONMENT_SUFFIX", "Prod_1"),
        ("ENVIRONMENT_SUFFIX", "x" * 21),
        ("VERIFIED_DOMAIN", "not a domain"),
        ("VERIFIED_DOMAIN", "a@b@c"),
        ("NOTIFICATION_EMAILS", "a@shop.example;b@shop.example"),
        ("COST_BUDGET_THRESHOLD", "-1"),
        ("COST_BUDGET_THRESHOLD", "NaN"),
        ("COST_BUDGET_THRESHOLD", "1e400"),
        ("COST_BUDGET_THRESHOLD", "1e-400"),
        ("COST_BUDGET_THRESHOLD", "ten"),
        ("CUSTOMER_MANAGED_KEY", "maybe"),
        ("DISPATCHER_CONCURRENCY", "1"),
        *(("DISPATCHER_WINDOW_SECONDS", wrong) for wrong in ("-1", "6", "0.5")),
        *(("MAILS_A_DAY", wrong) for wrong in ("0", "100000001", "1e6", "2.5")),
        *(("TRACING_RATE", wrong) for wrong in ("1.01", "-0.1", "NaN", "1%", "half")),
        *(("WORKFLOW_LOG_LEVEL", wrong) for wrong in ("all", "FATAL", "ALL,ERROR")),
        *(("CANARY_MINUTES", wrong) for wrong in ("-1", "4", "1441", "7.5", "00", "off")),
        ("IN_DOUBT_GRACE_SECONDS", str(limits.IN_DOUBT_GRACE_MIN - 1)),
        ("IN_DOUBT_GRACE_SECONDS", "5 min"),
        *(
            ("ATTACHMENTS_PREFIX", wrong)
            for wrong in (
                *("s3://shop-documents", "s3://shop-documents/mails", "shop-documents/mails/"),
                *("s3://Shop/", "s3://shop-documents/*/", "s3://shop-documents/a?/", "s3://s/"),
                *("s3://shop-documents/${aws:username}/", "s3://shop-documents//"),
            )
        ),
        *(("ATTACHMENT_TYPES", wrong) for wrong in ("exe", "pdf;xml", "pdf,", "application/pdf")),
    ],
)
def test_a_wrong_value_is_named_with_what_the_setting_takes(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as error:
        Config.from_environment(AWS_SETTINGS | {variable: value}, local=False)
    message = str(error.value)
    assert message.startswith(f'{variable} is "{value}": it takes ')
    assert "\n" not in message


@pytest.mark.parametrize("variable", AWS_SETTINGS)
def test_on_aws_three_settings_must_be_given(variable: str) -> None:
    given = {name: value for name, value in AWS_SETTINGS.items() if name != variable}
    with pytest.raises(ConfigError, match=f"^{variable} is not set: it takes "):
        Config.from_environment(given, local=False)


def test_a_mail_in_doubt_may_wait_less_long_on_the_laptop() -> None:
    shortest = limits.IN_DOUBT_GRACE_LOCAL_MIN
    config = Config.from_environment({"IN_DOUBT_GRACE_SECONDS": str(shortest)}, local=True)
    assert config.in_doubt_grace == shortest < limits.IN_DOUBT_GRACE_MIN


def test_every_field_is_a_row_of_the_table_and_every_row_a_field() -> None:
    assert set(Config.rows().rows) == {field.name for field in fields(Config)}
    assert set(BRAND_SETTINGS) | {"legal"} == {field.name for field in fields(Brand)}
    assert len(SETTINGS) == len(fields(Config)) - 1 + len(BRAND_SETTINGS)
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize("local", [True, False], ids=["laptop", "aws"])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.variable)
@pytest.mark.parametrize("wrong", ["\a", "<\n>"], ids=["bell", "two-lines"])
def test_every_setting_refuses_a_wrong_value_with_one_line(
    wrong: str, setting: Setting[object], *, local: bool
) -> None:
    with pytest.raises(ConfigError, match=f"^{setting.variable} is .*: it takes .") as error:
        Config.from_environment(AWS_SETTINGS | {setting.variable: wrong}, local=local)
    assert len(str(error.value).splitlines()) == 1


def test_the_table_has_a_line_for_each_setting() -> None:
    head, rule, *rows = settings_table().splitlines()
    assert (head, rule) == ("| variable | meaning | default |", "|---|---|---|")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == [f"`{setting.variable}`" for setting in SETTINGS]
    assert all(len(row) == 3 and all(row) for row in cells)
    defaults = {row[0].strip("`"): row[2] for row in cells}
    assert defaults["VERIFIED_DOMAIN"] == "must be given; on the laptop `orders@example.com`"
    assert defaults["COST_BUDGET_THRESHOLD"] == "`100`"
    assert defaults["CUSTOMER_MANAGED_KEY"] == "`false`"
    assert defaults["NOTIFICATION_EMAILS"] == "none"
    assert defaults["SUPPORT_EMAIL"] == "the sender"


def test_the_table_is_printed_on_demand() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "infra.config"], check=True, capture_output=True, text=True
    )
    assert printed.stdout == f"{settings_table()}\n"
