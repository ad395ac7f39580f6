"""Whether a shop was told what the tracking table says: outcomes, the table's stream and its records. Pure.

The stream has both images of every write, so it says what ought to be told. `steps.ledger.outcomes` is not
asked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Json = dict[str, Any]

TOLD = frozenset(
    {
        *("FAILED", "SENT", "DELAYED", "UNDELIVERED"),
        *("DELIVERED", "REJECTED", "BOUNCED", "COMPLAINED"),
    }
)
"""The statuses that a shop is told of."""

MISSING, UNTRUE = "outcomes missing", "outcomes untrue"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A write as the table's stream has it: the images of the record, `{}` where there was none."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The id of the outcome that tells it."""
        return f"{self.new['notificationId']}-{int(self.new['sequence'])}"

    @property
    def says_something(self) -> bool:
        """Whether a shop is to be told."""
        return self.new["status"] in TOLD and _facts(self.old)[:2] != _facts(self.new)[:2]


@dataclass(frozen=True)
class Tellings:
    """What was told, each outcome once; how often one came again, and how many came after a later one."""

    once: Sequence[Json]
    repeated: int
    late: int

    @classmethod
    def of(cls, arrived: Iterable[Json]) -> Tellings:
        """Sort out what arrived, given in the order of arrival."""
        once: dict[str, Json] = {}
        newest: dict[str, int] = defaultdict(int)
        repeated = late = 0
        for outcome in arrived:
            data = outcome["data"]
            key, sequence = data["notificationId"], data["sequence"]
            if outcome["id"] in once:
                repeated += 1
                continue
            once[outcome["id"]] = outcome
            late += sequence < newest[key]
            newest[key] = max(newest[key], sequence)
        return cls([*once.values()], repeated, late)


def wrong(
    arrived: Sequence[Json], changes: Sequence[Change], records: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield each promise that is broken, and how.

    Args:
        arrived: the outcomes in the order of arrival, repetitions too.
        changes: the stream of the table, all of it.
        records: by notification id, as they are in the end.
    """
    told = Tellings.of(arrived).once
    yield from _unlike(arrived)
    yield from _unlike_changes({outcome["id"]: outcome["data"] for outcome in told}, changes)
    yield from _unlike_records(told, records)
    yield from _unordered(changes)


def _unlike(arrived: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """A repetition is the same, byte for byte."""
    first: dict[str, str] = {}
    for outcome in arrived:
        text = json.dumps(outcome)
        if first.setdefault(outcome["id"], text) != text:
            yield UNTRUE, f"{outcome['id']} says two things: {first[outcome['id']]} and {text}"


def _unlike_changes(
    told: Mapping[str, Json], changes: Sequence[Change]
) -> Iterator[tuple[str, str]]:
    """Each change is told, as it was; and nothing else is."""
    due = {change.id: _facts(change.new) for change in changes if change.says_something}
    for id_, facts in due.items():
        if id_ not in told:
            yield MISSING, f"{id_} {facts}"
        elif (said := _facts(told[id_])) != facts:
            yield UNTRUE, f"{id_} says {said}, the record had {facts}"
    for id_ in told.keys() - due.keys():
        yield UNTRUE, f"{id_} says {_facts(told[id_])}, which never happened"


def _unlike_records(
    told: Sequence[Json], records: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """The newest word about each record is what it says; one that is open again may have been told of."""
    newest: dict[str, Json] = {}
    for outcome in sorted(told, key=lambda outcome: outcome["data"]["sequence"]):
        newest[outcome["data"]["notificationId"]] = outcome["data"]
    for key in newest.keys() - records.keys():
        yield UNTRUE, f"{key} was told of, and is no record"
    for key, record in records.items():
        if record["status"] not in TOLD:
            continue
        if key not in newest:
            yield MISSING, f"{key} was never told of: {_facts(record)}"
        elif (known := _facts(newest[key])) != _facts(record):
            yield UNTRUE, f"{key} is known as {known}, the record says {_facts(record)}"


def _unordered(changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
    """Sequences grow by what happened."""
    last: dict[str, int] = defaultdict(int)
    for change in changes:
        key, sequence = change.new["notificationId"], int(change.new["sequence"])
        if sequence <= last[key]:
            yield UNTRUE, f"{key} had the sequence {last[key]} and then {sequence}"
        last[key] = sequence


def _facts(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return status, reason, message id and order id of a record or of an outcome's data."""
    reason = record.get("reason") or ("InvalidEvent" if record.get("reasons") else None)
    return record.get("status"), reason, record.get("messageId"), record.get("orderId")
