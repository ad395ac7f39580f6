"""The outcome event, by which a shop is told what became of a mail: CloudEvents 1.0 in JSON.

The attributes are those of CloudEvents ("CloudEvents - Version 1.0.2", CNCF), the data is ours. It says
nothing of the customer: neither address nor name. A field that does not apply is left out.
"""

from __future__ import annotations

import sys
from typing import Literal, NotRequired

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # pydantic makes the JSON Schema of no other there.
    from typing_extensions import TypedDict

TYPE = "order-mail"
SPECVERSION: Literal["1.0"] = "1.0"
DATASCHEMA: Literal["urn:order-mail:outcome:1"] = "urn:order-mail:outcome:1"
"""Names the shape of the data. A field more keeps the number; what a consumer could trip over changes it."""


class OutcomeData(TypedDict):
    """What became of one notification."""

    notificationId: str
    """Names the notification: one order, kind, recipient, and part of the order."""
    sequence: int
    """Larger for each later word about the same notification, with gaps."""
    orderId: str
    """As the order event has it; `UNKNOWN` where an invalid event names none."""
    eventType: NotRequired[str]
    """The order event's kind; of an invalid event what it says, where that is made like one (`order.lost`)."""
    shipmentId: NotRequired[str]
    """The parcel, where the order event named one."""
    refundId: NotRequired[str]
    """The refund, where the order event named one."""
    pickupId: NotRequired[str]
    """The pickup, where the order event named one."""
    backorderId: NotRequired[str]
    """The backorder, where the order event named one."""
    resendOf: NotRequired[str]
    """Of a mail that was sent again on purpose, the notification that was to bring it before."""
    status: Literal[
        "FAILED",
        "SENT",
        "DELAYED",
        "UNDELIVERED",
        "DELIVERED",
        "REJECTED",
        "BOUNCED",
        "COMPLAINED",
    ]
    """What is known of the mail now."""
    previousStatus: NotRequired[str]
    """What the tracking table said before; the same as `status` where only the reason is another."""
    reason: NotRequired[str]
    """Why the mail did not go or arrive: an error's name, or SES's bounce types (`Permanent/General`)."""
    fields: NotRequired[list[str]]
    """Of an invalid event, the paths of the wrong fields (`orderItems[0].price`)."""
    messageId: NotRequired[str]
    """SES's message id, once SES accepted the mail."""
    occurredAt: str
    """When it happened, by SES's clock where SES reported it: ISO 8601 UTC."""
    release: str
    """The release of Order mail that says so."""


class OutcomeEvent(TypedDict):
    """The body of a message from the outcomes topic."""

    specversion: Literal["1.0"]
    id: str
    """`<notificationId>-<sequence>`: the same whenever the same outcome is told again."""
    source: str
    """Who says it: the ARN of the outcomes topic."""
    type: str
    """`order-mail.` and the status in lower case, such as `order-mail.delivered`."""
    subject: str
    """The order id as logs have it: of letters, digits and `-_.#/` itself, else 16 digits of its SHA-256.

    CloudEvents lets no control characters into an attribute, and asks for nothing sensitive there.
    """
    time: str
    """When the tracking table learned of it: ISO 8601 UTC."""
    datacontenttype: Literal["application/json"]
    dataschema: Literal["urn:order-mail:outcome:1"]
    data: OutcomeData
