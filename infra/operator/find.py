"""`find`: what became of an order's mails, in words, with all that is known of the way there."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from infra.operator import elsewhere, mail, records, trail
from infra.operator.audit import without_addresses
from infra.operator.aws import explained
from infra.operator.elsewhere import ON_THE_QUEUE, Sighting
from infra.operator.errors import OperatorError
from infra.operator.letters import QUEUES
from infra.operator.output import HIDDEN
from infra.operator.sending import sending
from infra.operator.story import (
    NOT_LISTED,
    Moment,
    Pause,
    Story,
    Suppressed,
    attempts,
    begun,
    first_written,
    in_order,
    is_of,
    is_unsent,
    last_written,
    message_of,
    tell,
)
from infra.operator.suppression import entries_of
from infra.operator.trail import read_name
from infra.operator.words import announced
from steps.contract import limits
from steps.contract.order_id import UNKNOWN_ORDER, in_name, shown
from steps.contract.text import identifier
from steps.dispatch import NAME_MAX
from steps.ledger.status import Status
from steps.reports import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from infra.operator.aws import Deployment
    from infra.operator.elsewhere import Visible
    from infra.operator.sending import Sending
    from infra.operator.trail import Execution, Trail
    from steps.ledger.rules import Record

__all__ = ("Finding", "Moment", "Sighting", "Story", "find", "hidden")

T = TypeVar("T")

STORIES_MAX = 50
"""Notifications that are told of, the newest; only rejected events without an order are ever so many."""

NO_ADDRESS = (
    "find looks for orders and mails, not for addresses: order-mail erase --address ADDRESS --dry-run counts "
    "what names one."
)

NO_HISTORY = (
    "The workflow's log has nothing of attempts without a link: they are told by what functions logged, and "
    "the console cannot show them. WORKFLOW_LOG_LEVEL says what it keeps: with ERROR failed attempts alone."
)

LOGS_DAYS = (1, 14)
"""How far back logs are searched for what has no record: a message is on the queue for 14 days at most."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer: what was announced, the newest first, where else it was seen, whether mails go out at all.

    unasked: what could not be asked, and why: an answer without it may lack something.
    other_attempts: executions of the order of which nobody knows for which of its notifications they were.
    """

    term: str
    stories: list[Story]
    elsewhere: list[Sighting]
    sending: Sending
    notes: list[str]
    unasked: list[str] = field(default_factory=list)
    other_attempts: list[Moment] = field(default_factory=list)

    @property
    def may_wait(self) -> bool:
        """Whether something of it may wait for sending to go on."""
        under_way = any(s.status in {Status.CLAIMED, Status.SENDING} for s in self.stories)
        on_the_queue = any(sighting.place == ON_THE_QUEUE for sighting in self.elsewhere)
        return under_way or on_the_queue or self.is_empty

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not (self.stories or self.elsewhere or self.other_attempts)


def find(deployment: Deployment, term: str) -> Finding:
    """Find an order by its id, a message id, a notification id, an execution's name or ARN."""
    now = datetime.now(UTC)
    deployment.ready("dynamodb", "logs", "sesv2", "sqs")
    with ThreadPoolExecutor(trail.AT_ONCE) as pool:
        state = pool.submit(sending, deployment)
        which = _identify(deployment, term.strip(), now)
        search = _Search(deployment, pool, now)
        followed = search.follow(which)
        if not which.found and (more := _by_trail(deployment, which, followed)):
            which, followed = more, search.follow(more)
        return search.answer(which, followed, state)


# --- which order ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Which:
    """What a term stands for: an order's records, and how logs name it.

    orders: as logs show them. owners: executions, by their ARNs. name: of the execution that was asked for.
    notes, unasked: what was not read where a mail of this id was looked for, in vain.
    """

    term: str
    found: list[Record]
    orders: frozenset[str]
    owners: frozenset[str]
    name: str = ""
    notes: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()

    @property
    def texts(self) -> frozenset[str]:
        """What a rejected event that names no order may have of it."""
        named = {r["orderId"] for r in self.found} - {UNKNOWN_ORDER}
        return frozenset(named or {self.term})

    @property
    def phrases(self) -> list[str]:
        """What finds its lines in the logs; a name may have less of an order id than other lines."""
        nameless = {_name(arn) for arn in self.owners if _is_nameless(arn)}
        named = {in_name(order)[:_NAME_ROOM] for order in self.orders}
        return sorted({*self.orders, *named, *nameless, *([self.name] if self.name else [])})

    def has(self, said: dict[str, Any]) -> bool:
        """Whether a log line is about it."""
        if said.get("order_id"):
            return said["order_id"] in self.orders
        arn = str(said.get("execution_arn") or said.get("execution_id") or "")
        if arn in self.owners or (self.name and _name(arn) == self.name):
            return True
        if not (name := read_name(arn)):
            return False
        room = NAME_MAX - len(f"-{name.message}-{name.receives}")
        return name.order in {in_name(order)[:room] for order in self.orders}


_NAME_ROOM = 64
"""What is left of an order id in the shortest case."""


def _name(arn: str) -> str:
    parts = arn.split(":")
    return parts[7] if len(parts) > 7 else arn  # noqa: PLR2004 - an execution's ARN


def _is_nameless(arn: str) -> bool:
    return _name(arn).startswith("malformed-")


def _identify(deployment: Deployment, term: str, now: datetime) -> Which:
    found = records.find(deployment, term)
    name = read_name(term)
    if not found and name:
        found = records.find(deployment, name.order)
    if found:
        return _of_records(identifier(term), found)
    order = name.order if name else shown(term)
    which = Which(
        identifier(term), [], frozenset({order}), frozenset(), _name(term) if name else ""
    )
    if not mail.may_be_message_id(term):
        return which
    said = mail.sought(deployment, term, now)
    for id_ in mail.names(said.lines):
        if found := records.find(deployment, id_):
            return _of_records(which.term, found)
    return replace(which, notes=tuple(said.notes), unasked=tuple(said.unasked))


def _of_records(term: str, found: list[Record]) -> Which:
    return Which(
        term,
        found[-STORIES_MAX:],
        frozenset({shown(r["orderId"]) for r in found} - {UNKNOWN_ORDER}),
        frozenset(r["owner"] for r in found if "owner" in r),
    )


def _by_trail(deployment: Deployment, which: Which, followed: Trail) -> Which | None:
    """Identify an order by what logs say of it: its id, or its notification's."""
    for id_ in sorted({*mail.names(followed.lines)} - {which.term, UNKNOWN_ORDER}):
        if found := records.find(deployment, id_):
            return _of_records(which.term, found)
    return None


# --- what is known --------------------------------------------------------------------------------


@dataclass
class _Search:
    """Asks all there is to ask, at once; what cannot be asked becomes a note."""

    deployment: Deployment
    pool: ThreadPoolExecutor
    now: datetime
    unasked: list[str] = field(default_factory=list)

    def follow(self, which: Which) -> Trail:
        """Read the logs of the days of its records, or else of the last two weeks."""
        if which.found:
            first = min(map(begun, which.found))
            last = max(map(last_written, which.found))
            busy = any(is_unsent(record) for record in which.found)
            when = trail.spans(first, self.now if busy else last, self.now)
        else:
            when = trail.recent(self.now, *LOGS_DAYS)
        return trail.follow(self.deployment, phrases=which.phrases, when=when, belongs=which.has)

    def answer(self, which: Which, followed: Trail, state: Future[Sending]) -> Finding:
        """Tell all that is known."""
        seen = self._ask(
            "The order queue", lambda: elsewhere.visible(self.deployment, set(which.orders))
        )
        events = self._ask(
            "The rejected events that name no order",
            lambda: [r for text in which.texts for r in elsewhere.nameless(self.deployment, text)],
        )
        letters, listed = self._ask_letters(which), self._ask_lists(which)
        pauses = self._ask("When sending was paused", lambda: _pauses(self.deployment))
        in_letters = [answer for queue in letters if (answer := queue.result())]
        known = {r["notificationId"]: r for r in [*which.found, *(events.result() or [])]}
        found = sorted(known.values(), key=first_written, reverse=True)
        sending_now = state.result()
        visible = seen.result()
        stories = [
            self._tell(
                record, followed, found, listed, pauses.result() or [], halted=sending_now.halted
            )
            for record in found
        ]
        unasked = [
            *dict.fromkeys([*which.unasked, *followed.unasked]),
            *self.unasked,
            *(note for queue in in_letters for note in queue.unseen),
        ]
        sightings = [
            *(
                elsewhere.waiting(wait, halted=sending_now.halted)
                for wait in followed.waits
                if _is_elsewhere(wait.message, found, followed)
            ),
            *(visible.sightings if visible else []),
            *(sighting for queue in in_letters for sighting in queue.sightings),
        ]
        if not (found or sightings or unasked):
            sightings = [elsewhere.gone(line) for line in followed.dead.values()]
        return Finding(
            term=which.term,
            stories=stories,
            elsewhere=sightings,
            sending=sending_now,
            notes=[
                *dict.fromkeys([*which.notes, *followed.notes]),
                *([] if all(e.has_history for e in followed.executions) else [NO_HISTORY]),
                *_of_looking(visible, found=bool(stories or sightings)),
                *([] if stories or "@" not in which.term else [NO_ADDRESS]),
            ],
            unasked=unasked,
            other_attempts=self._others(found, followed),
        )

    def _ask_letters(self, which: Which) -> list[Future[elsewhere.InLetters | None]]:
        ids = {r["notificationId"] for r in which.found}
        return [
            self._ask(
                f"The dead letters {base}",
                partial(elsewhere.letters, self.deployment, base, which.orders, ids, which.texts),
            )
            for base in QUEUES
        ]

    def _ask_lists(self, which: Which) -> dict[str, Future[Suppressed | str | None]]:
        return {
            address: self._ask("The suppression list", partial(_listed, self.deployment, address))
            for address in {r["customerEmail"] for r in which.found if _may_be_listed(r)}
        }

    def _ask(self, what: str, ask: Callable[[], T]) -> Future[T | None]:
        """Ask in a thread of its own; None where it could not be asked."""

        def asked() -> T | None:
            try:
                with explained(self.deployment):
                    return ask()
            except OperatorError as error:
                self.unasked.append(f"{what} could not be asked: {error}")
                return None

        return self.pool.submit(asked)

    def _tell(
        self,
        record: Record,
        followed: Trail,
        found: Sequence[Record],
        listed: dict[str, Future[Suppressed | str | None]],
        pauses: Sequence[Pause],
        *,
        halted: bool,
    ) -> Story:
        last = self.now if is_unsent(record) else last_written(record)
        address = record["customerEmail"]
        return tell(
            record,
            followed,
            listed=(listed[address].result() or "") if address in listed else "",
            pauses=[p for p in pauses if begun(record) <= p.at <= last],
            alone=len(found) == 1,
            again=next((r for r in found if _sends_again(r, record)), None),
            halted=halted,
            link=self._link,
            now=self.now,
        )

    def _others(self, found: Sequence[Record], followed: Trail) -> list[Moment]:
        if len(found) == 1:
            return []
        others = [e for e in followed.executions if not any(is_of(r, e) for r in found)]
        return in_order(attempts(others, self._link))

    def _link(self, execution: Execution) -> str:
        """Return where an execution is shown: nowhere, if the workflow's log has nothing of it."""
        if not execution.has_history:
            return ""
        arn, started = execution.arn, int(execution.started.timestamp() * 1000)
        kind = "express-executions" if ":express:" in arn else "v2/executions"
        return self.deployment.console("states", f"/{kind}/details/{arn}?startDate={started}")


def _sends_again(record: Record, other: Record) -> bool:
    """Whether a record is of a mail that sent another one again, or still may."""
    ended = record["status"] in {Status.REJECTED, Status.FAILED}
    return record.get("resendOf") == other["notificationId"] and not ended


def _is_elsewhere(message: str, found: Iterable[Record], followed: Trail) -> bool:
    """Whether a message that was put back is none that a record tells of, and still waits."""
    told = any(message_of(r) and message.startswith(message_of(r)) for r in found)
    return not told and not followed.is_over(message)


def _of_looking(visible: Visible | None, *, found: bool) -> Iterator[str]:
    """Say how much of the order queue was seen; where nothing was `found`, also how much was not."""
    if not visible:
        return
    if visible.looked_at:
        looked = f"{visible.looked_at} of about {visible.waiting} messages on the order queue were looked at; "
        yield f"{looked}a look counts as one of a message's {limits.QUEUE_MAX_RECEIVES} receives."
    if not found and (unseen := visible.waiting - visible.looked_at) > 0:
        yield (
            f"About {unseen} messages on the order queue are in work or put off, and cannot be looked at. If "
            "the order was published just now, ask again in a minute."
        )


_BAD_ENDS = frozenset({Status.BOUNCED, Status.COMPLAINED})


def _may_be_listed(record: Record) -> bool:
    return record["status"] in _BAD_ENDS and bool(record["customerEmail"])


def _listed(deployment: Deployment, address: str) -> Suppressed | str:
    """Ask whether an address is on the account's suppression list."""
    entries = entries_of(deployment, address)
    return Suppressed(entries[0].since, entries[0].reason.lower()) if entries else NOT_LISTED


def _pauses(deployment: Deployment) -> list[Pause]:
    """Return every pause that was kept, and every end of one, the oldest first."""
    pages = (
        deployment.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=deployment.name("email-reports"),
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": pause.KIND}},
        )
    )
    kept = [json.loads(item["report"]["S"]) for page in pages for item in page["Items"]]
    return [Pause(datetime.fromisoformat(k["date"]), k["paused"], k["by"], k["why"]) for k in kept]


# --- what is not for everybody --------------------------------------------------------------------


def hidden(finding: Finding) -> Finding:
    """Return a finding without anybody's address; ids, which may be one or a name, as logs show them."""
    addresses = sorted({s.recipient for s in finding.stories if s.recipient}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, addresses)) or r"(?!)", re.IGNORECASE)

    def hide(value: Any) -> Any:
        if isinstance(value, str):
            return without_addresses(pattern.sub("(address)", value))
        if isinstance(value, list):
            return [hide(one) for one in value]
        if isinstance(value, dict):
            return {name: hide(one) for name, one in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            changed = {f.name: hide(getattr(value, f.name)) for f in fields(value)}
            if isinstance(value, Finding) and changed["term"] != value.term:
                changed["term"] = shown(value.term)
            if isinstance(value, Story):
                changed["order_id"] = shown(value.order_id)
                changed["part"] = {name: shown(id_) for name, id_ in value.part.items()}
                changed["announced"] = announced(value.event_type, changed["part"])
                changed["recipient"] = HIDDEN if value.recipient else ""
            return replace(value, **changed)
        return value

    return cast("Finding", hide(finding))
