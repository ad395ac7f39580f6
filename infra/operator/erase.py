"""`erase`: take what is kept about a customer, or of an order, out of wherever it is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.operator.audit import audited
from infra.operator.errors import Refused
from infra.operator.letters import QUEUES, delete, peek, taken
from infra.operator.suppression import spellings
from steps.aws.ledger_table import as_record
from steps.contract import limits
from steps.contract.order_id import shown
from steps.contract.text import NOTIFICATION_ID, identifier
from steps.ledger import erasure, rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.operator.aws import Deployment
    from infra.operator.letters import Letter
    from steps.ledger.rules import Record

OUT_OF_REACH = (
    "the table's stream has its changes for 24 hours",
    "backups (point-in-time recovery, where it is on) have the records for 35 days; a restored table has them",
    "an order that still waits on the order queue is sent, and has a record then: erase it then",
    "files with events that somebody saved for a resend are wherever they were saved",
    "logs, metrics and names of executions hold no address and no name",
    "mails that were sent are with their recipients, and what the shop was told is with the shop",
)
"""What stays, and for how long."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Of what traces are meant: of an order or of an address. `suppression`: its entry in SES's list, too."""

    order: str | None = None
    address: str | None = None
    suppression: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no address: a domain or a word would name the records of everybody who has it.

        Raises:
            Refused: it has nothing before or after an @.
        """
        if self.address is not None and not all(self.address.strip().rpartition("@")[::2]):
            raise Refused("that is no address: all of somebody@example.com is needed")


@dataclass(frozen=True, kw_only=True)
class Traces:
    """How many things name the subject, by the place where they are; and how many could not be looked at."""

    records: int = 0
    rejected_events: int = 0
    dead_letters: int = 0
    suppression_entries: int = 0
    letters_not_looked_at: int = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was there, what is there still, and what is out of reach."""

    found: Traces
    left: Traces
    out_of_reach: tuple[str, ...] = OUT_OF_REACH


def count(deployment: Deployment, subject: Subject) -> Traces:
    """Count what names the subject; nothing is changed."""
    records = list(_records(deployment, subject))
    looks = [peek(deployment, queue) for queue in QUEUES]
    dead_letters = sum(1 for look in looks for _ in _named(look.letters, records, subject))
    return replace(
        _traces(records, dead_letters, len(_listed(deployment, subject))),
        letters_not_looked_at=sum(look.unseen for look in looks),
    )


def erase(deployment: Deployment, subject: Subject, *, why: str) -> Erased:
    """Erase the records, delete the dead letters and, where that is asked, the entry of the suppression list.

    A record keeps its id and its status, so that its event sends nothing again. Done twice, it changes nothing.
    """
    by = {"order": shown(subject.order)} if subject.order else {"by": "address"}
    with audited(deployment, "erase", why=why, **by) as said:
        # The letters first: an order in them could be sent through again meanwhile, and have a record then.
        records = list(_records(deployment, subject))
        dead_letters = 0
        for queue in QUEUES:
            with taken(deployment, queue) as letters:
                for letter in _named(letters, records, subject):
                    delete(deployment, letter)
                    dead_letters += 1
        for record in records:
            in_the_way: Record | None = record
            while in_the_way:
                in_the_way = deployment.ledger.write(rules.erased(in_the_way, time.time()))
        listed = _listed(deployment, subject)
        for spelling in listed:
            deployment.client("sesv2").delete_suppressed_destination(EmailAddress=spelling)
        found, left = _traces(records, dead_letters, len(listed)), count(deployment, subject)
        # SQS may count for a while what was deleted just now.
        unseen = max(0, left.letters_not_looked_at - dead_letters)
        left = replace(left, letters_not_looked_at=unseen)
        said.update(
            found=vars(found),
            left=vars(left),
            orders=sorted({shown(record["orderId"]) for record in records}),
        )
    return Erased(found=found, left=left)


def _traces(records: Iterable[Record], dead_letters: int, listed: int) -> Traces:
    notifications = [bool(NOTIFICATION_ID.fullmatch(r["notificationId"])) for r in records]
    return Traces(
        records=sum(notifications),
        rejected_events=len(notifications) - sum(notifications),
        dead_letters=dead_letters,
        suppression_entries=listed,
    )


def _records(deployment: Deployment, subject: Subject) -> Iterator[Record]:
    """Find the records that name the subject and are not erased."""
    if subject.order:
        found: Iterable[Record] = deployment.ledger.find_of_order(identifier(subject.order))
    else:
        found = _every_record(deployment)
    for record in found:
        if not rules.is_erased(record) and erasure.names(
            record, address=subject.address, order_id=subject.order
        ):
            yield record


def _every_record(deployment: Deployment) -> Iterator[Record]:
    """Read the whole table: an address may stand in a rejected event's text, which no index has."""

    def segment(number: int) -> list[Record]:
        pages = (
            deployment.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=deployment.name("email-delivery-tracking"),
                Segment=number,
                TotalSegments=limits.SCAN_SEGMENTS,
                ConsistentRead=True,
                FilterExpression="attribute_exists(orderId)",
            )
        )
        return [as_record(item) for page in pages for item in page["Items"]]

    with ThreadPoolExecutor(limits.SCAN_SEGMENTS) as pool:
        for records in pool.map(segment, range(limits.SCAN_SEGMENTS)):
            yield from records


def _named(
    letters: Iterable[Letter], records: Iterable[Record], subject: Subject
) -> Iterator[Letter]:
    """Choose the letters that name the subject; an event of SES's names the notification alone."""
    notifications = {record["notificationId"] for record in records}
    for letter in letters:
        if letter.notification_id in notifications or erasure.letter_names(
            letter.body, address=subject.address, order_id=subject.order
        ):
            yield letter


def _listed(deployment: Deployment, subject: Subject) -> list[str]:
    """Return how the suppression list spells the address; nothing where nobody asks."""
    if not (subject.suppression and subject.address):
        return []
    return spellings(deployment, subject.address)
