"""What SES's refusals mean, as SES words them: each of these texts was documented or seen."""

from __future__ import annotations

import re

import pytest

from steps.aws.refusals import REFUSALS, Refusal, meaning
from steps.contract.errors import (
    AttachmentsRefused,
    OrderMailError,
    QuotaExceeded,
    SenderNotReady,
    SendingPaused,
    SendRejected,
    SendThrottled,
)

INBOX = "For more information, please check the inbox of the email address associated with your AWS account."

AS_SES_SAYS: list[tuple[str, str, type[OrderMailError]]] = [
    ("MessageRejected", f"Sending paused for this account. {INBOX}", SendingPaused),
    ("SendingPausedException", f"Sending paused for this account. {INBOX}", SendingPaused),
    ("BadRequestException", "Sending paused for configuration set mails.", SendingPaused),
    ("MessageRejected", "Account is paused.", SendingPaused),
    (
        "ConfigurationSetSendingPausedException",
        "Email sending is disabled for the configuration set.",
        SendingPaused,
    ),
    ("MessageRejected", "Email sending is disabled for your account.", SendingPaused),
    ("ThrottlingException", "Daily message quota exceeded.", QuotaExceeded),
    ("TooManyRequestsException", "Daily message quota exceeded", QuotaExceeded),
    ("ThrottlingException", "Maximum sending rate exceeded.", SendThrottled),
    ("LimitExceededException", "Maximum sending rate exceeded.", SendThrottled),
    (
        "MessageRejected",
        "Email address is not verified. The following identities failed the check in region US-EAST-1: a@b",
        SenderNotReady,
    ),
    ("MessageRejected", "Mail FROM domain is not verified", SenderNotReady),
    ("BadRequestException", "Configuration set <mails> does not exist.", SenderNotReady),
    ("NotFoundException", "Configuration set <mails> does not exist.", SenderNotReady),
    ("ConfigurationSetDoesNotExist", "Configuration set <mails> does not exist.", SenderNotReady),
    ("BadRequestException", "Missing final '@domain'", SendRejected),
    ("BadRequestException", "Missing domain", SendRejected),
    ("BadRequestException", "Missing local name", SendRejected),
    ("BadRequestException", "Domain contains control or whitespace", SendRejected),
    ("BadRequestException", "Domain contains illegal character", SendRejected),
    ("BadRequestException", "Illegal address", SendRejected),
    ("MessageRejected", "The message can't be sent because it contains invalid content.", SendRejected),
    ("MessageRejected", "The message was rejected because it contained a virus.", SendRejected),
    ("TooManyRequestsException", "Rate exceeded", SendThrottled),
    ("ThrottlingException", "Rate exceeded", SendThrottled),
    ("Throttling", "Rate exceeded", SendThrottled),
    ("LimitExceededException", "There are too many instances.", QuotaExceeded),
    ("SendingPausedException", "", SendingPaused),
    ("AccountSuspendedException", "", SendingPaused),
    ("ConfigurationSetSendingPausedException", "", SendingPaused),
    ("AccountSendingPausedException", "", SendingPaused),
    ("MailFromDomainNotVerifiedException", "", SenderNotReady),
    ("NotFoundException", "", SenderNotReady),
    ("ConfigurationSetDoesNotExist", "", SenderNotReady),
    ("AccessDeniedException", "User: arn:aws:sts::1:x is not authorized", SenderNotReady),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "means"), AS_SES_SAYS)
def test_a_refusal_means(code: str, text: str, means: type[OrderMailError]) -> None:
    assert meaning(code, text) is means


@pytest.mark.parametrize("code", ["MessageRejected", "BadRequestException"])
@pytest.mark.parametrize("text", ["", "In words that nobody has seen yet."])
def test_a_mail_that_is_refused_in_unknown_words_waits(code: str, text: str) -> None:
    assert meaning(code, text) is SenderNotReady


ABOUT_THE_MAIL = [
    *((code, text) for code, text, means in AS_SES_SAYS if means is SendRejected),
    ("AccessDeniedException", "User: arn:aws:sts::1:x is not authorized"),
    ("BadRequestException", "Unsupported attachment type: x"),
    ("MessageRejected", "In words that nobody has seen yet."),
]


@pytest.mark.parametrize(("code", "text"), ABOUT_THE_MAIL)
def test_a_refusal_that_may_be_about_the_attachments_is_not_the_mail_s_end(
    code: str, text: str
) -> None:
    assert meaning(code, text, attached=True) is AttachmentsRefused


@pytest.mark.parametrize(
    ("code", "text", "means"), [row for row in AS_SES_SAYS if row[:2] not in ABOUT_THE_MAIL]
)
def test_other_refusals_say_nothing_of_attachments(
    code: str, text: str, means: type[OrderMailError]
) -> None:
    assert meaning(code, text, attached=True) is means


def test_each_row_and_each_of_its_codes_decides_something_that_ses_is_known_to_say() -> None:
    decided: dict[Refusal, set[str]] = {row: set() for row in REFUSALS}
    for code, text, _ in AS_SES_SAYS:
        if row := next((row for row in REFUSALS if row.fits(code, text)), None):
            decided[row].add(code)
    assert all(decided.values())
    assert {row: codes for row, codes in decided.items() if row.codes} == {
        row: row.codes for row in REFUSALS if row.codes
    }


def test_each_row_says_where_it_is_written() -> None:
    for row in REFUSALS:
        assert re.fullmatch(
            r"SES (Developer Guide|API v[12] Reference), .+|[\w-]+/[\w-]+#\d+", row.source
        )
        assert row.text == row.text.lower()
