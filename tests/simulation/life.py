"""One order's life: what was published of it, what SES did with its mails, and what was counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.faults import Dice


@dataclass
class Event:
    """An event of SES's about a mail. `status` is what it truly says of it; None: nothing.

    refused: the feedback function said that no record has such a mail.
    """

    kind: str
    text: str
    status: str | None
    detail: str = ""
    metric: str | None = None
    arrived: bool = False
    refused: bool = False


@dataclass
class Mail:
    """A mail that SES accepted."""

    message_id: str
    accepted_at: float
    attached: bool = False
    events: list[Event] = field(default_factory=list)

    @property
    def arrived(self) -> list[Event]:
        """What the feedback function took in."""
        return [event for event in self.events if event.arrived]


@dataclass
class Copy:
    """A message on the order queue."""

    life: Life
    body: str
    sent_at: float
    visible_at: float
    receives: int = 0
    handle: str = ""
    gone: bool = False
    disturbed: bool = False


@dataclass
class DeadLetter:
    """A message among the dead letters; one without a reason was moved there by SQS.

    told: the dispatcher knows that it is there.
    """

    body: str
    reason: str
    disturbed: bool
    told: bool = False
    redriven: bool = False


@dataclass
class Life:
    """Everything about one order. `valid`: its event is one that should become a mail."""

    number: int
    dice: Dice
    order_id: str
    address: str
    notification_id: str = ""
    valid: bool = True
    poisoned: bool = False
    refused: bool = False
    refused_later: int = 0
    """How often its record was ended by a copy's rejection before SES's refusal of the mail was written."""
    mended: bool = False
    copies: list[Copy] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    metrics: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    mates: set[int] = field(default_factory=set)
    crashes: list[str] = field(default_factory=list)
    world_faults: set[str] = field(default_factory=set)
    batch_deaths: int = 0
    unread: int = 0
    """How often an event of SES's ended among the dead letters: its next invocation has another name."""
    claimed_late: bool = False
    """A claim landed when its message was gone: nobody goes on with it, and it expires with its record."""
    forgotten: bool = False
    """Its record was deleted, or expired, and another was made: what that one knew went with it."""
    resend: dict[str, str] = field(default_factory=dict)
    """The mark of its event, where that sends another order's mail again on purpose."""
    erased: bool = False
    erased_at: float | None = None
    """When an operator was told that the record of its notification says nothing of the customer any more."""
    broken_erasures: set[str] = field(default_factory=set)
    """What happened after that, and must not."""
    vanished: bool = False
    hasty: bool = False
    published: int = 0
    received: int = 0

    def reported_since(self, moment: float) -> bool:
        """Whether an event of SES's has arrived about a mail that was accepted after `moment`."""
        mails = (mail for mail in self.mails if mail.accepted_at >= moment)
        return any(event.status for mail in mails for event in mail.arrived)

    def struck(self, *kinds: str) -> int:
        """How many faults of these kinds struck it; without kinds, how many at all."""
        strikes = self.dice.strikes
        if not kinds:
            return len(strikes)
        return sum(strike.partition(":")[2].endswith(kinds) for strike in strikes)
