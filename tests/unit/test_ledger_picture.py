"""The picture of the states in the ledger's README has every transition that a write makes, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from steps.contract import limits
from steps.ledger import rules
from steps.ledger.rules import Status
from tests.support.clock import NOW
from tests.support.documents import blocks
from tests.support.in_memory_aws import TABLE, claim, claimed_record, tracking_table
from tests.support.sample_mails import NOTIFICATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steps.ledger.rules import Put, Record, Update

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


def record(status: Status) -> Record:
    """Return a record in this status, owned by `me`, whose lease and grace period are over."""
    return claimed_record(status=status, leaseUntil=int(NOW), sendingAt=int(NOW) - limits.DAY)


def writes(status: Status | None) -> Iterator[tuple[str, Put | Update]]:
    """Yield every write that somebody may try on a record in this status, or where there is none."""
    yield "dedup", claim("you")
    yield "send", rules.sending(notification_id=NOTIFICATION_ID, owner="me", now=NOW)
    yield "send", rules.refused(notification_id=NOTIFICATION_ID, owner="me", now=NOW)
    yield (
        "record",
        rules.sent(notification_id=NOTIFICATION_ID, owner="me", message_id="m", sent_at="s"),
    )
    for end in (Status.REJECTED, Status.FAILED):
        yield (
            "record",
            rules.ended(
                notification_id=NOTIFICATION_ID, owner="me", status=end, reason="x", now=NOW
            ),
        )
    rejection = {"orderId": "ORDER1", "customerEmail": "", "reasons": [], "event": ""}
    yield "record", rules.rejected(notification_id=NOTIFICATION_ID, rejection=rejection, now=NOW)
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
                    notification_id=NOTIFICATION_ID,
                    seen=status,
                    status=end,
                    identity="an event",
                    message_id="m",
                    sent_at="s",
                    reason=None,
                ),
            )


@pytest.mark.usefixtures("in_memory_aws")
def test_the_picture_has_every_transition() -> None:
    table = tracking_table()
    transitions: set[Transition] = set()
    for status in (None, *Status):
        for who, write in writes(status):
            table.delete_item(Key={"notificationId": NOTIFICATION_ID})
            if status:
                table.put_item(Item=record(status))
            if TABLE.write(write) is None:
                transitions.add((status or START, TABLE.read(NOTIFICATION_ID)["status"], who))
    assert drawn() == transitions
