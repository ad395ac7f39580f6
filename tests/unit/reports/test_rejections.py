"""Rejected orders: what is unusual, what is news, and what the operators read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steps.reports import rejections
from steps.reports.rejections import BURST, SHARE, Line, judge, measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steps.reports.rejections import Counts, Report, Told

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KIND = "eventType: is not one of the known kinds"
ADDRESS = "customerEmail: is not an e-mail address"


def day(rejected: int, sent: int) -> Counts:
    """Count orders that are spread evenly over a day."""

    def spread(count: int) -> dict[datetime, float]:
        minutes = 24 * 60
        return {
            NOW - n * MINUTE: count * n // minutes - count * (n - 1) // minutes
            for n in range(1, minutes + 1)
        }

    return measure(spread(rejected), spread(sent))


@pytest.mark.parametrize(
    ("rejected", "sent", "finding"),
    [
        (0, 0, ""),
        (2, 0, ""),
        (3, 0, SHARE),
        (100, 0, SHARE),
        (3, 97, ""),
        (4, 96, SHARE),
        (27, 1973, ""),
        (28, 1972, SHARE),
        (100, 999_900, ""),
        (2000, 998_000, BURST),
    ],
    ids=[
        "an idle shop",
        "two orders",
        "the first hour of a small shop, all rejected",
        "a day of a small shop, all rejected",
        "three of 100",
        "four of 100",
        "27 of 2,000",
        "a kind of mail that few orders have",
        "single mistakes of a large shop",
        "one order in 500 of a large shop",
    ],
)
def test_what_is_unusual_in_a_day(rejected: int, sent: int, finding: str) -> None:
    assert judge(day(rejected, sent)) == finding


@pytest.mark.parametrize(
    ("minutes", "burst"),
    [([0, 1, 2, 3, 4], True), ([0, 1, 2, 3, 5], False), ([7, 7, 7, 7, 7], True), ([0] * 4, False)],
)
def test_five_within_any_five_minutes_are_a_burst(minutes: list[int], *, burst: bool) -> None:
    rejected: dict[datetime, float] = {}
    for minute in minutes:
        at = NOW - HOUR + minute * MINUTE
        rejected[at] = rejected.get(at, 0) + 1
    assert measure(rejected, {NOW: 1e6})["burst"] is burst


def lines(
    reason: str = KIND, count: int = 100, *, last: datetime = NOW, every: timedelta = MINUTE
) -> list[Line]:
    return [
        Line(last - n * every, f"{reason}-{last}-{n}", f"ORDER-{n}", (reason,))
        for n in range(count)
    ]


def make(
    read: Sequence[Line],
    *,
    told: Mapping[str, Told] | None = None,
    now: datetime = NOW,
    orders: int = 0,
    counts: Counts | None = None,
    gaps: Sequence[str] = (),
) -> Report:
    counted: Counts = {"orders": orders or len(read), "rejected": len(read), "burst": True}
    return rejections.report(
        BURST,
        counts or counted,
        read,
        told=told or {},
        gaps=gaps,
        now=now,
        dashboard="https://dashboard",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "event rejected", "reasons": [KIND]},
        {"message": "step failed", "error": "SendRejected", "reason": "x"},
    ],
)
def test_a_rejected_mail_to_the_simulator_is_no_line_of_the_alert(
    fields: Mapping[str, object],
) -> None:
    line = {"order_id": "CANARY-1", "execution_id": "e", **fields}
    assert rejections.read(NOW, json.dumps(line))
    assert rejections.read(NOW, json.dumps(line | {"simulated": True})) is None


def test_the_alert_names_the_reason_how_many_since_when_which_and_what_to_do() -> None:
    alert = make([*lines(count=98), *lines(ADDRESS, 2)], orders=150)["alert"]
    assert alert["subject"] == f"Order mails rejected, 98 of 100: {KIND}"
    assert alert["message"] == (
        "100 of 150 orders of the last 24 hours were rejected. They get no mail.\n"
        "\n"
        "Commonest reason, 98 of 100: eventType: is not one of the known kinds\n"
        "Likewise:\n"
        "- 2 of 100: customerEmail: is not an e-mail address\n"
        "\n"
        "Since: 2026-11-24 10:23 UTC\n"
        "Orders: ORDER-0, ORDER-1, ORDER-2\n"
        "\n"
        "First: ask whoever publishes the orders what changed then; a deployment, most often. A record "
        'has its event as it came. How to find it: infra/operator/README.md, "Rejected orders".\n'
        "Then: mend it, and let the shop publish the orders again; nothing sends them by itself.\n"
        "This is not alerted again within 24 hours; the alarm email-rejections tells whether it goes on."
        "\n\nhttps://dashboard"
    )


def test_for_what_ses_refuses_the_first_step_is_another() -> None:
    line = rejections.read(
        NOW,
        '{"message": "step failed", "error": "SendRejected", "reason": "SES answered MessageRejected",'
        ' "order_id": "A", "execution_id": "e"}',
    )
    assert line
    alert = make([line])["alert"]
    assert "1 of 1: SES refuses the mail: SES answered MessageRejected" in alert["subject"]
    assert "a setting of ours" in alert["message"]


def test_without_lines_the_alert_goes_out_and_says_so() -> None:
    counts: Counts = {"orders": 7, "rejected": 7, "burst": True}
    report = make([], counts=counts, gaps=["the reasons in x: CloudWatch Logs answered Y"])
    assert report["alert"]["subject"] == "Order mails rejected, the reason is not known"
    assert "7 of 7 orders" in report["alert"]["message"]
    assert "CloudWatch Logs answered Y" in report["alert"]["message"]
    assert "alert" not in make([], counts=counts, told=report["told"], now=NOW + HOUR)
    assert "alert" in make([], counts=counts, told=report["told"], now=NOW + 24 * HOUR)
    assert "alert" in make(lines(), told=report["told"], now=NOW + HOUR), "now it is known"


def test_without_our_counters_the_burst_is_told_all_the_same() -> None:
    report = rejections.report(
        BURST, None, lines(), told={}, gaps=["how many orders: x"], now=NOW, dashboard=""
    )
    assert report["alert"]["message"].startswith("5 orders or more were rejected within")


# --- what is news ---------------------------------------------------------------------------------


def run_hourly(read: Sequence[Line], hours: int) -> list[int]:
    """Run every hour, with the lines that are there by then; return the hours with an alert."""
    told: Mapping[str, Told] = {}
    alerts = []
    for hour in range(hours):
        now = NOW + hour * HOUR
        visible = [line for line in read if now - rejections.SPAN <= line.at < now]
        if not visible:
            continue
        report = make(visible, told=told, now=now)
        told = report["told"]
        alerts += [hour] if "alert" in report else []
    return alerts


def test_a_fault_is_told_once_and_not_again_when_it_is_over() -> None:
    assert run_hourly(lines(last=NOW + 30 * MINUTE), 80) == [0]


def test_a_fault_that_goes_on_is_told_once_a_day() -> None:
    assert run_hourly(lines(last=NOW + 60 * HOUR, count=62 * 60), 100) == [0, 24, 48]


def test_a_relapse_is_told_on_the_next_day() -> None:
    read = [*lines(last=NOW), *lines(last=NOW + 30 * HOUR)]
    assert run_hourly(read, 80) == [0, 29]


def test_a_second_fault_beside_one_that_was_told_is_news() -> None:
    told = make(lines(last=NOW - HOUR))["told"]
    read = [*lines(), *lines(ADDRESS, 5)]
    report = make(read, told=told, orders=1_000_000)
    assert report["alert"]["subject"] == f"Order mails rejected, 5 of 105: {ADDRESS}"
    assert f"New reason, 5 of 105: {ADDRESS}" in report["alert"]["message"]
    assert f"Alerted before, or too few:\n- 100 of 105: {KIND}" in report["alert"]["message"]
    assert "alert" not in make(read, told=report["told"], now=NOW + HOUR)


def test_single_mistakes_beside_a_fault_that_was_told_are_none() -> None:
    told = make(lines())["told"]
    assert "alert" not in make([*lines(), *lines(ADDRESS, 4)], told=told, orders=1_000_000)
    assert "alert" not in make([*lines(), *lines(ADDRESS, 9, every=HOUR)], told=told, orders=20_000)


def test_of_many_rejections_the_lines_are_a_sample() -> None:
    told = make(lines())["told"]
    read = [*lines(count=90), *lines(ADDRESS, 10, every=HOUR)]
    counts: Counts = {"orders": 1_000_000, "rejected": 200_000, "burst": True}
    assert "alert" in make(read, told=told, counts=counts)
    assert "alert" not in make(read, told=told, counts=counts | {"rejected": 1000})


def test_an_order_that_is_wrong_in_what_was_told_and_more_is_no_news() -> None:
    told = make(lines())["told"]
    both = [line._replace(reasons=(KIND, ADDRESS)) for line in lines()]
    assert "alert" not in make(both, told=told)


def test_a_step_that_was_tried_again_counts_once() -> None:
    (line,) = lines(count=1)
    report = make([line, line._replace(at=NOW - MINUTE), line])
    assert report["reasons"] == {KIND: 1}
    assert "Since: 2026-11-24 11:59 UTC" in report["alert"]["message"]


def test_what_is_told_is_forgotten_when_it_can_be_seen_no_more() -> None:
    told = make(lines())["told"]
    assert set(told) == {KIND}
    later = make(lines(ADDRESS, last=NOW + 25 * HOUR), told=told, now=NOW + 25 * HOUR)
    assert set(later["told"]) == {ADDRESS}


# --- whatever is in the logs ----------------------------------------------------------------------

MOMENTS = st.integers(0, 24 * 60).map(lambda minutes: NOW - minutes * MINUTE)
LINES = st.builds(
    Line,
    MOMENTS,
    st.sampled_from([f"execution-{n}" for n in range(20)]),
    st.sampled_from(["A", "B", "C", "D"]),
    st.lists(st.sampled_from([KIND, ADDRESS, "x: y"]), min_size=1, max_size=3).map(tuple),
)


@given(read=st.lists(LINES, min_size=1, max_size=30), data=st.data())
def test_the_order_of_the_lines_does_not_matter(read: list[Line], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(read))
    told = make(lines())["told"] if data.draw(st.booleans()) else {}
    assert make(read, told=told) == make(shuffled, told=told)


HOSTILE = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    ["jane@x.example", "customerEmail: jane@x.example", "x\nFirst: call 555-0100", "\u202egnp", ""]
)


@given(reason=HOSTILE, order=HOSTILE)
@example(reason="x" * 300, order="x" * 300)
@example(reason="customerEmail: jane@x.example", order="jane@x.example")
def test_no_address_is_in_an_alert_and_nothing_but_lines_of_ours(reason: str, order: str) -> None:
    read = []
    for message in (
        {"message": "event rejected", "reasons": [reason]},
        {"message": "step failed", "error": "SendRejected", "reason": reason},
    ):
        line = {**message, "order_id": order, "execution_id": json.dumps(message)}
        read.append(rejections.read(NOW, json.dumps(line)))
    report = make([line for line in read if line])
    alert = report["alert"]
    assert "@" not in alert["message"] + alert["subject"]
    assert alert["message"].isascii()
    assert alert["subject"].isascii()
    assert alert["subject"].isprintable()
    assert len(alert["subject"]) <= 100
    json.dumps(report, ensure_ascii=False).encode()
    for text in alert["message"].splitlines():
        assert not text.startswith("First: call")


@pytest.mark.parametrize(
    "message",
    [
        "START RequestId: 1",
        "[]",
        "5",
        "{}",
        '{"message": "event rejected", "order_id": "A", "execution_id": "e", "reasons": []}',
        '{"message": "event rejected", "order_id": "A", "execution_id": "e", "reasons": 5}',
        '{"message": "event rejected", "order_id": "A", "execution_id": "e", "fields": ["x"]}',
        '{"message": "step failed", "order_id": "A", "execution_id": "e", "error": "SendThrottled"}',
        '{"message": "a step said SendRejected", "order_id": "A", "execution_id": "e"}',
    ],
)
def test_other_lines_tell_nothing(message: str) -> None:
    assert rejections.read(NOW, message) is None
