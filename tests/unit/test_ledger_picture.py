"""The picture of the states in the ledger's README has every transition that a write makes, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from steps.contract import limits
from steps.ledger import rules, ses_events
from steps.ledger.status import UNSENT, Status
from tests.support.clock import NOW
from tests.support.documents import blocks
from tests.support.in_memory_aws import TABLE, claim, claimed_record, stored, tracking_table
from tests.support.sample_mails import NOTIFICATION_ID
from tests.support.ses_events import EVERY_KIND, MESSAGE_ID

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


REFUSED = "REFUSED"
"""What the picture calls REJECTED without a message id: SES does not have the mail."""

STATES = (*Status, REFUSED)


def record(state: str) -> Record:
    """Return a record in this state, owned by `me`, whose lease and grace period are over."""
    status = Status.REJECTED if state == REFUSED else Status(state)
    accepted = {"messageId": MESSAGE_ID} if state not in UNSENT | {REFUSED} else {}
    return claimed_record(
        status=status,
        leaseUntil=int(NOW),
        sendingAt=int(NOW) - limits.DAY,
        handoverId="call-1",
        overdueAt=int(NOW),
        **accepted,
    )


def state_of(record: Record) -> str:
    refused = record["status"] == Status.REJECTED and not rules.is_settled(record)
    return REFUSED if refused else record["status"]


def writes(state: str | None) -> Iterator[tuple[str, Put | Update]]:
    """Yield every write that somebody may try on a record in this state, or where there is none."""
    yield "dedup", claim("you")
    for previous in (None, "call-1"):
        yield (
            "send",
            rules.sending(
                notification_id=NOTIFICATION_ID,
                owner="me",
                handover_id="call-2",
                previous=previous,
                now=NOW,
            ),
        )
    mine = {"notification_id": NOTIFICATION_ID, "owner": "me"}
    of_this_call = mine | {"handover_id": "call-1"}
    yield "send", rules.refused(**of_this_call, now=NOW)
    yield "record", rules.sent(**of_this_call, message_id="m", sent_at="s")
    yield "record", rules.released(**mine, now=NOW)
    yield "record", rules.refused_as_it_is(**mine, reason="x", now=NOW)
    yield "record", rules.given_up(**mine, reason="x", now=NOW)
    rejection = {"orderId": "ORDER1", "customerEmail": "", "reasons": [], "event": ""}
    yield (
        "record",
        rules.rejected(notification_id=NOTIFICATION_ID, rejection=rejection, owner="me", now=NOW),
    )
    yield (
        "record",
        rules.abandoned(notification_id=NOTIFICATION_ID, rejection=rejection, now=NOW),
    )
    if state is None:
        yield (
            "record",
            rules.restored(
                notification_id=NOTIFICATION_ID,
                owner="me",
                order_id="ORDER1",
                recipient="a@b.example",
                message_id="m",
                sent_at="s",
                now=NOW,
            ),
        )
        return
    verdict = rules.judge(record(state), owner="you", started=int(NOW), now=NOW)
    if isinstance(verdict, rules.TakeOver):
        yield "dedup", verdict.update
    for event in map(ses_events.parse, EVERY_KIND):
        if event and (update := rules.learn(record(state), event, by="x", now=NOW)):
            yield "feedback", update
    yield "overdue", rules.overdue(notification_id=NOTIFICATION_ID, now=NOW)
    receipt = ses_events.receipt("another message", "s")
    if update := rules.learn(record(state), receipt, by="x", now=NOW):
        yield "record", update


@pytest.mark.usefixtures("in_memory_aws")
def test_the_picture_has_every_transition() -> None:
    table = tracking_table()
    transitions: set[Transition] = set()
    for state in (None, *STATES):
        for who, write in writes(state):
            table.delete_item(Key={"notificationId": NOTIFICATION_ID})
            if state:
                table.put_item(Item=record(state))
            if TABLE.write(write) is None:
                transitions.add((state or START, state_of(stored()), who))
    silent = {(state, state, "feedback") for state in STATES}
    silent |= {(state, state, "record") for state in STATES if state not in UNSENT}
    assert drawn() == transitions - silent
