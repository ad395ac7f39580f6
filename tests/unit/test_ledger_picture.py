"""The picture of the states in the ledger's README has every transition that a write makes, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from steps.ledger import rules
from steps.ledger.rules import Status
from tests.support.documents import blocks
from tests.support.in_memory_aws import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps.ledger.rules import Put, Record, Update

ID = "a" * 40
NOW = 1_800_000_000
DAY = 24 * 60 * 60
START = "[*]"

Transition = tuple[str, str, str]
"""From, to, and the function that makes it."""


def drawn() -> set[Transition]:
    """Return the transitions of the picture; feedback may follow several of its arrows at once."""
    (picture,) = blocks(Path("steps/ledger/README.md"), "mermaid")
    arrows: set[Transition] = set(re.findall(r"^ +(\S+) --> (\w+): (\w+)", picture, re.MULTILINE))
    while (
        further := {
            (start, end, "feedback")
            for start, middle, first in arrows
            for also_middle, end, second in arrows
            if first == second == "feedback" and middle == also_middle
        }
        - arrows
    ):
        arrows |= further
    return arrows


def claim(owner: str) -> Put:
    return rules.claim(
        notification_id=ID,
        order_id="ORDER1",
        event_type="order.confirmed",
        recipient="customer@example.com",
        owner=owner,
        now=NOW,
    )


def record(status: Status) -> Record:
    """Return a record in this status, owned by `me`, whose lease and grace period are over."""
    moments = {"leaseUntil": NOW, "sendingAt": NOW - DAY}
    return {**claim("me").record, **moments, "status": status}


def writes(status: Status | None) -> Iterator[tuple[str, Put | Update]]:
    """Yield every write that somebody may try on a record in this status, or where there is none."""
    yield "dedup", claim("you")
    yield "send", rules.sending(notification_id=ID, owner="me", now=NOW)
    yield "send", rules.refused(notification_id=ID, owner="me", now=NOW)
    yield "record", rules.sent(notification_id=ID, owner="me", message_id="m", sent_at="s")
    for end in (Status.REJECTED, Status.FAILED):
        yield (
            "record",
            rules.ended(notification_id=ID, owner="me", status=end, reason="x", now=NOW),
        )
    rejection = {"orderId": "ORDER1", "customerEmail": "", "reasons": [], "event": ""}
    yield "record", rules.rejected(notification_id=ID, rejection=rejection, now=NOW)
    if status is None:
        return
    verdict = rules.judge(record(status), owner="you", now=NOW)
    if isinstance(verdict, rules.TakeOver):
        yield "dedup", verdict.update
    for end in {rules.fold(status, [event]) for event in Status if event not in rules.UNSENT}:
        if end is not status:
            yield (
                "feedback",
                rules.reported(
                    notification_id=ID,
                    seen=status,
                    status=end,
                    identity="an event",
                    message_id="m",
                    sent_at="s",
                    reason=None,
                ),
            )


@pytest.mark.usefixtures("aws_world")
def test_the_picture_has_every_transition() -> None:
    table = boto3.resource("dynamodb").Table(TABLE.name)
    made: set[Transition] = set()
    for status in (None, *Status):
        for who, write in writes(status):
            table.delete_item(Key={"notificationId": ID})
            if status:
                table.put_item(Item=record(status))
            if TABLE.write(write) is None:
                made.add((status or START, TABLE.read(ID)["status"], who))
    assert drawn() == made
