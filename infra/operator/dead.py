"""`dead`: the letters of the dead-letter queues: what they are, sent through again, or thrown away."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.operator import letters
from infra.operator.audit import audited
from infra.operator.errors import NotFound
from infra.operator.letter_words import masked, next_step, unmovable, words
from infra.operator.letters import (
    ORDER_QUEUE,
    SES_EVENTS_QUEUE,
    Kind,
    Letter,
    Look,
    delete,
    parsed,
    peek,
    taken,
)
from steps.contract.handler import metrics
from steps.contract.order_id import shown
from steps.record import record_rejected
from steps.validate import validate

if TYPE_CHECKING:
    from infra.operator.aws import Deployment
    from steps.contract.state import State

OUTCOMES = "email-outcomes"

NO_REASON = "none"
"""What the reason of a letter is called that has none."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which letters are meant: those that fit all that is said.

    order: an order's id. error: a letter's reason, `NO_REASON` for none. letter: the beginning of its message
    id. queue: the queue's name without the environment.
    """

    order: str = ""
    error: str = ""
    letter: str = ""
    queue: str | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.order or letter.order_id in {shown(self.order), self.order})
            and (not self.error or (letter.reason or NO_REASON) == self.error)
            and letter.message_id.startswith(self.letter)
        )

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that are meant."""
        return (self.queue,) if self.queue else letters.QUEUES


@dataclass(frozen=True, kw_only=True)
class Group:
    """The letters of one queue of one kind and reason: how many, when the oldest was sent, what to do."""

    queue: str
    kind: Kind
    reason: str
    count: int
    oldest: str
    next_step: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All letters, in groups, and each. notes: of those that could not be looked at."""

    groups: list[Group]
    letters: list[Letter]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The letters that are meant. notes: of those that could not be looked at."""

    letters: list[Letter]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One letter for people: what it is and why, what to do, and its content as far as it may be shown."""

    letter: Letter
    words: str
    next_step: str
    content: Any

    @property
    def text(self) -> str:
        """The content to be read: JSON is indented."""
        if isinstance(self.content, str):
            return self.content
        return json.dumps(self.content, indent=2, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Left:
    """A letter that stays: why, and what to do instead. `failed`: it should have moved."""

    letter: Letter
    why: str
    failed: bool = False


@dataclass(kw_only=True)
class Redriven:
    """How many letters were sent through again, recorded as rejected, left; and those that were left.

    notes: of letters that could not be looked at.
    """

    redriven: int = 0
    rejected: int = 0
    left: int = 0
    stayed: list[Left] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something was left that should have moved, or nothing was there that could be looked at."""
        done = self.redriven + self.rejected + self.left
        return any(left.failed for left in self.stayed) or bool(self.notes and not done)

    @property
    def reasons(self) -> list[Left]:
        """One of the letters that stayed for each reason."""
        return list({left.why: left for left in self.stayed}.values())

    @property
    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return {"redriven": self.redriven, "rejected": self.rejected, "left": self.left}

    def leave(self, letter: Letter, why: str, *, failed: bool = False) -> None:
        """Count a letter that stays."""
        self.left += 1
        self.stayed.append(Left(letter=letter, why=why, failed=failed))


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """How many letters were deleted, and of which orders, as logs show them."""

    dropped: int
    orders: list[str]


def choose(deployment: Deployment, choice: Choice, *, everything: bool = False) -> Chosen:
    """Look for the letters that are meant.

    Raises:
        NotFound: there are none, and not simply `everything` is meant.
    """
    looks = {queue: peek(deployment, queue) for queue in choice.queues}
    chosen = [letter for look in looks.values() for letter in look.letters if choice.takes(letter)]
    notes = _unseen(looks)
    if not chosen and not everything:
        known = "there is no such dead letter: order-mail dead list shows all"
        raise NotFound(". ".join([known, *notes]))
    return Chosen(letters=chosen, notes=notes)


def _unseen(looks: dict[str, Look]) -> list[str]:
    return [letters.unseen(queue, look.unseen) for queue, look in looks.items() if look.unseen]


def listing(deployment: Deployment, queue: str | None = None) -> Listing:
    """List the letters of one queue, or of all."""
    found = {base: peek(deployment, base) for base in Choice(queue=queue).queues}
    every = [letter for look in found.values() for letter in look.letters]
    alike: dict[tuple[str, Kind, str], list[Letter]] = {}
    for letter in every:
        alike.setdefault((letter.queue, letter.kind, letter.reason), []).append(letter)
    groups = [
        Group(
            queue=base,
            kind=kind,
            reason=reason,
            count=len(found_there),
            oldest=found_there[0].sent_at,
            next_step=next_step(found_there[0]),
        )
        for (base, kind, reason), found_there in alike.items()
    ]
    groups.sort(key=lambda group: group.count, reverse=True)
    return Listing(groups=groups, letters=every, notes=_unseen(found))


def show_letter(deployment: Deployment, message_id: str, *, address: bool) -> Shown:
    """Show one letter, by the beginning of its message id.

    `address`: the content as it is, with a customer's order in it.

    Raises:
        NotFound: there is none, or there are several.
    """
    letter, *others = choose(deployment, Choice(letter=message_id)).letters
    if others:
        raise NotFound(
            f"{len(others) + 1} letters have an id that begins like this: say more of it"
        )
    return Shown(
        letter=letter,
        words=words(letter),
        next_step=next_step(letter),
        content=letter.body if address else masked(letter),
    )


# --- redrive --------------------------------------------------------------------------------------


def rehearse(deployment: Deployment, choice: Choice, *, fresh_only: bool) -> Redriven:
    """Say what `redrive` would do; raises as `choose`."""
    everything = not (choice.order or choice.error)
    chosen = choose(deployment, choice, everything=everything)
    would = Redriven(notes=chosen.notes)
    for letter in chosen.letters:
        if why := unmovable(letter):
            would.leave(letter, why)
        elif fresh_only and _stale(letter):
            would.rejected += 1
        else:
            would.redriven += 1
    return would


def redrive(deployment: Deployment, choice: Choice, *, fresh_only: bool, why: str) -> Redriven:
    """Send letters through again: orders to the order queue, SES's events and outcomes to their functions.

    A letter is deleted when it is where it is to go, so a crash between the two repeats it: whoever gets it
    twice knows it. Its reason and its execution are not carried over.

    Args:
        deployment: whose letters.
        choice: which of them.
        fresh_only: an order that is not valid any more, too old above all, is not sent: it is recorded as
            rejected with its reasons, as the workflow would, but rings no alarm and counts nowhere.
        why: the operator's words.
    """
    done, orders = Redriven(), set[str]()
    with audited(deployment, "dead redrive", why=why, **_audited(choice)) as said:
        try:
            for queue in choice.queues:
                with taken(deployment, queue) as found:
                    # All at once: one that fails again comes back while the others are sent.
                    for letter in list(filter(choice.takes, found)):
                        orders.add(letter.order_id)
                        _redrive(deployment, letter, done, fresh_only=fresh_only)
                    if found.unseen:
                        done.notes.append(letters.unseen(queue, found.unseen))
        finally:
            said.update(done.counts, orders=sorted(orders - {""}))
    return done


def _redrive(deployment: Deployment, letter: Letter, done: Redriven, *, fresh_only: bool) -> None:
    if why := unmovable(letter):
        done.leave(letter, why)
        return
    if fresh_only and (stale := _stale(letter)):
        record_rejected(stale, "order-mail", table=deployment.ledger, now=_now().timestamp())
        metrics.clear_metrics()  # Nobody's order is rejected now: it was given up before.
        delete(deployment, letter)
        done.rejected += 1
        return
    if why := _send(deployment, letter):
        done.leave(letter, why, failed=True)
        return
    delete(deployment, letter)
    done.redriven += 1


def _send(deployment: Deployment, letter: Letter) -> str:
    """Send a letter to where it is to go; return why it is not there, nothing where it is."""
    if letter.kind is Kind.OUTCOME:
        return _tell(deployment, letter)
    queue = ORDER_QUEUE if letter.kind is Kind.ORDER else SES_EVENTS_QUEUE
    deployment.client("sqs").send_message(
        QueueUrl=deployment.queue_url(queue), MessageBody=letter.content
    )
    return ""


def _tell(deployment: Deployment, letter: Letter) -> str:
    function = deployment.name(OUTCOMES)
    answer = deployment.client("lambda").invoke(
        FunctionName=function, Payload=f'{{"Records": [{letter.content}]}}'.encode()
    )
    told = parsed(answer["Payload"].read().decode())
    if "FunctionError" in answer or told.get("batchItemFailures"):
        return f"the topic has not taken it: the log of {function} says why"
    return ""


def _stale(letter: Letter) -> State | None:
    """Return the rejection of an order that is not valid by now; None for one that is, and for no order."""
    if letter.kind is not Kind.ORDER:
        return None
    state = validate({"message": letter.body, "attempt": 1, "lastReceive": False}, _now())
    return state if "rejection" in state else None


def _now() -> datetime:
    return datetime.now(UTC)


# --- drop -----------------------------------------------------------------------------------------


def drop(deployment: Deployment, choice: Choice, *, why: str) -> Dropped:
    """Delete letters; what is in them is lost."""
    dropped, orders = 0, set[str]()
    with audited(deployment, "dead drop", why=why, **_audited(choice)) as said:
        try:
            for queue in choice.queues:
                with taken(deployment, queue) as found:
                    for letter in filter(choice.takes, found):
                        orders.add(letter.order_id)
                        delete(deployment, letter)
                        dropped += 1
        finally:
            said.update(dropped=dropped, orders=sorted(orders - {""}))
    return Dropped(dropped=dropped, orders=sorted(orders - {""}))


def _audited(choice: Choice) -> dict[str, str | None]:
    meant = {
        "order": choice.order and shown(choice.order),
        "error": choice.error,
        "letter": choice.letter,
        "queue": choice.queue,
    }
    return {name: said for name, said in meant.items() if said}
