"""Every reason that the code base can write, and every one that AWS documents, has a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.operator.reasons import REASONS, why
from infra.operator.words import STATUSES
from steps import dispatch
from steps.contract import errors
from steps.contract.state import FailureEnd
from steps.ledger import rules, ses_events
from steps.ledger.status import Status

BOUNCES = {
    "Undetermined": ["Undetermined"],
    "Permanent": [
        *("General", "NoEmail", "Suppressed", "OnAccountSuppressionList"),
        *("OnTenantSuppressionList", "EmailValidationSuppressed", "UnsubscribedRecipient"),
    ],
    "Transient": [
        *("General", "MailboxFull", "MessageTooLarge", "CustomTimeoutExceeded"),
        *("ContentRejected", "AttachmentRejected"),
    ],
}
"""SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS", Bounce types."""

DELAYS = [
    *("InternalFailure", "General", "MailboxFull", "SpamDetected", "RecipientServerError"),
    *("IPFailure", "TransientCommunicationFailure", "BYOIPHostNameLookupUnavailable"),
    *("Undetermined", "SendingDeferral"),
]
"""The same page, DeliveryDelay object."""


def error_names() -> list[str]:
    found = [errors.OrderMailError]
    for error in found:
        found += error.__subclasses__()
    ours = [error for error in found if error.__module__ == errors.__name__]
    return [error.__name__ for error in ours]


KNOWN = [
    *error_names(),
    *(f"{type_}/{subtype}" for type_, subtypes in BOUNCES.items() for subtype in subtypes),
    *DELAYS,
    *ses_events.COMPLAINTS - {"Suppressed"},  # a bounce's
    *("OnTenantSuppressionList", "Reject", "RenderingFailure", ses_events.AUTOMATIC_REPLY),
    *(rules.INVALID_EVENT, rules.NO_REPORT),
    *(dispatch.MESSAGE_TOO_LARGE, dispatch.IN_PROGRESS, dispatch.PACED),
    *FailureEnd,
]


def test_the_table_has_every_name_that_is_known_and_no_other() -> None:
    assert set(KNOWN) == REASONS.keys()


@pytest.mark.parametrize("name", sorted(set(KNOWN)))
def test_a_reason_is_a_sentence_and_says_what_to_do(name: str) -> None:
    sentence, next_step = why(name)
    for text in (sentence, next_step):
        assert not text or (text[0].isupper() and text.endswith("."))
    assert sentence
    assert next_step or name in (ses_events.AUTOMATIC_REPLY, ses_events.NOT_SPAM)
    assert name[0].islower() or name not in sentence.split()


@pytest.mark.parametrize("name", ["States.Timeout", "Sandbox.Timedout", "Lambda.Unknown"])
def test_what_aws_itself_names_is_told_as_such(name: str) -> None:
    assert why(name).sentence == f"AWS did not run a part of the system ({name})."


def test_what_nobody_knows_keeps_its_name() -> None:
    assert why("Permanent/New").sentence == (
        "The recipient's server refuses the mail for good: Permanent/New."
    )
    assert why("Novel").sentence == "The reason is Novel, of which nothing more is known here."


def test_every_status_has_words() -> None:
    assert STATUSES.keys() == set(Status)


def test_no_real_event_is_without_words() -> None:
    files = sorted(Path("tests/events/ses").glob("*.json"))
    events = [ses_events.parse(json.dumps(json.loads(file.read_text()))) for file in files]
    words = [ses_events.recall(event.identity).subtypes for event in events if event]
    assert {name for name in words if name} <= REASONS.keys()
