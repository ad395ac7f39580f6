"""Events as SES publishes them to its topic: one of each kind, about the sample notification."""

from __future__ import annotations

import json

from tests.support.sample_mails import NOTIFICATION_ID

SENT_AT = "2026-11-24T07:59:58.000Z"
MOMENT = "2026-11-24T08:00:00.000Z"
MESSAGE_ID = "message-1"
CONFIGURATION_SET = "mails"

DETAILS = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}
"""What an event calls its details, where that is not its type in lower case."""


def ses_event(
    event_type: str,
    *,
    message_id: str = MESSAGE_ID,
    notification_id: str = NOTIFICATION_ID,
    configuration_set: str = CONFIGURATION_SET,
    sent_at: str = SENT_AT,
    moment: str = MOMENT,
    **details: object,
) -> str:
    """Return the event of a mail that SES accepted at `sent_at`, about what happened at `moment`."""
    mail = {
        "timestamp": sent_at,
        "messageId": message_id,
        "source": "orders@example.com",
        "destination": ["customer@example.com"],
        "tags": {
            "notificationId": [notification_id],
            "ses:configuration-set": [configuration_set],
        },
    }
    return json.dumps(
        {
            "eventType": event_type,
            "mail": mail,
            DETAILS.get(event_type, event_type.lower()): {"timestamp": moment} | details,
        }
    )


SEND = ses_event("Send")
DELIVERY = ses_event("Delivery", moment="2026-11-24T08:00:01.000Z")
DELAY = ses_event(
    "DeliveryDelay", delayType="MailboxFull", expirationTime="2026-11-24T21:59:58.000Z"
)
BOUNCE = ses_event("Bounce", bounceType="Permanent", bounceSubType="General")
SUPPRESSED = ses_event("Bounce", bounceType="Permanent", bounceSubType="OnAccountSuppressionList")
MAILBOX_FULL = ses_event(
    "Bounce",
    moment="2026-11-24T22:00:00.000Z",
    bounceType="Transient",
    bounceSubType="MailboxFull",
    bouncedRecipients=[{"emailAddress": "c@example.com", "action": "failed", "status": "4.2.2"}],
)
AUTOMATIC_REPLY = ses_event(
    "Bounce",
    bounceType="Transient",
    bounceSubType="General",
    bouncedRecipients=[{"emailAddress": "c@example.com"}],
)
COMPLAINT = ses_event("Complaint", complaintFeedbackType="abuse")
NOT_SPAM = ses_event("Complaint", complaintFeedbackType="not-spam")
REJECT = ses_event("Reject", reason="Bad content")
RENDERING_FAILURE = ses_event("Rendering Failure", errorMessage="x", templateName="x")

EVERY_KIND = [
    *(SEND, DELIVERY, DELAY, BOUNCE, SUPPRESSED, MAILBOX_FULL, AUTOMATIC_REPLY),
    *(COMPLAINT, NOT_SPAM, REJECT, RENDERING_FAILURE),
]
