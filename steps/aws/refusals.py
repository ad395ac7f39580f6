"""What each refusal of SES's means: one table of its texts and codes. Pure.

A refusal is about this very mail (SendRejected, it ends), or about what passes or an operator can mend
(SendDeferred, it waits). Texts come before codes, since SES has one code for many things: `MessageRejected`
and `BadRequestException` are as much a paused account as an address that is none.

What is in no row waits. A mail that waits in vain stands in nobody's way and ends after four days in the
dead letters, with its reason; one that is rejected by mistake is a mail that nobody ever sends.

A mail with attachments neither ends nor waits by a refusal that may be about these: it goes without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.contract.errors import (
    AttachmentsRefused,
    QuotaExceeded,
    SenderNotReady,
    SendingPaused,
    SendRejected,
    SendThrottled,
)

if TYPE_CHECKING:
    from steps.contract.errors import OrderMailError


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One row: what SES says, what it means to us, and where it is written that SES says so.

    text: words that are in SES's message, in lower case; "": whatever it says.
    codes: the error codes that have this meaning; empty: every code.
    source: an AWS page, or where it was seen as `owner/repository#issue` on GitHub.
    """

    text: str = ""
    codes: frozenset[str] = frozenset()
    means: type[OrderMailError]
    source: str

    def fits(self, code: str, text: str) -> bool:
        """Whether this is what SES said."""
        return self.text in text.lower() and (not self.codes or code in self.codes)


GUIDE = 'SES Developer Guide, "Amazon SES email sending errors"'
QUOTAS = 'SES Developer Guide, "Errors related to the sending quotas for your Amazon SES account"'
V2 = "SES API v2 Reference, SendEmail, Errors"
V1 = "SES API v1 Reference, SendEmail, Errors"
COMMON = "SES API v2 Reference, Common Errors"
BULK = "SES API v2 Reference, BulkEmailEntryResult"


def _says(text: str, means: type[OrderMailError], source: str) -> Refusal:
    return Refusal(text=text, means=means, source=source)


def _is(means: type[OrderMailError], source: str, *codes: str) -> Refusal:
    return Refusal(codes=frozenset(codes), means=means, source=source)


REFUSALS = (
    # Paused: the account, the configuration set, an identity or a tenant.
    _says("sending paused for", SendingPaused, "GoodDollar/GoodServer#419"),
    _says("account is paused", SendingPaused, GUIDE),
    _says("sending is disabled", SendingPaused, V1),
    # The limits. The guide has them under one code.
    _says("daily message quota exceeded", QuotaExceeded, QUOTAS),
    _says("maximum sending rate exceeded", SendThrottled, QUOTAS),
    # What an operator mends.
    _says("email address is not verified", SenderNotReady, GUIDE),
    _says("mail from domain is not verified", SenderNotReady, GUIDE),
    _says("configuration set", SenderNotReady, GUIDE),
    # This mail. Sender and Reply-To were checked when the app was deployed: it is the recipient's address.
    _says("missing final '@domain'", SendRejected, "anymail/django-anymail#281"),
    _says("missing domain", SendRejected, "brave/accounts#35"),
    _says("missing local name", SendRejected, "arithmetric/aws-lambda-ses-forwarder#103"),
    _says("domain contains", SendRejected, "monde-sistemas/delphi-aws-ses#22"),
    _says("illegal address", SendRejected, "medplum/medplum#5320"),
    _says("contains invalid content", SendRejected, V2),
    _says("contained a virus", SendRejected, BULK),
    # Where the text says nothing that is known.
    _is(SendThrottled, V2, "TooManyRequestsException"),
    _is(SendThrottled, COMMON, "ThrottlingException", "Throttling"),
    _is(QuotaExceeded, V2, "LimitExceededException"),
    _is(SendingPaused, V2, "SendingPausedException", "AccountSuspendedException"),
    _is(
        SendingPaused,
        V1,
        "AccountSendingPausedException",
        "ConfigurationSetSendingPausedException",
    ),
    _is(SenderNotReady, V2, "MailFromDomainNotVerifiedException", "NotFoundException"),
    _is(SenderNotReady, V1, "ConfigurationSetDoesNotExist"),
)
"""The first row that fits counts."""


def meaning(code: str, text: str, *, attached: bool = False) -> type[OrderMailError]:
    """Return what a refusal (a 4xx answer) with this code and message means.

    SenderNotReady where no row fits: another code is a request that SES did not act on (credentials,
    permissions, a quota of the API), and `MessageRejected` or `BadRequestException` may be anything.

    `attached`: the mail had attachments. Then AttachmentsRefused where no row fits, and for SendRejected.
    """
    row = next((row for row in REFUSALS if row.fits(code, text)), None)
    if attached and (row is None or row.means is SendRejected):
        return AttachmentsRefused
    return row.means if row else SenderNotReady
