"""The queue of SES's events, Lambda's event source on it, and the feedback functions that it starts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from steps.aws.late_notice import LateNotice
from steps.contract import limits
from steps.contract.errors import OrderMailError, QueueUnavailable, RecordNotFound
from steps.feedback import MESSAGE_DIGITS, Feedback
from tests.simulation.processes import Died, InjectedBug, running
from tests.support.order_queue import sqs_record
from tests.support.ses_events import CONFIGURATION_SET

if TYPE_CHECKING:
    from tests.simulation.life import Event, Life
    from tests.simulation.world import World

HOUR = 3600.0
REDRIVES = 2
"""How often an operator sends a dead letter from there."""


@dataclass
class Message:
    """An event of SES's on its queue; `letters`: how often it was a dead letter before."""

    life: Life
    event: Event
    id: str
    visible_at: float
    sent_at: float
    letters: int = 0
    receives: int = 0
    gone: bool = False


class Events:
    """Messages by their ids; each is received when it is visible, in batches, whosever mails they are about."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.messages: dict[str, Message] = {}
        self.late = LateNotice(name="sesEventsWaitSince", put=lambda _: None, clock=world.clock)
        self._ready: deque[Message] = deque()
        self._polled = False

    def publish(self, life: Life, event: Event, delay: float, letters: int = 0) -> None:
        """Put an event on the queue in `delay` seconds."""
        id_ = f"{len(self.messages) + 1:0{MESSAGE_DIGITS}}"
        sent_at = self.world.time.now + delay
        message = self.messages[id_] = Message(life, event, id_, 0, sent_at, letters)
        self._show(message, sent_at)

    def _set_aside(self, message: Message) -> None:
        """Let SQS take a letter, or not, or lose the answer."""
        world = self.world
        fault = world.strike("sqs")
        world.travel(0.01)
        if fault == "killed":
            raise world.killed()
        if fault == "unavailable":
            raise QueueUnavailable(fault)
        self._dead_letter(message)
        if fault == "answer-lost":
            raise QueueUnavailable(fault)

    def _dead_letter(self, message: Message) -> None:
        """Put an event among the dead letters, from where an operator sends it as another message."""
        message.life.unread += 1
        self.world.log(message.life, f"SES's {message.event.kind} is a dead letter")
        if message.letters < REDRIVES:
            self.publish(message.life, message.event, HOUR, message.letters + 1)

    def _show(self, message: Message, moment: float) -> None:
        message.visible_at = moment
        self.world.time.at(moment, partial(self._shown, message, moment))

    def _shown(self, message: Message, moment: float) -> None:
        if message.gone or message.visible_at != moment:
            return
        self._ready.append(message)
        if not self._polled:
            self._polled = True
            self.world.time.at(self.world.time.now + limits.FEEDBACK_WINDOW, self._poll)

    def _poll(self) -> None:
        self._polled = False
        batch: list[Message] = []
        while self._ready and len(batch) < limits.FEEDBACK_BATCH:
            message = self._ready.popleft()
            if self._receive(message):
                batch.append(message)
        if self._ready:
            self._polled = True
            self.world.time.at(self.world.time.now + 0.01, self._poll)
        if batch:
            self.world.start(
                lambda: self._take(batch), batch[0].life, "feedback", limits.FEEDBACK_TIMEOUT
            )

    def _receive(self, message: Message) -> bool:
        now, life = self.world.time.now, message.life
        if message.gone or message.visible_at > now:
            return False
        if message.receives >= limits.SES_EVENTS_REDRIVE_RECEIVES:
            message.gone = True
            self._dead_letter(message)
            return False
        message.receives += 1
        twice = life.dice.strike("event-receive")
        self._show(
            message, now + (life.dice.long(1, 60) if twice else limits.SES_EVENTS_VISIBILITY)
        )
        return True

    def _take(self, batch: list[Message]) -> None:
        """Run a feedback function on a batch, then take what may leave the queue off it."""
        for message in batch:
            message.life.mates.update(other.life.number for other in batch)
        folded: list[Message] = []
        feedback = FeedbackInWorld(
            table=self.world.table,
            configuration_set=CONFIGURATION_SET,
            dead_letter=lambda *_: self._set_aside(folded[-1]),
            late=self.late,
            clock=self.world.clock,
            events=self,
            folded=folded,
        )
        try:
            staying = feedback.take(
                [
                    sqs_record(
                        m.event.text, message_id=m.id, receives=m.receives, sent_at=m.sent_at
                    )
                    for m in batch
                ]
            )
        except Died:
            for message in batch:
                message.life.batch_deaths += 1
            return
        for life, counts in feedback.counted:
            running().invocation.counts[:] = counts
            self.world.flush(running().invocation, life)
        for message in batch:
            if message.id not in staying and not message.life.dice.strike("event-delete"):
                message.gone = True


@dataclass(frozen=True, kw_only=True)
class FeedbackInWorld(Feedback):
    """One run of the function: strikes each event by its own life's dice, and keeps whose counts are whose.

    folded: the messages whose events were begun; counted: what each of them counted.
    """

    events: Events
    folded: list[Message]
    counted: list[tuple[Life, list[tuple[str, float]]]] = field(default_factory=list)

    def fold(self, message: str, *, by: str) -> None:
        """Fold one event in, as the life that it is about."""
        one, process = self.events.messages[by], running()
        self.folded.append(one)
        process.life = one.life
        process.invocation.function = f"feedback {one.event.kind}"
        try:
            super().fold(message, by=by)
        except Exception as error:
            one.event.refused = isinstance(error, RecordNotFound)
            if not isinstance(error, OrderMailError | InjectedBug):
                one.life.crashes.append(f"feedback raises {type(error).__name__}")
            raise
        else:
            one.event.arrived = True
        finally:
            counts = process.invocation.counts
            self.counted.append((one.life, counts.copy()))
            counts.clear()
