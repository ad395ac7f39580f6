"""Whether the promise was kept: what SES took, what the inbox has and what the ledger says, compared. Pure.

The truth is the laptop SES's: it knows each mail it took, whether it answered, and which events it published.

Statuses. A record must have the most final of the statuses that SES's published events say; an event that
ended among the dead letters may be missing. A mail whose outcome SES never published may stay SENT
or DELAYED: that is true.

Metrics. Each has a least and a most value. More than the most is wrong beyond the number of deaths (killed
workers) and of lost answers (the fault proxy's: connections closed before the answer, or requests held back
longer than a client waits). Each may make a step count again what it had counted. Less than the least is
wrong, but for what Record and the dispatcher count where their workers were killed. A Record that died between
its write and its count, and whose repetitions fell into a bad deployment, leaves nobody who counts. Of a batch
whose dispatcher died no letter is counted; its messages come back, and each may become another letter.

    EmailSent       least: records of which SES took a mail and that know it; most: mails that SES took
    EmailDelivered  least: distinct Delivery events published; most: mails in the inbox
    EmailBounced    none, like EmailComplaint: only the simulator's mailboxes bounce for good or complain
    EmailRejected   REJECTED records
    EmailFailed     dead letters; two of the same execution are one
    EmailInDoubt    the sum of the records' `resends`, but for mails that SES had given up on

Outcomes: see `tests.local.chaos.outcomes`.

Mails to the simulator's mailboxes are counted nowhere. Of a published event only those count that did not end
among the dead letters.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steps.contract import limits
from steps.contract.metrics import Metric
from steps.ledger.rules import resends
from tests.local.chaos import outcomes
from tests.local.chaos.orders import Kind, Order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Record = dict[str, Any]

SENT = "SENT"
OPEN = ("CLAIMED", "SENDING", "FAILED")
"""Statuses of a mail of which nobody knows yet that SES took it, or that an operator has to redrive."""

FINALITY = ("SENT", "DELAYED", "UNDELIVERED", "DELIVERED", "REJECTED", "BOUNCED", "COMPLAINED")
"""Statuses of a mail that SES took, from least to most final."""

SAYS = {
    "Send": "SENT",
    "DeliveryDelay": "DELAYED",
    "Delivery": "DELIVERED",
    "Reject": "REJECTED",
    "Complaint": "COMPLAINED",
}
BOUNCE_SAYS = {"": "UNDELIVERED", "ooto": "DELIVERED", "bounce": "BOUNCED"}
"""What a bounce says, by mailbox: an automatic reply proves the delivery, and the others' are soft."""

OUTCOMES = {"Delivery", "Bounce", "Complaint", "Reject"}
"""Events that say what became of a mail."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail that SES took: its mailbox at the simulator, if any, and the types of its published events."""

    message_id: str
    box: str
    answered: bool
    published: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A dead letter of the order queue; `execution` is empty where none ran."""

    message: str
    reason: str
    execution: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the stack told at the end of a run.

    unfinished: why the run ended before all was quiet; empty where nothing will change any more.
    mails, records: by notification id. inbox: message ids. left: dead letters of the order queue that nobody
    redrove; letters: all that there ever were. unread: events (message id and type) among the dead
    letters. told: what a shop was told, in the order of arrival; changes: all that happened to records.
    deaths: of those that count. record_deaths, dispatcher_deaths: of these, theirs. broken_batches: what a
    dispatcher failed on with a whole batch.
    """

    orders: list[Order]
    unfinished: str = ""
    mails: Mapping[str, list[Mail]]
    inbox: frozenset[str]
    records: Mapping[str, Record]
    left: list[DeadLetter] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    unread: frozenset[tuple[str, str]] = frozenset()
    told: Sequence[dict[str, Any]] = ()
    changes: Sequence[outcomes.Change] = ()
    counted: Mapping[Metric, float]
    deaths: int = 0
    record_deaths: int = 0
    dispatcher_deaths: int = 0
    lost_answers: int = 0
    broken_batches: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong, by promise; the figures that are neither right nor wrong.

    by_event, by_resend: how mails in doubt were settled. untold: true records whose outcome SES never
    published, by status. extra: second mails that are flagged.
    """

    wrong: Mapping[str, list[str]]
    by_event: int
    by_resend: int
    extra: int
    untold: Counter[str]
    statuses: Counter[str]
    metrics: Mapping[Metric, Count]
    tellings: outcomes.Tellings

    @property
    def good(self) -> bool:
        """Whether the product's promise was kept."""
        return not any(self.wrong.values())


@dataclass(frozen=True)
class Count:
    """What a metric counted, and between what and what the truth is."""

    counted: float
    least: int
    most: int

    def __str__(self) -> str:
        truth = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"{self.counted:.0f} of {truth}"


def judge(facts: Facts) -> Verdict:
    """Compare all facts with the promise."""
    wrong: dict[str, list[str]] = {
        "lost": [],
        "duplicates, unflagged": [],
        "never final": [],
        "untrue statuses": [],
        "wrongly rejected": [],
        "wrongly counted": [],
        "batches broken": [*facts.broken_batches],
        outcomes.MISSING: [],
        outcomes.UNTRUE: [],
    }
    if facts.unfinished:
        wrong["never final"].append(facts.unfinished)
    valid = [order for order in facts.orders if order.kind is Kind.VALID]
    for order in valid:
        for what, why in _valid_order(order, facts):
            wrong[what].append(f"{order.shown} {why}")
    for order in facts.orders:
        if order.kind is not Kind.VALID and (why := _poison(order, facts)):
            what = "never final" if facts.unfinished else "wrongly rejected"
            wrong[what].append(f"{order.shown} {why}")
    for what, why in outcomes.wrong(facts.told, facts.changes, facts.records):
        wrong[what].append(why)
    ordered = {order.key for order in facts.orders if order.kind is Kind.VALID}
    wrong["wrongly rejected"] += [
        f"mail without an order: {k}" for k in facts.mails if k not in ordered
    ]
    metrics = counts(facts)
    spare = facts.deaths + facts.lost_answers
    missing = {
        Metric.SENT: facts.record_deaths,
        Metric.REJECTED: facts.record_deaths,
        Metric.FAILED: facts.dispatcher_deaths * limits.DISPATCHER_BATCH,
    }
    wrong["wrongly counted"] = [
        f"{metric} {count}, {facts.deaths} deaths and {facts.lost_answers} answers lost"
        for metric, count in metrics.items()
        if not count.least - missing.get(metric, 0) <= count.counted <= count.most + spare
    ]
    tellings = outcomes.Tellings.of(facts.told)
    return Verdict(wrong=wrong, metrics=metrics, tellings=tellings, **_figures(valid, facts))


def _valid_order(order: Order, facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a valid order, and why."""
    record, mails = facts.records.get(order.key, {}), facts.mails.get(order.key, [])
    status = record.get("status", "without a record")
    if status in OPEN or not mails:
        letters = [letter.reason for letter in facts.left if letter.message == order.message]
        if letters:
            yield "never final", f"{status}, a dead letter: {', '.join(letters)}"
        elif facts.unfinished:
            yield "never final", f"{status}, its message may still wait"
        elif status in OPEN:
            yield "never final", f"{status}, and no message of it is left"
        else:
            yield "lost", status
    if len(mails) - 1 > resends(record):
        yield "duplicates, unflagged", f"{len(mails)} mails, {resends(record)} in doubt"
    for mail in mails:
        if "Delivery" in mail.published and mail.message_id not in facts.inbox:
            yield "lost", f"{mail.message_id} is delivered and not in the inbox"
    last = [mail for mail in mails if mail.message_id not in record.get("superseded", ())]
    true = true_statuses(last, facts.unread)
    if record and status not in {*OPEN, *true}:
        yield "untrue statuses", f"{status}, SES says {' or '.join(sorted(true)) or 'nothing'}"
    if "messageId" in record and record["messageId"] not in {m.message_id for m in mails}:
        yield (
            "untrue statuses",
            f"has the message id {record['messageId']}, which is none of its mails",
        )


def true_statuses(mails: list[Mail], unread: frozenset[tuple[str, str]]) -> set[str]:
    """Return the statuses that agree with what SES published of an order's mails; none without a mail."""
    if not mails:
        return set()
    events = {(mail.message_id, type_, mail.box) for mail in mails for type_ in mail.published}
    missing = {_says(type_, box) for id_, type_, box in events if (id_, type_) in unread}
    known = [_says(type_, box) for id_, type_, box in events if (id_, type_) not in unread]
    least = max([SENT, *known], key=FINALITY.index)
    return {least} | {s for s in missing if FINALITY.index(s) > FINALITY.index(least)}


def _says(type_: str, box: str) -> str:
    return BOUNCE_SAYS.get(box, "UNDELIVERED") if type_ == "Bounce" else SAYS[type_]


def _poison(order: Order, facts: Facts) -> str:
    """Say what is wrong with the end of a poisonous order; nothing where it is as it should be."""
    record = facts.records.get(order.rejected_key, {})
    rejected = record.get("status") == "REJECTED" and bool(record.get("reasons"))
    letters = [letter.reason for letter in facts.left if letter.message == order.message]
    ends = {
        Kind.INVALID: [rejected],
        Kind.TOO_LARGE: [rejected, bool(letters) and all(letters)],
        Kind.GROWING: [rejected],
    }[order.kind]
    if any(ends):
        return ""
    return (
        f"({order.kind}) has the record {record.get('status')}, dead letters: {letters or 'none'}"
    )


def counts(facts: Facts) -> dict[Metric, Count]:
    """Return what each metric counted, and the truth; see the module."""
    counted = {k: taken for k, taken in facts.mails.items() if not any(m.box for m in taken)}
    mails = [mail for taken in counted.values() for mail in taken]
    delivered = sum(
        "Delivery" in mail.published and (mail.message_id, "Delivery") not in facts.unread
        for mail in mails
    )
    known = sum(r.get("status") in FINALITY for k, r in facts.records.items() if k in counted)
    rejected = sum(r.get("status") == "REJECTED" for r in facts.records.values())
    simulated = {order.key for order in facts.orders if order.box}
    of_boxes = {order.message for order in facts.orders if order.box}
    letters = [letter for letter in facts.letters if letter.message not in of_boxes]
    failed = len({(letter.message, letter.execution) for letter in letters})
    resent = sum(
        resends(r) - len(r.get("superseded", ()))
        for k, r in facts.records.items()
        if k not in simulated
    )
    truth = {
        Metric.SENT: (known, len(mails)),
        Metric.DELIVERED: (delivered, len(facts.inbox & {mail.message_id for mail in mails})),
        Metric.BOUNCED: (0, 0),
        Metric.COMPLAINT: (0, 0),
        Metric.REJECTED: (rejected, rejected),
        Metric.FAILED: (failed, max(failed, len(letters))),
        Metric.IN_DOUBT: (resent, resent),
    }
    return {m: Count(facts.counted.get(m, 0), *bounds) for m, bounds in truth.items()}


def _figures(valid: list[Order], facts: Facts) -> dict[str, Any]:
    by_event = by_resend = extra = 0
    untold: Counter[str] = Counter()
    for order in valid:
        record, mails = facts.records.get(order.key, {}), facts.mails.get(order.key, [])
        resent = resends(record)
        extra += min(max(0, len(mails) - 1), resent)
        by_resend += bool(resent)
        by_event += not resent and any(not mail.answered for mail in mails)
        if mails and not any(mail.published & OUTCOMES for mail in mails):
            untold[record.get("status", "without a record")] += 1
    return {
        "by_event": by_event,
        "by_resend": by_resend,
        "extra": extra,
        "untold": untold,
        "statuses": Counter(r["status"] for r in facts.records.values()),
    }
