"""Sends a sample mail to oneself: `make send-test TO=me@shop.example KIND=order.shipped LOCALE=de`.

Through SES with the caller's AWS credentials and region, from the deployment's sender (`VERIFIED_DOMAIN`); with
`AWS_ENDPOINT_URL`, through the local stack. The mail goes past the order workflow: without a configuration set
and without a notification's tag, so nothing of it is recorded, counted or told to the shop, also where the
sender's identity has a configuration set of its own (`steps.feedback`). Its header `X-Order-Mail-Test` and the
tag `orderMailTest` say what it is.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from infra import mail
from infra.config import Config
from infra.local import stress
from infra.local.events import EventError, samples, validated
from infra.setting import ConfigError
from steps import render
from steps.aws.sdk import error_code
from steps.aws.ses import Ses, sesv2
from steps.contract.errors import OrderMailError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.events import Event
    from steps.contract.state import Email

USAGE = "make send-test TO=me@shop.example KIND=order.shipped [LOCALE=de]"
HEADER, TAG = "X-Order-Mail-Test", "orderMailTest"
ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SESV2")


class SendTestError(Exception):
    """The mail was not sent, or nobody knows. The message says why, and what to do."""


class Asked(NamedTuple):
    """What is to be sent: to which address, which sample or strained event, in which language."""

    to: str
    sample: str
    locale: str


def events() -> dict[str, Event]:
    """Return what can be sent, by name: each kind's samples, and what strains it.

    What they attach is left out: it is in nobody's bucket.
    """
    return {
        sample: {name: value for name, value in event.items() if name != "attachments"}
        for sample, event in stress.with_cases(samples()).items()
    }


def asked(arguments: Sequence[str]) -> Asked:
    """Read the command line.

    Raises:
        SendTestError: what is missing or unknown, and how it is said.
    """
    parser = argparse.ArgumentParser(usage=USAGE, description=__doc__)
    for option in ("--to", "--kind", "--locale"):
        parser.add_argument(option, default="")
    options = parser.parse_args(arguments)
    if not options.to:
        raise SendTestError(f"TO is missing, the address that gets the mail: {USAGE}")
    if options.kind not in events():
        said = f"KIND={options.kind} is no sample" if options.kind else "KIND is missing"
        raise SendTestError(f"{said}; there are: {', '.join(sorted(events()))}\n{USAGE}")
    return Asked(options.to, options.kind, options.locale)


def configured(environ: Mapping[str, str]) -> Config:
    """Read the deployment's settings; its sender must be given, but for the local stack.

    Raises:
        ConfigError: one is missing or wrong.
    """
    if not any(environ.get(name) for name in ENDPOINTS):
        Config.rows().rows["sender"].read(environ, local=False)
    return Config.from_environment(environ, local=True)


def rendered(what: Asked, config: Config) -> Email:
    """Render the mail. It has a conversation of its own, so that no client folds it under the one before.

    Raises:
        SendTestError: the address or the language is none.
    """
    chosen = {"customerEmail": what.to} | ({"locale": what.locale} if what.locale else {})
    try:
        order = validated(events()[what.sample] | chosen, what.sample)
    except EventError as error:
        said = str(error).replace("customerEmail: ", f"TO={what.to} ")
        raise SendTestError(said.replace("locale: ", f"LOCALE={what.locale} ")) from None
    email = render.render(order, config.brand, secrets.token_hex(20), resent=True)
    return {**email, "headers": {**email["headers"], HEADER: what.sample}}


def send(what: Asked, config: Config) -> str:
    """Render the mail and hand it to SES; return SES's message id.

    Raises:
        SendTestError: SES refused it, or did not answer.
    """
    email = rendered(what, config)
    try:
        return Ses(sender=config.sender, configuration_set="").send(email, tags={TAG: "true"})
    except OrderMailError as error:
        raise SendTestError(f"not sent: {_explained(error, what, config)}") from error


def _explained(error: OrderMailError, what: Asked, config: Config) -> str:
    """Say what SES said, and what to do about it."""
    cause = error.__cause__
    said = str(error)
    if isinstance(cause, ClientError):
        said = f"SES answered {error_code(cause)}: {cause.response['Error'].get('Message', '')}"
    return f"{said}\n{_advice(said, what, config)}".rstrip()


def _advice(said: str, what: Asked, config: Config) -> str:
    """Return what to do; empty where SES's own words have to do."""
    verify = "aws sesv2 create-email-identity --email-identity"
    advice = {
        "not verified": f"SES sends for identities that are verified in the region that is asked:"
        f" {config.sender} or its domain must be one. In SES's sandbox so must the recipient:"
        f" `{verify} {what.to}`, then follow the link in the mail that comes.",
        "NoRegion": "Which region? Set AWS_REGION to the deployment's.",
        "Credentials": "Whose credentials? Set AWS_PROFILE, or sign in: `aws sso login`.",
        "Token": "The credentials are no good, or not any more: sign in again, `aws sso login`.",
        "ProfileNotFound": "AWS_PROFILE names none of your profiles: `aws configure list-profiles`.",
        "AccessDenied": "Your credentials need the permission ses:SendEmail for the sender's identity.",
        "EndpointConnection": "Nobody answers there. `make up` starts the local stack.",
        "aused": "Sending is paused, for the account or by SES: ask `order-mail doctor`.",
        "no answer": "SES may have the mail all the same: look into the inbox before you try again.",
    }
    return next((text for word, text in advice.items() if word in said), "")


def main(arguments: Sequence[str]) -> None:
    """Send the mail, say where it went, or exit with 1 and say why it did not."""
    try:
        what = asked(arguments)
        config = configured(os.environ)
        if region := os.environ.get("AWS_REGION"):
            os.environ["AWS_DEFAULT_REGION"] = region  # The one that boto3 reads.
        mail.build()
        message_id = send(what, config)
    except (SendTestError, ConfigError) as error:
        sys.exit(f"send-test: {error}")
    print(
        f"{what.sample} is on its way to {what.to}, from {config.sender},"
        f" by SES in {sesv2().meta.region_name}: message id {message_id}\n"
        "It is sent without a configuration set: nothing of it is recorded, counted or told to the shop."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
