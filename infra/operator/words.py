"""What people call a mail's status and what it announces; codes and names stay in the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping


class Words(NamedTuple):
    """A status for people: its name, a sentence, what to do now."""

    name: str
    sentence: str
    next_step: str


STATUSES: dict[str, Words] = {
    Status.CLAIMED: Words(
        "Not sent yet",
        "The order came in and its mail is in work.",
        "Nothing: it goes out by itself.",
    ),
    Status.SENDING: Words(
        "Being sent",
        "The mail was handed to SES, whose answer is not known yet.",
        "Nothing: SES's own report settles it within minutes, else it is sent again.",
    ),
    Status.FAILED: Words(
        "Given up",
        "All attempts failed, and nothing was sent.",
        "Once the cause is mended, the engineer on call sends it through again: order-mail dead.",
    ),
    Status.SENT: Words(
        "On its way",
        "SES has the mail; the recipient's server has not answered yet.",
        "Wait a few minutes.",
    ),
    Status.DELAYED: Words(
        "Delayed",
        "The recipient's server puts the mail off, and SES goes on trying.",
        "Nothing: it arrives late, or is reported as not delivered.",
    ),
    Status.UNDELIVERED: Words(
        "Not delivered",
        "SES has given up.",
        "Publish the event again, or send it again: order-mail resend.",
    ),
    Status.DELIVERED: Words(
        "Delivered",
        "The recipient's server took the mail.",
        "Ask the customer to look into the junk folder. If it was deleted: order-mail resend.",
    ),
    Status.REJECTED: Words(
        "Rejected",
        "Nothing was sent.",
        "Have whoever publishes the orders mend the event and publish it again.",
    ),
    Status.BOUNCED: Words(
        "Came back",
        "The recipient's server gave the mail back.",
        "Ask the customer for another address, and have the order published with it.",
    ),
    Status.COMPLAINED: Words(
        "Reported as spam",
        "The mail arrived, and its recipient reported it as spam.",
        "Do not write to this address again before the customer asks for it.",
    ),
}


def announced(event_type: str, part: Mapping[str, str]) -> str:
    """Say what a mail announces: `Order shipped, shipment P1`. A kind's name is English enough."""
    kind = (
        event_type.replace(".", " ").replace("_", " ").capitalize() or "A mail of an unknown kind"
    )
    return ", ".join(
        [kind, *(f"{name.removesuffix('Id')} {value}" for name, value in part.items())]
    )
