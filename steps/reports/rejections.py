"""Rejections: are too many orders rejected, for which reason, and is that news? Pure.

A rejected order gets no mail and is no dead letter, so nobody hears of it by itself. Two findings are unusual:

BURST: five rejections within five minutes, as the alarm `email-rejections` has it. That is what a fault of
all orders makes by day at 2,000 orders a day. A shop of 100 a day never makes it, so there is also

SHARE: more than 1% of the orders of the last 24 hours, by the lower end of the share's 95% confidence
interval (`reputation.at_least`). At 100 orders a day four rejections are that, or all of the first three;
at 2,000 it takes 28, which is a fault of one kind of mail that 1.5% of the orders have; at 1,000,000 a fault
bursts long before.

How often chance alone does it, with one mistake in 10,000 orders. 100 orders a day: three or four rejections in
a day come once in thousands of years. 2,000: 28 where 0.2 are usual, or five in five minutes, never. 1,000,000:
the share never (10,202 where 100 are usual), the burst about every 38 days, since the windows of five minutes
overlap (mean 0.35). With five mistakes in 1,000, as of a shop that checks no addresses, one of 100 orders a day
is told of a share a few times a year.

News is what the operators have not been told in the last 24 hours (`REPEAT_AFTER`), reason by reason. So one
fault is one alert, and one more a day while it lasts; a second fault beside the first is one of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, final

from steps.contract.order_id import shown
from steps.contract.report_tasks import Alert, ReportBase
from steps.reports.reputation import MIN_EVENTS, at_least

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BURST, SHARE = "BURST", "SHARE"

BURST_REJECTIONS, BURST_SPAN = 5, timedelta(minutes=5)
"""The alarm's own threshold and period: so many single mistakes do not meet, see above."""

SHARE_LIMIT = 0.01
"""Lower, and a shop's customers who mistype their addresses would raise it; higher, and a kind of mail that few
orders have, such as refunds, could fail for good without an alert."""

SPAN = timedelta(hours=24)
"""What is judged, trailing: a night without orders is in it, and a shop of 100 a day has a hundred in it."""

REPEAT_AFTER = timedelta(hours=24)
"""A fault that goes on is told once a day: whoever did not see the first alert sees the second."""

EXAMPLES = 3
NAMED = 3
"""How many order ids an alert has, and how many reasons beside the commonest."""

UNKNOWN = ""
"""The reason of rejections whose log lines could not be read."""

REJECTED_LINE, REFUSED_LINE = "event rejected", "SendRejected"
"""What finds the lines in the logs of the validate step, and of the send step."""

SES_REFUSES = "SES refuses the mail"
NOT_SHOWN = "a reason that is not shown: see the log"

SUBJECT_LENGTH = 100
"""SNS's limit (Publish, API Reference)."""


class Line(NamedTuple):
    """What the logs say of one rejection. A reason is a field's path and fixed words."""

    at: datetime
    execution: str
    order: str
    reasons: tuple[str, ...]


@final
class Counts(TypedDict):
    """Our counters of the last 24 hours: orders (sent or rejected), those rejected; and whether they burst."""

    orders: int
    rejected: int
    burst: bool


@final
class Told(TypedDict):
    """When the operators were told of a reason, and up to which rejection they need not hear of it again.

    Both are ISO 8601.
    """

    at: str
    until: str


class Report(ReportBase, TypedDict):
    """What a run found: `finding` is BURST, SHARE or ""; `counts` are None where our counters did not answer.

    reasons: by how many orders each, of those whose log lines were read, the commonest first.
    told: by reason; what the next run must know.
    """

    finding: str
    counts: Counts | None
    reasons: dict[str, int]
    told: dict[str, Told]


# --- what is unusual ------------------------------------------------------------------------------


def measure(rejected: Mapping[datetime, float], sent: Mapping[datetime, float]) -> Counts:
    """Sum up what was counted, by the start of its minute."""
    total = int(sum(rejected.values()))
    each = [at for at, count in rejected.items() for _ in range(min(int(count), BURST_REJECTIONS))]
    return {
        "orders": total + int(sum(sent.values())),
        "rejected": total,
        "burst": is_burst(each),
    }


def is_burst(moments: Iterable[datetime]) -> bool:
    """Whether so many lie within five minutes."""
    each = sorted(moments)
    return any(
        last - first < BURST_SPAN
        for first, last in zip(each, each[BURST_REJECTIONS - 1 :], strict=False)
    )


def is_large_share(rejected: int, orders: int) -> bool:
    """Whether the share is more than chance, and than single mistakes."""
    return rejected >= MIN_EVENTS and at_least(rejected, orders) >= SHARE_LIMIT


def judge(counts: Counts) -> str:
    """Return what is unusual: BURST, SHARE or ""."""
    if counts["burst"]:
        return BURST
    return SHARE if is_large_share(counts["rejected"], counts["orders"]) else ""


# --- what the logs say ----------------------------------------------------------------------------


def read(at: datetime, message: str) -> Line | None:
    """Read a log line of the validate or the send step; None where it tells of no rejection."""
    try:
        line: dict[str, Any] = json.loads(message)
        if "simulated" in line:
            return None  # Nothing of a mail to SES's mailbox simulator is counted.
        execution, order = str(line["execution_id"]), shown(str(line["order_id"]))
        if line["message"] == REJECTED_LINE:
            reasons = [_safe(reason) for reason in line["reasons"]]
        elif line["error"] == REFUSED_LINE:
            reasons = [_safe(f"{SES_REFUSES}: {line['reason']}")]
        else:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return Line(at, execution, order, tuple(reasons)) if reasons else None


def _safe(reason: object) -> str:
    """Return a reason as it may stand in a mail: no address, one line of ASCII."""
    text = str(reason)
    return text if text.isascii() and text.isprintable() and "@" not in text else NOT_SHOWN


def count_reasons(lines: Iterable[Line]) -> dict[str, int]:
    """Count the orders by reason, the commonest first."""
    each = Counter(reason for line in lines for reason in dict.fromkeys(line.reasons))
    return dict(each.most_common())


def _each_once(lines: Iterable[Line]) -> list[Line]:
    """Return one line an execution, the newest first: a step that is tried again logs again."""
    return sorted({line.execution: line for line in sorted(lines, reverse=True)}.values())[::-1]


# --- what is news ---------------------------------------------------------------------------------


def report(
    finding: str,
    counts: Counts | None,
    lines: Sequence[Line],
    *,
    told: Mapping[str, Told],
    gaps: Sequence[str],
    now: datetime,
    dashboard: str,
) -> Report:
    """Say which of the rejections behind a finding are news, and what is told by then."""
    lines = _each_once(lines)
    reasons = count_reasons(lines)
    fresh = [line for line in lines if not _is_told(line, told, now)]
    of_the_run: Report = {
        "date": now.isoformat(timespec="seconds"),
        "finding": finding,
        "counts": counts,
        "reasons": dict(list(reasons.items())[: 1 + NAMED]),
        "told": {},
        "gaps": list(gaps),
    }
    newly: list[str] = []
    if _is_news(fresh, lines, counts, told, now):
        commonest, *others = list(count_reasons(fresh)) or [UNKNOWN]
        newly = [commonest, *others[:NAMED]]
        of_the_run["alert"] = alert(of_the_run, lines, newly, dashboard=dashboard)
    of_the_run["told"] = _told_by_now(lines, told, newly, now)
    return of_the_run


def _is_news(
    fresh: Sequence[Line],
    lines: Sequence[Line],
    counts: Counts | None,
    told: Mapping[str, Told],
    now: datetime,
) -> bool:
    """Whether what nobody was told of is unusual by itself; it is where it is all there is."""
    if not lines:
        return UNKNOWN not in told or not _is_recent(told[UNKNOWN], now)
    if len(fresh) == len(lines) or is_burst(line.at for line in fresh):
        return True
    # Of many rejections the lines are a sample.
    rejected = max(counts["rejected"], len(lines)) if counts else len(lines)
    orders = max(counts["orders"], rejected) if counts else 0
    return is_large_share(rejected * len(fresh) // len(lines), orders)


def _is_recent(entry: Told, now: datetime) -> bool:
    return now - datetime.fromisoformat(entry["at"]) < REPEAT_AFTER


def _is_told(line: Line, told: Mapping[str, Told], now: datetime) -> bool:
    """Whether one of an order's reasons was told; what is wrong besides shows once that is mended."""
    return any(
        _is_recent(entry, now) or line.at <= datetime.fromisoformat(entry["until"])
        for reason in line.reasons
        if (entry := told.get(reason))
    )


def _told_by_now(
    lines: Sequence[Line], told: Mapping[str, Told], newly: Sequence[str], now: datetime
) -> dict[str, Told]:
    """Return what is told after this run; an entry goes when nothing that it is about can be seen again."""
    by_now: dict[str, Told] = {}
    for reason in (*told, *newly):
        entry = told.get(reason)
        if reason in newly:
            entry = {"at": now.isoformat(), "until": now.isoformat()}
        if entry and _is_recent(entry, now):
            seen = [
                entry["until"],
                *(line.at.isoformat() for line in lines if reason in line.reasons),
            ]
            entry = {"at": entry["at"], "until": max(seen, key=datetime.fromisoformat)}
        if entry and now - datetime.fromisoformat(entry["until"]) < SPAN:
            by_now[reason] = entry
    return by_now


# --- the alert ------------------------------------------------------------------------------------


def alert(
    of_the_run: Report, lines: Sequence[Line], newly: Sequence[str], *, dashboard: str
) -> Alert:
    """Write the message: the commonest reason, how many orders, since when, which, and what to do."""
    reason, counted = newly[0], count_reasons(lines)
    its = [line for line in lines if reason in line.reasons]
    how_many = f"{len(its)} of {len(lines)}: {reason}" if reason else "the reason is not known"
    which = "Commonest reason" if reason in (UNKNOWN, *list(counted)[:1]) else "New reason"
    others = [f"- {n} of {len(lines)}: {r}" for r, n in counted.items() if r in newly[1:]]
    known = [f"- {n} of {len(lines)}: {r}" for r, n in counted.items() if r not in newly][:NAMED]
    message = [
        _how_many_orders(of_the_run),
        "",
        f"{which}, {how_many}",
        *(["Likewise:", *others] if others else []),
        *(["Alerted before, or too few:", *known] if known else []),
        "",
    ]
    if its:
        orders = list(dict.fromkeys(line.order for line in its))[:EXAMPLES]
        message += [f"Since: {its[-1].at:%Y-%m-%d %H:%M} UTC", f"Orders: {', '.join(orders)}", ""]
    message += [*_what_to_do(reason), "", dashboard]
    if of_the_run["gaps"]:
        message += ["", "Not known:", *(f"  {gap}" for gap in of_the_run["gaps"])]
    return {
        "subject": f"Order mails rejected, {how_many}"[:SUBJECT_LENGTH],
        "message": "\n".join(message),
    }


def _how_many_orders(of_the_run: Report) -> str:
    if not (counts := of_the_run["counts"]):
        return f"{BURST_REJECTIONS} orders or more were rejected within five minutes. They get no mail."
    return (
        f"{counts['rejected']:,} of {counts['orders']:,} orders of the last 24 hours were rejected. "
        "They get no mail."
    )


def _what_to_do(reason: str) -> list[str]:
    if not reason:
        first = "find the reason, with the commands"
    elif reason.startswith(SES_REFUSES):
        first = (
            "what do these mails have in common: a setting of ours (BRAND_..., SUPPORT_EMAIL), "
            "or the addresses? A record"
        )
    else:
        first = (
            "ask whoever publishes the orders what changed then; a deployment, most often. A record "
            "has its event as it came. How to find it"
        )
    return [
        f'First: {first}: infra/operator/README.md, "Rejected orders".',
        "Then: mend it, and let the shop publish the orders again; nothing sends them by itself.",
        "This is not alerted again within 24 hours; the alarm email-rejections tells whether it goes on.",
    ]
