"""SES's events, read: what each says of a mail, and what is no event."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from steps.contract import errors
from steps.ledger import ses_events
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.ses_events import (
    AUTOMATIC_REPLY,
    BOUNCE,
    COMPLAINT,
    DELAY,
    DELIVERY,
    EVERY_KIND,
    MAILBOX_FULL,
    NOT_SPAM,
    REJECT,
    RENDERING_FAILURE,
    SEND,
    SENT_AT,
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
    [
        *("", "[]", "{}", "null", '{"eventType": "Send"}', '{"eventType": "Bounce", "mail": {}}'),
        SEND.replace("eventType", "notificationType"),
        *(ses_event("Send", message_id=id_) for id_ in ("", "m" * 129, "\ud800")),
        ses_event("Send", sent_at="then"),
        ses_event("Bounce", bounceType="\ud800", bounceSubType="x"),
    ],
)
def test_what_is_no_event_is_an_error(message: str) -> None:
    with pytest.raises(errors.InvalidSesEvent):
        ses_events.parse(message)


@pytest.mark.parametrize(
    ("details", "gives_up_at"),
    [
        ({"expirationTime": "2026-11-24T20:00:00.000Z"}, "2026-11-24T20:00:00+00:00"),
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


AT = "2026-11-24T08:00:00.000Z"
NOBODY_TOLD = ses_event("Bounce", bounceType="Transient", bounceSubType="General")
PARTLY_FAILED = ses_event(
    "Bounce",
    bounceType="Transient",
    bounceSubType="General",
    bouncedRecipients=[{"emailAddress": "a", "status": "4.0.0"}, {"emailAddress": "b"}],
)
BY_ACTION = ses_event(
    "Bounce",
    bounceType="Transient",
    bounceSubType="General",
    bouncedRecipients=[{"emailAddress": "a", "action": "failed"}],
)
BY_STATUS = ses_event(
    "Bounce",
    bounceType="Transient",
    bounceSubType="General",
    bouncedRecipients=[{"emailAddress": "a", "status": "4.2.2"}],
)
PERMANENT_WITHOUT_STATUS = ses_event(
    "Bounce",
    bounceType="Permanent",
    bounceSubType="General",
    bouncedRecipients=[{"emailAddress": "a"}],
)


@pytest.mark.parametrize(
    ("message", "identity", "status", "reason", "metric"),
    [
        (SEND, f"Send|{SENT_AT}", "SENT", None, None),
        (
            DELIVERY,
            "Delivery|2026-11-24T08:00:01.000Z",
            "DELIVERED",
            None,
            "EmailDelivered",
        ),
        (DELAY, f"DeliveryDelay|MailboxFull|{AT}", "DELAYED", "MailboxFull", None),
        (
            BOUNCE,
            f"Bounce|Permanent/General|{AT}",
            "BOUNCED",
            "Permanent/General",
            "EmailBounced",
        ),
        (
            PERMANENT_WITHOUT_STATUS,
            f"Bounce|Permanent/General|{AT}",
            "BOUNCED",
            "Permanent/General",
            "EmailBounced",
        ),
        (
            ses_event("Bounce", bounceType="Permanent", bounceSubType="Suppressed"),
            f"Bounce|Permanent/Suppressed|{AT}",
            "BOUNCED",
            "Permanent/Suppressed",
            None,
        ),
        (
            SUPPRESSED,
            f"Bounce|Permanent/OnAccountSuppressionList|{AT}",
            "BOUNCED",
            "Permanent/OnAccountSuppressionList",
            None,
        ),
        *(
            (
                transient,
                f"Bounce|Transient/General|{AT}",
                "UNDELIVERED",
                "Transient/General",
                None,
            )
            for transient in (NOBODY_TOLD, BY_ACTION, BY_STATUS)
        ),
        *(
            (reply, f"Bounce|AutomaticReply|{AT}", "DELIVERED", None, None)
            for reply in (AUTOMATIC_REPLY, PARTLY_FAILED)
        ),
        (COMPLAINT, f"Complaint|abuse|{AT}", "COMPLAINED", "abuse", "EmailComplaint"),
        (NOT_SPAM, f"Complaint|not-spam|{AT}", None, "not-spam", None),
        (ses_event("Complaint"), f"Complaint|{AT}", "COMPLAINED", None, "EmailComplaint"),
        (
            ses_event("Complaint", complaintSubType="OnAccountSuppressionList"),
            f"Complaint|OnAccountSuppressionList|{AT}",
            "COMPLAINED",
            "OnAccountSuppressionList",
            None,
        ),
        (REJECT, f"Reject|Reject|{SENT_AT}", "REJECTED", "Reject", "EmailRejected"),
        (
            RENDERING_FAILURE,
            f"Rendering Failure|RenderingFailure|{SENT_AT}",
            "REJECTED",
            "RenderingFailure",
            "EmailRejected",
        ),
    ],
)
def test_an_event_is_read_in_full(
    message: str, identity: str, status: str | None, reason: str | None, metric: str | None
) -> None:
    event = ses_events.parse(message)
    assert event is not None
    assert (event.identity, event.status, event.metric) == (identity, status, metric)
    assert (event.message_id, event.sent_at) == ("message-1", "2026-11-24T07:59:58Z")
    assert event.notification_id == NOTIFICATION_ID
    assert event.configuration_set == "mails"
    assert (event.gives_up_at is None) is (message != DELAY)
    assert ses_events.recall(identity).reason == reason


def test_an_event_without_our_tag_is_of_no_notification_that_it_knows() -> None:
    untagged = json.loads(SEND)
    del untagged["mail"]["tags"]["notificationId"]
    event = ses_events.parse(json.dumps(untagged))
    assert event is not None
    assert event.notification_id is None
    assert ses_events.NOTIFICATION_TAG == "notificationId"


@pytest.mark.parametrize("length", [1, 128])
def test_a_message_id_may_be_as_long_as_an_index_takes(length: int) -> None:
    event = ses_events.parse(ses_event("Send", message_id="m" * length))
    assert event is not None
    assert len(event.message_id) == length


@pytest.mark.parametrize("tag", ["pace", "attempts-1", "rejected-" + "5f" * 20, "", "5F" * 20])
def test_what_stands_under_our_tag_and_is_no_id_of_ours_names_no_record(tag: str) -> None:
    event = ses_events.parse(ses_event("Send", notification_id=tag))
    assert event is not None
    assert event.notification_id is None


def test_a_provider_s_words_take_no_more_of_a_record_than_they_may() -> None:
    long = ses_event("Complaint", complaintFeedbackType="x" * 9_000, moment="2026-11-24T08" * 99)
    event = ses_events.parse(long)
    assert event is not None
    assert event.identity == f"Complaint|{'x' * 64}|{('2026-11-24T08' * 9)[:32]}"
    assert event.status == "COMPLAINED"


def test_a_receipt_says_what_a_send_event_does() -> None:
    receipt = ses_events.receipt("m", "then")
    assert receipt == ses_events.SesEvent(
        identity="", message_id="m", notification_id=None, sent_at="then"
    )
    assert receipt.status == "SENT"
    assert receipt.metric is None
    assert receipt.gives_up_at is None
    assert receipt.configuration_set is None


def test_what_is_between_an_identity_s_type_and_time_are_the_subtypes() -> None:
    assert ses_events.recall("Complaint|a|b|then") == ses_events.Word("COMPLAINED", "then", "a|b")  # type: ignore[arg-type]
    assert ses_events.recall("Send|then") == ses_events.Word("SENT", "then", "")  # type: ignore[arg-type]


def test_the_time_limit_is_counted_from_the_mail_s_own_time() -> None:
    delay = ses_event("DeliveryDelay", delayType="x", sent_at="2026-01-01T00:00:00.000Z")
    event = ses_events.parse(delay)
    assert event is not None
    assert event.gives_up_at == datetime.fromisoformat("2026-01-01T14:00:00+00:00").timestamp()


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("", "JSONDecodeError"),
        ("{}", "KeyError"),
        ("[]", "TypeError"),
        ("5", "TypeError"),
    ],
)
def test_what_is_no_event_is_named_by_what_is_wrong_not_by_what_it_says(
    message: str, error: str
) -> None:
    with pytest.raises(errors.InvalidSesEvent) as raised:
        ses_events.parse(message)
    assert str(raised.value) == f"not an event of SES's ({error})"
