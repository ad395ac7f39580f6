"""The promise, checked for each order's life when its world is quiet.

Written from what SES really did and published, not from the code under test: `tests.simulation.world`
says of each event what it truly means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.contract.order_id import shown
from steps.ledger import outcomes, rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from steps.contract.outcome_event import OutcomeEvent
    from steps.ledger.rules import Record
    from tests.simulation.doors import Change, StreamedTable
    from tests.simulation.life import Event, Life, Mail
    from tests.simulation.world import World

FINALITY = (
    *("CLAIMED", "SENDING", "FAILED", "SENT", "DELAYED", "UNDELIVERED"),
    *("DELIVERED", "REJECTED", "BOUNCED", "COMPLAINED"),
)
ACCEPTED = frozenset(FINALITY[3:]) - {"REJECTED"}
"""The statuses that say that SES accepted a mail."""
TOLD = frozenset(FINALITY[2:])
"""The statuses that a shop is told of."""

KILLED = ("killed-before", "killed-after", "killed", "dispatcher-killed", "killed-at-start")
UNTOLD = (
    *("answer-lost", "repeated-after-lost-answer", "lands-again-late", "lands-late"),
    *("starts-late", "times-out", "accepted-late", "5xx-accepted", "slow", "unavailable"),
    *("repeated", "twice-at-once", "delivered-twice", "not-deleted"),
)
"""Faults after which something may rightly be counted once more."""

LOST = ("answer-lost", "lands-late")
"""Faults by which a step does not learn that its write was made."""

STUMBLED = ("bug", "unavailable", "lambda-throttled", "lambda-unavailable", "times-out", *LOST)
"""Faults that keep the step's repetition from counting what it wrote."""

AFTERWARDS = ("fate", "event", "send-event", "event-receive", "event-delete")
"""Sites that a message has left the queue for."""


@dataclass(frozen=True)
class Violation:
    """A promise that a life broke."""

    order: int
    promise: str
    detail: str


def violations(world: World) -> list[Violation]:
    """Return what the lives of a world broke; a world is judged when it is quiet."""
    if not world.quiet:
        return [Violation(0, "the world never becomes quiet", "something goes on for ever")]
    return [
        Violation(life.number, promise, detail)
        for life in world.lives
        for promise, detail in _judge(life, world.table)
    ]


def _judge(life: Life, table: StreamedTable) -> Iterator[tuple[str, str]]:
    record = table.items.get(life.notification_id, {})
    yield from _alone(life)
    yield from _not_lost(life, record, table.items)
    if not life.forgotten:
        yield from _not_twice(life, record)
        yield from _true(life, record)
        yield from _complete(life, record)
        yield from _counted(life)
    for broken in sorted(life.broken_erasures):
        yield "what is erased stays erased", broken
    keys = {life.notification_id, *(rules.rejected_id(copy.body) for copy in life.copies)}
    # A claim that the network delivers after its record was deleted begins where that one had begun.
    if not (life.forgotten and life.claimed_late):
        for key in sorted(keys & table.stream.keys()):
            yield from _told(table.stream[key])
    for key in sorted(keys & table.stream.keys()):
        yield from _stays_erased(life, table.stream[key])


def _alone(life: Life) -> Iterator[tuple[str, str]]:
    """No message takes another down, and nothing that is in a message makes a step stumble."""
    for crash in sorted(set(life.crashes)):
        yield "nothing in a message breaks a step or a batch", crash
    disturbing = [s for s in life.dice.strikes if s.split(":")[1] not in AFTERWARDS]
    undisturbed = not disturbing and not life.world_faults
    if undisturbed and life.received > life.published:
        yield "a message comes back only for a reason", f"{life.received} receives"


def _not_lost(life: Life, record: Record, items: dict[str, Record]) -> Iterator[tuple[str, str]]:
    """Each event ends as a mail, as a dead letter with a reason, or as a record that says why not."""
    if life.vanished or not all(copy.gone for copy in life.copies):
        yield "no message vanishes", "a message was deleted by its age, or stays for ever"
    kept = [letter for letter in life.dead_letters if not letter.redriven]
    for letter in life.dead_letters:
        if not letter.reason and not letter.disturbed:
            yield "a dead letter has a reason", "moved by SQS after its last receive"
    told = record.get("status") in ("REJECTED", "FAILED") and "reason" in record
    refused = any(rules.rejected_id(copy.body) in items for copy in life.copies)
    if not life.mails and not kept and not told and not refused and not life.erased:
        yield "no mail is lost", f"no mail, no dead letter, record {record.get('status')}"
    mendable = life.refused and life.mended and life.valid and not life.erased
    if mendable and not life.mails and not kept and record.get("status") != "FAILED":
        yield "a mended event is sent", f"record {record.get('status')}"


def _not_twice(life: Life, record: Record) -> Iterator[tuple[str, str]]:
    if len(life.mails) > 1 + rules.resends(record):
        yield (
            "no second mail without a flag",
            f"{len(life.mails)} mails, resends {rules.resends(record)}",
        )

    if life.hasty:
        yield "a mail in doubt is given its time", "sent again before the grace period was over"


def _true(life: Life, record: Record) -> Iterator[tuple[str, str]]:
    """The record's status and reason are what SES did and reported."""
    for event in (event for mail in life.mails for event in mail.events):
        if event.refused and not event.arrived:
            yield (
                "what SES says of a mail counts",
                f"{event.kind} is of no mail that the record knows",
            )
    status = str(record.get("status", ""))
    if status in ("CLAIMED", "SENDING") and not _excused(life) and not life.erased:
        yield "no record stays claimed", f"{status} for ever"
    superseded = record.get("superseded", ())
    for mail in life.mails:
        if mail.message_id in superseded and _fold(iter(mail.events)) != "UNDELIVERED":
            yield "only what SES gave up on is sent in its place", f"{mail.message_id} is not"
    last = [mail for mail in life.mails if mail.message_id not in superseded]
    if status in ACCEPTED and not last:
        yield "the status is true", f"{status}, and SES accepted nothing"
    expected = _expected(last)
    if expected and status not in expected:
        yield "the status is true", f"{status}, and SES reported {'/'.join(sorted(expected))}"
    if not expected and status in ("DELIVERED", "BOUNCED", "COMPLAINED", "DELAYED", "UNDELIVERED"):
        yield "the status is true", f"{status}, and SES reported nothing"
    if life.mails and not record:
        yield "the status is true", "SES accepted a mail, and there is no record"
    reason = record.get("reason")
    if status in ("SENT", "DELIVERED") and reason:
        yield "the reason is true", f"{status} for the reason {reason}"
    said = {e.detail for mail in last for e in mail.arrived if e.status == status}
    if said and status in ACCEPTED and status not in ("SENT", "DELIVERED") and reason not in said:
        yield "the reason is true", f"{status} for the reason {reason}, SES said {sorted(said)}"


def _complete(life: Life, record: Record) -> Iterator[tuple[str, str]]:
    """A mail has its attachments, or the record says why it has links in their place."""
    if len(life.mails) != 1 or rules.resends(record) or record.get("status") not in ACCEPTED:
        return
    (mail,), linked = life.mails, record.get("attachmentsLinked")
    troubled = any(strike.split(":")[1] == "s3" for strike in life.dice.strikes)
    if mail.attached is bool(linked) and (linked or troubled):
        yield "the record says what a mail brings", f"attached {mail.attached}, linked {linked}"


def _excused(life: Life) -> bool:
    """Whether the last thing that happened to its messages was itself struck down."""
    letters = [letter for letter in life.dead_letters if not letter.redriven]
    # A step that is broken for long may be the one that would know which record it is.
    broken = bool(letters) and bool(life.world_faults)
    return life.claimed_late or broken or any(letter.disturbed for letter in letters)


def _expected(mails: list[Mail]) -> set[str]:
    """Return the statuses that are true; of several mails, the last alone or all together."""
    ends = (_fold(mail for m in mails[i:] for mail in m.arrived) for i in range(len(mails)))
    return {end for end in ends if end}


def _fold(events: Iterator[Event]) -> str:
    statuses = [event.status for event in events if event.status]
    end = max(statuses, key=FINALITY.index, default="")
    return "UNDELIVERED" if end == "DELAYED" else end  # written off


def _stays_erased(life: Life, changes: list[Change]) -> Iterator[tuple[str, str]]:
    """No write after the erasure names the customer or begins a call of SES, until the record expires."""
    for old, new in changes:
        if "erasedAt" not in old or new["sequence"] != old["sequence"] + 1:
            continue  # One that is made again has another sequence.
        if life.address in str(new) or "erasedAt" not in new or new["customerEmail"]:
            yield "what is erased stays erased", "a write names the customer"
        if old.get("handoverId") != new.get("handoverId"):
            yield "what is erased stays erased", "a write begins a call of SES"


def _told(changes: list[Change]) -> Iterator[tuple[str, str]]:
    """Who keeps the newest outcome knows at any time what the record says, also once it is made again."""
    numbers = [int(change.new["sequence"]) for change in changes]
    if numbers != sorted(set(numbers)):
        yield "a record's sequence grows with each write", f"{numbers}"
    said: dict[str, OutcomeEvent] = {}
    newest: Mapping[str, Any] = {"sequence": 0}
    for change in changes:
        if outcome := _outcome(change):
            if said.setdefault(outcome["id"], outcome) != outcome:
                yield "an outcome's id says one thing", f"{outcome['id'][-20:]} says two"
            newest = max(newest, outcome["data"], key=lambda data: data["sequence"])
        if change.new["status"] in TOLD and _facts(newest) != (
            is_ := _facts(_reasoned(change.new))
        ):
            yield (
                "the newest outcome is what the record says",
                f"{_facts(newest)}, the record {is_}",
            )


def _reasoned(record: Record) -> Record:
    return {"reason": rules.INVALID_EVENT} | record if "reasons" in record else record


def _outcome(change: Change) -> OutcomeEvent | None:
    return outcomes.outcome(change.old, change.new, at=0, source="simulation", release="0")


def _facts(data: Mapping[str, Any]) -> tuple[Any, ...]:
    # Of an erased record the order id may be what logs show of it.
    return (
        *(data.get(name) for name in ("status", "reason", "messageId")),
        shown(data.get("orderId", "")),
    )


def _counted(life: Life) -> Iterator[tuple[str, str]]:
    """Outcomes are counted at least as often as they are true, and no more often than faults explain."""
    killed, untold = life.struck(*KILLED) + life.batch_deaths + life.unread, life.struck(*UNTOLD)
    # A write without an answer, whose repetition was struck as well, is known to nobody as its own.
    killed += min(life.struck(*LOST), life.struck(*STUMBLED) - 1) if life.struck(*LOST) else 0
    # A mail that SES took and then rejected was sent, too, if nobody knew of it before.
    untold += sum(event.kind == "Reject" for mail in life.mails for event in mail.arrived)
    for metric, true in _true_counts(life).items():
        counted = life.metrics[metric]
        if counted + killed < true:
            yield "outcomes are counted", f"{metric} {counted} times, true {true} times"
        # A copy's rejection ended the record while the mail was with SES, whose refusal is one more.
        more = life.refused_later if metric == "EmailRejected" else 0
        if counted > true + killed + untold + more:
            yield (
                "outcomes are not counted too often",
                f"{metric} {counted} times, true {true} times",
            )


def _true_counts(life: Life) -> dict[str, int]:
    arrived = [event for mail in life.mails for event in mail.arrived]
    counts = {
        metric: sum(event.metric == metric for event in arrived)
        for metric in ("EmailDelivered", "EmailBounced", "EmailComplaint")
    }
    return counts | {
        "EmailSent": life.turns["EmailSent"],
        "EmailInDoubt": life.turns["EmailInDoubt"],
        "EmailFailed": sum(letter.told for letter in life.dead_letters),
        "EmailRejected": life.turns["EmailRejected"],
    }
