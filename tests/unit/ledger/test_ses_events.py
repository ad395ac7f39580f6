"""SES's events, read: what each says of a mail, and what is no event."""

from __future__ import annotations

import pytest

from steps.contract import errors
from steps.ledger import ses_events
from tests.support.ses_events import (
    BOUNCE,
    COMPLAINT,
    DELAY,
    DELIVERY,
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
        (MAILBOX_FULL, "DELAYED", None),
        (COMPLAINT, "COMPLAINED", "EmailComplaint"),
        (ses_event("Complaint"), "COMPLAINED", "EmailComplaint"),
        (ses_event("Complaint", complaintSubType="OnAccountSuppressionList"), "COMPLAINED", None),
        (NOT_SPAM, None, None),
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
