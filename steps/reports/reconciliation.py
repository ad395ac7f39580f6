"""Reconciliation: which mails are stuck, and whether SES has counted as many as we have. Pure.

Records are counted by `steps.contract.report_tasks.Unfinished`, the oldest are named. A record is new when it
was not stuck yet at the report before: that takes the moment of that report and no list of its records.

SES's own count is CloudWatch's `Send` in `AWS/SES`, without dimensions: the whole account's in a region (Amazon
SES Developer Guide, "Retrieving Amazon SES event data from CloudWatch"). Ours leaves out the mails to SES's
mailbox simulator. SES does not say whether its own has them, so the day's canaries are allowed for, and never
held against it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, final

from steps.contract import limits
from steps.contract.report_tasks import Alert, Gap, Previous, ReportBase, Unfinished
from steps.reports.tasks import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DAY = timedelta(days=1)

SLACK = timedelta(minutes=15)
"""A mail may be counted on one side of midnight by SES and on the other by us. So each count is held against
the other's of a day that is longer by so much at both ends."""

SUBJECT_MAX = 100
"""SNS, Publish."""

_STUCK = {
    Unfinished.UNSETTLED: "CLAIMED or SENDING for too long: nobody knows whether SES has the mail",
    Unfinished.SILENT: f"SENT for more than {limits.SILENT_AFTER // 3600} hours, without a word from SES",
}

_FIRST = {
    Unfinished.UNSETTLED: "the order's execution and log, and whether its message still waits on the queue",
    Unfinished.SILENT: "email-internal-dlq and the log of email-feedback: SES's events may not arrive",
}


class Stuck(TypedDict):
    """A record: its order as logs show it, its status, and since when (ISO 8601)."""

    orderId: str
    status: str
    since: str


@final
class Found(TypedDict):
    """What a part of the table has: how many are stuck, by kind; how many of them newly; the oldest; canaries.

    `canaries`: those of the day whose mails are counted.
    """

    stuck: dict[str, int]
    new: dict[str, int]
    oldest: list[Stuck]
    canaries: int


@final
class Scan(TypedDict):
    """How far a segment is read: what was found so far, and where to go on.

    start: `{}` at the segment's beginning, absent at its end.
    """

    found: Found
    start: NotRequired[dict[str, str]]


class Table(TypedDict):
    """How far each segment is read, or what it lacks."""

    segments: list[Scan | Gap]


@final
class Mails(TypedDict):
    """Mails of one UTC day by our count and by SES's, and of the day with `SLACK`; None where SES has none."""

    day: str
    ours: int
    oursAround: int
    ses: int | None
    sesAround: int | None


class Inputs(TypedDict):
    """What the sources gave, and the tracking table."""

    mails: Mails | Gap
    previous: Previous | Gap
    table: Table


class Report(ReportBase, TypedDict):
    """The night's report.

    until: the moment (ISO 8601) up to which the whole table was judged; None where it never was.
    missing: mails of ours of which SES knows nothing. surplus: mails of SES's that are none of ours. None where
    it is not known.
    """

    until: str | None
    stuck: dict[str, int]
    new: dict[str, int]
    oldest: list[Stuck]
    mails: Mails | None
    missing: int | None
    surplus: int | None


def nothing() -> Found:
    """Return what an empty part has."""
    return {"stuck": {}, "new": {}, "oldest": [], "canaries": 0}


def unread() -> Table:
    """Return the table of which nothing is read."""
    return {"segments": [{"found": nothing(), "start": {}}] * limits.SCAN_SEGMENTS}


def found(kind: Unfinished, record: Stuck, *, known_before: str | None) -> Found:
    """Return what a part has that is just this record.

    `known_before`: at the report before, a record of its kind counted if it had been so since then or longer.
    """
    new = known_before is None or record["since"] > known_before
    return {
        "stuck": {kind: 1},
        "new": {kind: 1} if new else {},
        "oldest": [record],
        "canaries": 0,
    }


def united(parts: Iterable[Found]) -> Found:
    """Return what parts have together, in whatever order they come."""
    stuck: Counter[str] = Counter()
    new: Counter[str] = Counter()
    oldest: list[Stuck] = []
    canaries = 0
    for part in parts:
        stuck.update(part["stuck"])
        new.update(part["new"])
        oldest = heapq.nsmallest(limits.SCAN_OLDEST, [*oldest, *part["oldest"]], key=_age)
        canaries += part["canaries"]
    return {"stuck": dict(stuck), "new": dict(new), "oldest": oldest, "canaries": canaries}


def _age(record: Stuck) -> tuple[str, str, str]:
    return record["since"], record["orderId"], record["status"]


def day_before(now: datetime) -> tuple[datetime, datetime]:
    """Return the last UTC day that was complete at `now`: its beginning and its end, `SLACK` included."""
    end = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), UTC)
    return end - DAY - SLACK, end + SLACK


def measure(ours: Mapping[datetime, float], ses: Mapping[datetime, float], now: datetime) -> Mails:
    """Sum up what both counted by the start of its period, from `day_before(now)`."""
    first, end = day_before(now)
    first, end = first + SLACK, end - SLACK

    def of_the_day(counts: Mapping[datetime, float]) -> int:
        return int(sum(count for at, count in counts.items() if first <= at < end))

    return {
        "day": first.date().isoformat(),
        "ours": of_the_day(ours),
        "oursAround": int(sum(ours.values())),
        "ses": of_the_day(ses) if ses else None,
        "sesAround": int(sum(ses.values())) if ses else None,
    }


def until(answer: Previous | Gap) -> str | None:
    """Return the moment up to which the report before has judged, None where that is not known."""
    if "Error" in answer:
        return None
    moment: str | None = answer["report"].get("until")
    return moment


def report(inputs: Inputs, now: datetime, *, command: str) -> Report:
    """Judge what the sources and the segments gave.

    It alerts as long as something is stuck, uncounted or not read. That SES has counted more mails than we have
    is said then, and by itself only when it begins: others may send from the account, for ever.

    Args:
        inputs: what they gave.
        now: when the execution began.
        command: shows all that is stuck.
    """
    gaps: list[str] = []
    read, complete = _segments(inputs["table"]["segments"], gaps)
    mails = _mails(inputs["mails"], gaps)
    before = until(inputs["previous"])
    if "Error" in inputs["previous"]:
        gaps.append(f"the last report: {reason(inputs['previous'])}; all counts as new")
    of_the_night: Report = {
        "date": now.date().isoformat(),
        "until": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if complete else before,
        "stuck": read["stuck"],
        "new": read["new"],
        "oldest": read["oldest"],
        "mails": mails,
        "missing": _beyond(mails["ours"], mails["sesAround"]) if mails else None,
        "surplus": _surplus(mails, read["canaries"]) if mails and complete else None,
        "gaps": gaps,
    }
    had_surplus = "report" in inputs["previous"] and inputs["previous"]["report"].get("surplus")
    begins = bool(of_the_night["surplus"]) and not had_surplus
    if not complete or read["stuck"] or of_the_night["missing"] or begins:
        of_the_night["alert"] = alert(
            of_the_night, complete=complete, before=before, command=command
        )
    return of_the_night


def _segments(answers: list[Scan | Gap], gaps: list[str]) -> tuple[Found, bool]:
    """Return what the segments that were read to their ends have, and whether these were all."""
    read = [scan["found"] for scan in answers if "Error" not in scan and "start" not in scan]
    whys = sorted({reason(answer) for answer in answers if "Error" in answer})
    gaps.extend(f"the tracking table: {why}" for why in whys)
    lacking = limits.SCAN_SEGMENTS - len(read)
    if lacking:
        gaps.append(f"{lacking} of the tracking table's {limits.SCAN_SEGMENTS} segments: not read")
    return united(read), not lacking


def _mails(answer: Mails | Gap, gaps: list[str]) -> Mails | None:
    if "Error" in answer:
        gaps.append(f"how many mails were counted: {reason(answer)}")
        return None
    if answer["ses"] is None and answer["ours"]:
        gaps.append(f"SES's own count of {answer['day']}: there is none")
    return answer


def _beyond(more: int, fewer: int | None) -> int | None:
    return None if fewer is None else max(0, more - fewer)


def _surplus(mails: Mails, canaries: int) -> int | None:
    ses = mails["ses"]
    return None if ses is None else max(0, ses - mails["oursAround"] - canaries)


def alert(of_the_night: Report, *, complete: bool, before: str | None, command: str) -> Alert:
    """Write the message: what is stuck and since when, what the counts say, what to do first."""
    stuck = of_the_night["stuck"]
    lines = [*_stuck(of_the_night, before), *_counts(of_the_night)]
    if not complete:
        lines.insert(0, "- INCOMPLETE: not the whole tracking table was read, see below")
    if of_the_night["oldest"]:
        lines += ["", "The oldest:"]
        lines += [
            f"  {record['orderId']}  {record['status']} since {record['since']}"
            for record in of_the_night["oldest"]
        ]
        lines += ["", "All of them:", f"  {command}"]
        lines += ["", *(f"First, {kind}: {_FIRST[kind]}." for kind in Unfinished if kind in stuck)]
    if of_the_night["gaps"]:
        lines += ["", "Not known:", *(f"  {gap}" for gap in of_the_night["gaps"])]
    return {"subject": _subject(of_the_night, complete=complete), "message": "\n".join(lines)}


def _subject(of_the_night: Report, *, complete: bool) -> str:
    stuck = of_the_night["stuck"]
    said = [] if complete else ["reconciliation incomplete"]
    said += [f"{stuck[kind]:,} {kind}" for kind in Unfinished if kind in stuck]
    if of_the_night["missing"]:
        said.append(f"{of_the_night['missing']:,} not known to SES")
    if not said:
        said.append(f"{of_the_night['surplus']:,} that only SES has counted")
    return f"Order mails: {', '.join(said)}"[:SUBJECT_MAX]


def _stuck(of_the_night: Report, before: str | None) -> list[str]:
    since = f" since {before}" if before else ""
    return [
        f"- {count:,} {_verb(count)} {_STUCK[kind]}; {of_the_night['new'].get(kind, 0):,} new{since}"
        for kind in Unfinished
        if (count := of_the_night["stuck"].get(kind))
    ]


def _verb(count: int) -> Literal["is", "are"]:
    return "is" if count == 1 else "are"


def _counts(of_the_night: Report) -> list[str]:
    mails, lines = of_the_night["mails"], []
    if mails and of_the_night["missing"]:
        lines.append(
            f"- SES knows of {of_the_night['missing']:,} fewer mails on {mails['day']} than we have counted "
            f"({mails['ours']:,}): a metric counts twice, or mails went out elsewhere"
        )
    if mails and of_the_night["surplus"]:
        lines.append(
            f"- SES has counted {of_the_night['surplus']:,} more mails on {mails['day']} than we have "
            f"({mails['ours']:,}): others send from this account, another environment for one, or mails went "
            "out of which no record knows"
        )
    return lines
