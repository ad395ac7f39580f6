"""SES's events, read: what each says of a mail, and what is no event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from steps.contract import errors
from steps.ledger import ses_events
from tests.support.ses_events import (
    AUTOMATIC_REPLY,
    BOUNCE,
    COMPLAINT,
    DELAY,
    DELIVERY,
    EVERY_KIND,
    LEGACY_BOUNCE,
    MAILBOX_FULL,
    NOT_SPAM,
    REJECT,
    RENDERING_FAILURE,
    SEND,
    SUPPRESSED,
    ses_event,
)


@pytest.mark.parametrize(
    ("message", "status", "metric"),
    [
        (SEND, "SENT", None),
        (DELIVERY, "DELIVERED", "EmailDelivered"),
        (DELAY, "DELAYED", None),
        (BOUNCE, "BOUNCED", "EmailBounced"),
        (
            ses_event("Bounce", bounceType="Undetermined", bounceSubType="Undetermined"),
            "BOUNCED",
            "EmailBounced",
        ),
        (SUPPRESSED, "BOUNCED", None),
        (MAILBOX_FULL, "UNDELIVERED", None),
        (AUTOMATIC_REPLY, "DELIVERED", None),
        (COMPLAINT, "COMPLAINED", "EmailComplaint"),
        (ses_event("Complaint"), "COMPLAINED", "EmailComplaint"),
        (ses_event("Complaint", complaintSubType="OnAccountSuppressionList"), "COMPLAINED", None),
        (NOT_SPAM, None, None),
        # The provider's own word, whatever it is.
        (
            ses_event("Complaint", complaintFeedbackType="AutomaticReply"),
            "COMPLAINED",
            "EmailComplaint",
        ),
        (REJECT, "REJECTED", "EmailRejected"),
        (RENDERING_FAILURE, "REJECTED", "EmailRejected"),
        (LEGACY_BOUNCE, "BOUNCED", "EmailBounced"),
    ],
)
def test_an_event_says_a_status_and_what_to_count(
    message: str, status: str | None, metric: str | None
) -> None:
    event = ses_events.parse(message)
    assert event is not None
    assert (event.status, event.metric) == (status, metric)


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        ses_event("Open"),
        ses_event("Click"),
    ],
)
def test_what_says_nothing_of_a_mail_s_fate_is_ignored(message: str) -> None:
    assert ses_events.parse(message) is None


@pytest.mark.parametrize(
    "message",
    ["", "[]", "{}", "null", '{"eventType": "Send"}', '{"eventType": "Bounce", "mail": {}}'],
)
def test_what_is_no_event_is_an_error(message: str) -> None:
    with pytest.raises(errors.InvalidSesEvent):
        ses_events.parse(message)


@pytest.mark.parametrize(
    ("details", "gives_up_at"),
    [
        ({"expirationTime": "2026-11-24T21:59:58.000Z"}, "2026-11-24T21:59:58+00:00"),
        ({}, "2026-11-24T21:59:58+00:00"),  # fourteen hours after it was sent
    ],
)
def test_a_delay_says_until_when_ses_goes_on(details: dict[str, Any], gives_up_at: str) -> None:
    event = ses_events.parse(ses_event("DeliveryDelay", delayType="MailboxFull", **details))
    assert event is not None
    assert event.gives_up_at == datetime.fromisoformat(gives_up_at).timestamp()


def test_an_event_is_recalled_from_its_identity() -> None:
    for message in EVERY_KIND:
        event = ses_events.parse(message)
        assert event is not None
        assert ses_events.recall(event.identity).status == event.status
    word = ses_events.recall("Bounce|Permanent/General|2026-11-24T08:00:00.000Z")
    assert (word.status, word.reason) == ("BOUNCED", "Permanent/General")
    assert word.moment == "2026-11-24T08:00:00.000Z"
    assert ses_events.recall("Bounce|AutomaticReply|x").reason is None
    assert ses_events.recall("Delivery|x").reason is None
