"""`reconcile`: which of a shop's orders have no outcome, and where each was last seen; which mails are stuck.

An outcome is a status that is final for now: SES has the mail, or it was rejected or given up. An order whose
records are all CLAIMED or SENDING has none, nor has one without a record.
"""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from infra.operator import records, trail
from infra.operator.aws import explained
from infra.operator.elsewhere import dead
from infra.operator.errors import OperatorError
from infra.operator.find import LOGS_DAYS
from infra.operator.letters import ORDERS, Look, peek, unseen
from infra.operator.story import iso, waits
from steps.aws.ledger_table import scanner
from steps.contract import limits
from steps.contract.order_id import shown
from steps.contract.text import identifier
from steps.ledger import unfinished
from steps.ledger.status import Status
from steps.reconciliation import ReconciliationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from infra.operator.aws import Deployment
    from infra.operator.elsewhere import Sighting
    from steps.ledger.rules import Record

UNSETTLED = frozenset({Status.CLAIMED, Status.SENDING})
"""The statuses that are no outcome."""

ENDED_WITHOUT_A_MAIL = frozenset({Status.REJECTED, Status.FAILED})
"""Outcomes of an order that got no mail: they are counted apart."""

LOGS = (trail.PROCESSOR_LOG, trail.VALIDATE_LOG)
"""They name an order before it has a record."""

FIND = "order-mail find says more."

COLUMNS = ("orderid", "order_id")
"""What the column of order ids is called, in any case; else it is the first."""

SEPARATORS = ",;\t"
"""Of columns; the first where a header has one column."""

SEARCHED_MAX = 20
"""Orders without an outcome that are searched for in the logs one by one; of more, the logs are too slow."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """An order without an outcome.

    status: of its records, empty where it has none. seen: where it was last seen. at: when (ISO 8601 UTC).
    """

    order_id: str
    seen: str
    status: str = ""
    at: str = ""
    next_step: str = ""


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """How many orders were asked for, how many got a mail, ended without one, and which have no outcome."""

    orders: int
    mailed: int
    rejected: int
    failed: int
    missing: list[Missing]
    notes: list[str]


def order_ids(text: str) -> list[str]:
    """Read order ids, each once: one a line, or CSV with a header that names their column. Pure.

    The header says what separates columns: spreadsheets write `;` where `,` is for decimals.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    header = next(filter(str.strip, lines), "")
    separator = max(SEPARATORS, key=lambda s: (_column(header, s) is not None, header.count(s)))
    rows = [row for row in csv.reader(lines, delimiter=separator) if any(row)]
    if not rows:
        return []
    names, column = rows[0], _column(header, separator)
    has_header = column is not None or len(names) > 1
    found = (row[column or 0] for row in rows[has_header:] if len(row) > (column or 0))
    return list(dict.fromkeys(filter(None, map(identifier, found))))


def _column(header: str, separator: str) -> int | None:
    """Return which column has order ids, if its name says so."""
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=separator), [])]
    return next((names.index(name) for name in COLUMNS if name in names), None)


def reconcile(
    deployment: Deployment, orders: Sequence[str], *, asked: Callable[[], object] = lambda: None
) -> Reconciliation:
    """Ask for the outcome of each order; `asked` is called after each, by this thread.

    Raises:
        ClientError: the table refused.
    """
    deployment.ready("dynamodb", "logs", "sqs")
    with ThreadPoolExecutor(records.AT_ONCE) as pool:
        asking = {pool.submit(records.of_order, deployment, order): order for order in orders}
        found: dict[str, list[Record]] = {}
        for answer in as_completed(asking):
            found[asking[answer]] = answer.result()
            asked()
    best = {order: outcome(found[order]) for order in orders}
    open_ = {order: status for order, status in best.items() if status in {"", *UNSETTLED}}
    notes: list[str] = []
    seen = last_seen(deployment, list(open_), notes) if open_ else {}
    return Reconciliation(
        orders=len(orders),
        mailed=len(orders) - len(open_) - sum(s in ENDED_WITHOUT_A_MAIL for s in best.values()),
        rejected=sum(s == Status.REJECTED for s in best.values()),
        failed=sum(s == Status.FAILED for s in best.values()),
        missing=[
            replace(seen.get(order) or nowhere(order, found[order]), status=status)
            for order, status in open_.items()
        ],
        notes=notes,
    )


def outcome(found: Iterable[Record]) -> str:
    """Return the status that says most of an order: one that is no outcome, one given up, that of a mail.

    REJECTED only where there is no other: a mended event is a record of its own. Empty without a record.
    """
    statuses = {Status(record["status"]) for record in found}
    return min(statuses, key=_URGENCY.index, default="")


_URGENCY = (
    *(Status.SENDING, Status.CLAIMED, Status.FAILED),
    *(s for s in Status if s not in {*UNSETTLED, *ENDED_WITHOUT_A_MAIL}),
    Status.REJECTED,
)


def nowhere(order: str, found: Sequence[Record]) -> Missing:
    """Say what is known of an order that was seen in no other place."""
    if found:
        at = max(record["timestamp"] for record in found)
        return Missing(order_id=order, seen="its record", at=at, next_step=FIND)
    return Missing(order_id=order, seen="nowhere", next_step="Have the shop publish it.")


def hidden(orders: Iterable[OfOrder]) -> list[OfOrder]:
    """Return them with order ids as logs show them: one may be somebody's address."""
    return [replace(one, order_id=shown(one.order_id)) for one in orders]


# --- what is stuck --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """A record that says no end when it should: which kind, its status, and since when (ISO 8601 UTC).

    kind: `unsettled` (nobody knows whether SES has the mail) or `silent` (SES told nothing of it since).
    """

    order_id: str
    kind: str
    status: str
    since: str


OfOrder = TypeVar("OfOrder", Missing, Stuck)


def stuck(deployment: Deployment, *, read: Callable[[int], object] = lambda _: None) -> list[Stuck]:
    """Search all records for those that are stuck, as the nightly reconciliation does; the oldest first.

    `read` is told how many segments of the table are done.

    Raises:
        ClientError: Lambda refused to say the settings of the nightly reconciliation.
        LedgerUnavailable: the table did not answer.
    """
    now = datetime.now(UTC).timestamp()
    scanner()  # Before threads ask for it: boto3's session is not for several.
    settings = ReconciliationSettings.from_env(deployment.settings_of("email-reconciliation"))
    grace = settings.in_doubt_grace_seconds
    search = unfinished.search(now, grace=grace)

    def segment(number: int) -> list[Stuck]:
        found: list[Stuck] = []
        page = deployment.ledger.scan_segment(search, number, limits.SCAN_SEGMENTS)
        while True:
            found += [
                Stuck(
                    order_id=record["orderId"],
                    kind=kind.value,
                    status=record["status"],
                    since=record["timestamp"],
                )
                for record in page.records
                if (kind := unfinished.kind(record, now, grace=grace))
            ]
            if page.start is None:
                return found
            page = deployment.ledger.scan_segment(search, number, limits.SCAN_SEGMENTS, page.start)

    with ThreadPoolExecutor(limits.SCAN_SEGMENTS) as pool:
        all_: list[Stuck] = []
        for done, found in enumerate(pool.map(segment, range(limits.SCAN_SEGMENTS)), start=1):
            all_ += found
            read(done)
    return sorted(all_, key=lambda one: one.since)


# --- where it was last seen -----------------------------------------------------------------------


def last_seen(
    deployment: Deployment, orders: Sequence[str], notes: list[str]
) -> dict[str, Missing]:
    """Return where orders without an outcome are: dead letters, else what a log says last."""
    by_shown = {shown(order): order for order in orders}
    seen: dict[str, Missing] = {}
    try:
        with explained(deployment):
            look = peek(deployment, ORDERS)
    except OperatorError as error:
        notes.append(f"The dead letters were not looked at: {error}")
        look = Look([], 0)
    if look.unseen:
        notes.append(unseen(ORDERS, look.unseen))
    for letter in look.letters:
        if order := by_shown.get(letter.order_id):
            seen[order] = _sighted(order, dead(letter))
    wanted = {name: order for name, order in by_shown.items() if order not in seen}
    return seen | dict(_in_logs(deployment, wanted, notes))


def _sighted(order: str, sighting: Sighting) -> Missing:
    return Missing(
        order_id=order,
        seen=f"{sighting.place}: {sighting.what}",
        at=sighting.at,
        next_step=sighting.next_step,
    )


def _in_logs(
    deployment: Deployment, wanted: dict[str, str], notes: list[str]
) -> Iterator[tuple[str, Missing]]:
    """Yield what the logs of the last two weeks say of orders, by their ids as logs show them."""
    phrases = list(wanted) if len(wanted) <= SEARCHED_MAX else ["later", "event rejected"]
    when = trail.recent(datetime.now(UTC), *LOGS_DAYS)

    def belongs(said: dict[str, Any]) -> bool:
        return said.get("order_id") in wanted

    followed = trail.follow(deployment, phrases=phrases, when=when, belongs=belongs, logs=LOGS)
    notes += [*followed.notes, *followed.unasked]
    last = {line.said["order_id"]: line for line in followed.lines}  # the newest comes last
    waiting = {wait.message: wait for wait in followed.waits}
    for name, line in last.items():
        said, order = line.said, wanted[name]
        if said.get("message") == "later":
            known = waits(waiting[said["message_id"]], halted=None)
            place, step = f"order queue: {known.sentence}", known.next_step
        elif said.get("message") == "event rejected":
            place, step = "the log of validate: the event was rejected", FIND
        else:
            place, step = f"the log: {said.get('message', '')}", FIND
        yield order, Missing(order_id=order, seen=place, at=iso(line.at), next_step=step)
