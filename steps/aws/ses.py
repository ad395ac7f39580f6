"""SES: hand one mail over, once, and ask what the account may send.

SES is asked once per call, since SendEmail has no idempotency token.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from email.header import Header
from email.utils import formataddr
from typing import TYPE_CHECKING, TypedDict

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
)

from steps.aws.refusals import meaning
from steps.aws.sdk import client_config, error_code, is_server_error, translated
from steps.contract import limits
from steps.contract.errors import (
    AttachmentsRefused,
    OrderMailError,
    SendOutcomeUnknown,
    SendRejected,
    SesUnavailable,
    SesUnreachable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.exceptions import ClientError
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import AttachmentTypeDef, MessageTypeDef

    from steps.contract.attachments import Attachment
    from steps.contract.state import Email

_UNMADE: dict[type[BotoCoreError], type[OrderMailError]] = {
    ParamValidationError: SendRejected,
    **dict.fromkeys(
        (
            ConnectTimeoutError,
            CredentialRetrievalError,
            EndpointConnectionError,
            NoCredentialsError,
            NoRegionError,
            PartialCredentialsError,
            ProxyConnectionError,
        ),
        SesUnreachable,
    ),
}
"""The SDK's errors before it has sent a byte of the request; after any other SES may have the mail."""


SHUTDOWN = "SHUTDOWN"
"""The enforcement status of an account that SES lets send nothing, whatever it says of sending enabled."""


@functools.cache
def sesv2() -> SESV2Client:
    """Return the SES client. It never repeats a request by itself."""
    return boto3.client(
        "sesv2",
        config=client_config(
            connect=limits.SES_CONNECT_TIMEOUT, read=limits.SES_READ_TIMEOUT, attempts=1
        ),
    )


class _Through(TypedDict, total=False):
    ConfigurationSetName: str


@dataclass(frozen=True, kw_only=True)
class Ses:
    """SES as the shop's sender (a bare address) through its configuration set; an empty one is none."""

    sender: str
    configuration_set: str

    def send(
        self, email: Email, *, tags: Mapping[str, str], attachments: Sequence[Attachment] = ()
    ) -> str:
        """Hand one mail to SES v2 and return SES's message id.

        Subject, addresses, bodies and attachments travel as separate fields of `Content.Simple`; SES builds
        the MIME, so no value can become a header of its own.

        Raises:
            SendDeferred: one of its kinds; SES did not accept the mail and may later.
            SendRejected: SES will never accept it. Which refusal is which: `steps.aws.refusals`.
            AttachmentsRefused: SES did not accept it, maybe because of its attachments.
            SendOutcomeUnknown: no answer or a 5xx; the mail may be on its way.
        """
        through: _Through = (
            {"ConfigurationSetName": self.configuration_set} if self.configuration_set else {}
        )
        message: MessageTypeDef = {
            "Subject": {"Data": email["subject"], "Charset": "UTF-8"},
            "Body": {
                "Html": {"Data": email["html"], "Charset": "UTF-8"},
                "Text": {"Data": email["text"], "Charset": "UTF-8"},
            },
            "Headers": [{"Name": n, "Value": v} for n, v in email["headers"].items()],
        }
        unmade = _UNMADE
        if attachments:
            message["Attachments"] = _files(attachments)
            unmade = _UNMADE | {ParamValidationError: AttachmentsRefused}
        refusal = functools.partial(_refusal, attached=bool(attachments))
        with translated("SES", SendOutcomeUnknown, refusal, unmade):
            answer = sesv2().send_email(
                FromEmailAddress=from_field(email["fromName"], self.sender),
                ReplyToAddresses=[email["replyTo"]],
                Destination={"ToAddresses": [email["to"]]},
                Content={"Simple": message},
                **through,
                EmailTags=[{"Name": name, "Value": value} for name, value in tags.items()],
            )
        return answer["MessageId"]


def _files(attachments: Sequence[Attachment]) -> list[AttachmentTypeDef]:
    return [
        {
            "FileName": attachment.file_name,
            "ContentType": attachment.media_type,
            "ContentDisposition": "ATTACHMENT",
            # By default SES writes seven-bit text, which no PDF is.
            "ContentTransferEncoding": "BASE64",
            "RawContent": attachment.content,
        }
        for attachment in attachments
    ]


def _refusal(error: ClientError, *, attached: bool) -> type[OrderMailError]:
    if is_server_error(error):
        return SendOutcomeUnknown  # Whatever its code: SES may have failed after it took the mail.
    text = error.response["Error"].get("Message", "")
    return meaning(error_code(error), text, attached=attached)


def from_field(name: str, address: str) -> str:
    """Write a From field: a name that needs it is quoted (RFC 5322), or encoded (RFC 2047)."""
    if name.isascii():
        return formataddr((name, address))
    # Not formataddr: its encoded words may be longer than the 75 characters that one may have.
    return f"{Header(name, 'utf-8', maxlinelen=75).encode(linesep='')} <{address}>"


@dataclass(frozen=True, kw_only=True)
class SendingAccount:
    """What SES lets the account do: mails a second, mails left of the 24 hour quota, sending at all."""

    rate: float
    quota_left: float
    enabled: bool

    @property
    def paused(self) -> bool:
        """Whether SES sends nothing at all: sending is disabled, or permitted at no rate."""
        return not self.enabled or self.rate <= 0

    @property
    def sends(self) -> bool:
        """Whether SES takes a mail now."""
        return not self.paused and self.quota_left > 0


def sending_account() -> SendingAccount:
    """Ask SES for the account's send rate, quota and state (GetAccount).

    Raises:
        SesUnavailable: throttled or no answer.
    """
    with translated("SES", SesUnavailable):
        answer = sesv2().get_account()
    quota = answer["SendQuota"]
    unlimited = quota["Max24HourSend"] < 0
    # SES stops an account by either; one on PROBATION still sends (SES v2 API Reference, GetAccount).
    stopped = answer.get("EnforcementStatus") == SHUTDOWN
    return SendingAccount(
        rate=quota["MaxSendRate"],
        quota_left=float("inf") if unlimited else quota["Max24HourSend"] - quota["SentLast24Hours"],
        enabled=answer["SendingEnabled"] and not stopped,
    )
