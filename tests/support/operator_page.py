"""The operators' page with planted answers: for tests, and for the picture of it in the documents."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Any

from infra.operator.aws import Deployment
from infra.operator.dead import Chosen, Dropped, Group, Listing, Redriven, Shown
from infra.operator.doctor import Examination
from infra.operator.doctor.checks import Finding as Check
from infra.operator.doctor.checks import State
from infra.operator.find import Finding, Moment, Story
from infra.operator.letter_words import next_step
from infra.operator.letters import INTERNAL, ORDERS, Kind, Letter
from infra.operator.page.app import server
from infra.operator.page.calls import Calls
from infra.operator.page.overview import Alarm
from infra.operator.reasons import why
from infra.operator.sending import Sending
from infra.operator.suppression import Entry, Suppression
from infra.operator.words import STATUSES
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOYMENT = Deployment("dev", "us-east-1")
TOKEN = "planted"  # noqa: S105 - starts a session of a page that has nothing to hide

ADDRESS = "customer@example.com"
CONSOLE = DEPLOYMENT.console("states", "/executions")

DELIVERED = Story(
    notification_id="5f" * 20,
    order_id="ORDER123456",
    event_type="order.confirmed",
    part={},
    recipient=ADDRESS,
    status="DELIVERED",
    announced="Order confirmed",
    words=STATUSES[Status.DELIVERED].name,
    reason=STATUSES[Status.DELIVERED].sentence,
    next_step=STATUSES[Status.DELIVERED].next_step,
    timeline=[
        Moment(at="2026-11-30T09:14:03Z", what="Published: the event is on the order queue"),
        Moment(at="2026-11-30T09:14:03Z", what="Taken up: the notification was claimed"),
        Moment(at="2026-11-30T09:14:04Z", what="Handed to SES"),
        Moment(at="2026-11-30T09:14:05Z", what="Sent: SES accepted the mail"),
        Moment(
            at="2026-11-30T09:14:05Z",
            what="Attempt: sent",
            detail="ORDER123456-7c1f0a52-1",
            link=CONSOLE,
        ),
        Moment(at="2026-11-30T09:14:07Z", what="SES: delivered"),
    ],
    details={
        "message id": "0100019ad3f2c4e1-5d9a7b60-000000",
        "last claimed by": "ORDER123456-7c1f0a52-1",
    },
)
BOUNCED = replace(
    DELIVERED,
    notification_id="a1" * 20,
    event_type="order.shipped",
    part={"shipmentId": "S-2"},
    status="BOUNCED",
    words=STATUSES[Status.BOUNCED].name,
    reason=why("Permanent/General").sentence,
    next_step=why("Permanent/General").next_step,
    timeline=[
        *DELIVERED.timeline[:5],
        Moment(at="2026-11-30T09:14:07Z", what="SES: came back", detail="Permanent/General"),
    ],
)
GOES_OUT = Sending(paused=False, stopped=False)
PAUSED = Sending(
    paused=True,
    stopped=False,
    since="2026-11-30T08:02:11Z",
    by="jo",
    why="the shop publishes orders twice",
)


def finding(*stories: Story, **more: Any) -> Finding:
    """Return the answer that there are these mails, for the first one's order."""
    planted: dict[str, Any] = {
        "term": stories[0].order_id if stories else "ORDER123456",
        "stories": list(stories),
        "elsewhere": [],
        "sending": GOES_OUT,
        "notes": [],
    }
    return Finding(**planted | more)


def letter(order_id: str = "ORDER123457", **more: Any) -> Letter:
    """Return a dead letter of an order."""
    planted: dict[str, Any] = {
        "queue": ORDERS,
        "message_id": "0f8c2f9e-1b1d-4c53-9f5e-2f6b6a4f1a01",
        "kind": Kind.ORDER,
        "order_id": order_id,
        "notification_id": "",
        "reason": "SenderNotReady",
        "execution": f"{order_id}-7c1f0a52-5",
        "sent_at": "2026-11-29T21:40:12Z",
        "receives": 3,
        "receipt": "",
        "body": "",
        "content": f'{{"orderId": "{order_id}", "customerEmail": "{ADDRESS}"}}',
    }
    return Letter(**planted | more)


LETTERS = [
    letter(),
    letter("ORDER123460", message_id="5b8ad1b0-8f44-4c0e-a5a9-7a4e2f3f9c02", reason=""),
]
LISTING = Listing(
    groups=[
        Group(
            queue=ORDERS,
            kind=one.kind,
            reason=one.reason,
            count=1,
            oldest=one.sent_at,
            next_step=next_step(one),
        )
        for one in LETTERS
    ],
    letters=LETTERS,
    notes=[],
)
ALARM = Alarm(
    name="email-dead-letters-dev",
    says="An order is in the dead letters.",
    since="2026-11-29T21:41:00Z",
)
LISTED = Suppression(
    address="16 digits",
    entries=[
        Entry(
            spelling="as given",
            reason="BOUNCE",
            since="2026-11-30T09:14:07+00:00",
            message_id="0100019ad3f2c4e1-5d9a7b60-000000",
        )
    ],
    account=["BOUNCE", "COMPLAINT"],
    configuration_set=None,
    heeded=True,
    note="",
)
EXAMINATION = Examination(
    findings=[
        Check(
            check="DKIM",
            state=State.OK,
            sentence="SES signs with the domain's key.",
            command="",
            rule="SES",
        ),
        Check(
            check="DMARC",
            state=State.MEND,
            sentence="shop.example has no DMARC record.",
            command='_dmarc.shop.example. TXT "v=DMARC1; p=none; rua=mailto:dmarc@shop.example"',
            rule="Gmail and Yahoo",
        ),
    ],
    by_hand=["Gmail tells in Postmaster Tools alone how many mails are called spam."],
)


def calls(**planted: Any) -> Calls:
    """Return calls of which none reaches AWS; `planted` replaces some."""
    known: dict[str, Any] = {
        "find": lambda _, term: finding(DELIVERED, BOUNCED, term=term),
        "sending": lambda _: GOES_OUT,
        "set_sending": lambda _, **__: PAUSED,
        "waiting": lambda _: {ORDERS: len(LETTERS), INTERNAL: 0},
        "alarms": lambda _: [ALARM],
        "listing": lambda _: LISTING,
        "show_letter": lambda _, __, *, address: Shown(
            letter=LETTERS[0],
            words="an order that was given up",
            next_step="Mend the cause, then send it through again",
            content=LETTERS[0].content if address else {"orderId": "ORDER123457"},
        ),
        "choose": lambda _, __: Chosen(letters=LETTERS, notes=[]),
        "rehearse": lambda _, __, **___: Redriven(redriven=2),
        "redrive": lambda _, __, **___: Redriven(redriven=2),
        "drop": lambda _, __, **___: Dropped(dropped=2, orders=[]),
        "look_up": lambda _, __: LISTED,
        "remove": lambda _, __, **___: 1,
        "examine": lambda _: EXAMINATION,
    }
    return Calls(**known | planted)


@contextmanager
def serving(planted: Calls, deployment: Deployment = DEPLOYMENT) -> Iterator[str]:
    """Serve the page; yield its URL."""
    running = server(deployment, port=0, token=TOKEN, calls=planted)
    thread = Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()
