"""The reconciliation: what is alerted, what is news, what the two counts of mails say of each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict, Unpack

import pytest

from steps.contract import limits
from steps.contract.report_tasks import Unfinished
from steps.reports import reconciliation
from steps.reports.reconciliation import Found, Mails, Scan, found, nothing, united

if TYPE_CHECKING:
    from steps.contract.report_tasks import Gap, Previous

NOW = datetime(2026, 11, 30, 4, 30, 1, tzinfo=UTC)
GAP: Gap = {"Error": "SourceUnavailable", "Cause": '{"errorMessage": "it is away"}'}
EQUAL: Mails = {
    "day": "2026-11-29",
    "ours": 1000,
    "oursAround": 1000,
    "ses": 1000,
    "sesAround": 1000,
}
BEFORE: Previous = {"report": {"until": "2026-11-29T04:30:00Z", "surplus": 0}}
EMPTY: list[Scan | Gap] = [{"found": nothing()}] * limits.SCAN_SEGMENTS


class InputChanges(TypedDict, total=False):
    mails: Mails | Gap
    previous: Previous | Gap
    segments: list[Scan | Gap]


def make_report(**changes: Unpack[InputChanges]) -> reconciliation.Report:
    inputs: reconciliation.Inputs = {
        "mails": changes.get("mails", EQUAL),
        "previous": changes.get("previous", BEFORE),
        "table": {"segments": changes.get("segments", EMPTY)},
    }
    return reconciliation.report(inputs, NOW, command="order-mail reconcile --env dev")


def stuck(
    kind: Unfinished, order: str, since: str, before: str | None = "2026-11-28T00:00:00Z"
) -> Found:
    status = "SENT" if kind is Unfinished.SILENT else "SENDING"
    return found(kind, {"orderId": order, "status": status, "since": since}, known_before=before)


def with_found(*parts: Found) -> list[Scan | Gap]:
    return [{"found": united(parts)}, *EMPTY[1:]]


def test_where_all_is_well_nothing_is_said() -> None:
    report = make_report()
    assert "alert" not in report
    assert report == {
        "date": "2026-11-30",
        "until": "2026-11-30T04:30:01Z",
        "stuck": {},
        "new": {},
        "oldest": [],
        "mails": EQUAL,
        "missing": 0,
        "surplus": 0,
        "gaps": [],
    }


def test_what_is_stuck_is_alerted_with_what_is_new_and_the_command_that_shows_all() -> None:
    report = make_report(
        segments=with_found(
            stuck(Unfinished.SILENT, "B", "2026-11-27T10:00:00Z"),
            stuck(Unfinished.SILENT, "C", "2026-11-28T10:00:00Z"),
            stuck(Unfinished.UNSETTLED, "A", "2026-11-26T10:00:00Z"),
        )
    )
    assert report["stuck"] == {"silent": 2, "unsettled": 1}
    assert report["new"] == {"silent": 1}
    assert report["alert"] == {
        "subject": "Order mails: 1 unsettled, 2 silent",
        "message": """\
- 1 is CLAIMED or SENDING for too long: nobody knows whether SES has the mail; 0 new since 2026-11-29T04:30:00Z
- 2 are SENT for more than 20 hours, without a word from SES; 1 new since 2026-11-29T04:30:00Z

The oldest:
  A  SENDING since 2026-11-26T10:00:00Z
  B  SENT since 2026-11-27T10:00:00Z
  C  SENT since 2026-11-28T10:00:00Z

All of them:
  order-mail reconcile --env dev

First, unsettled: the order's execution and log, and whether its message still waits on the queue.
First, silent: email-internal-dlq and the log of email-feedback: SES's events may not arrive.""",
    }


def test_an_unchanged_list_is_alerted_again_and_nothing_of_it_is_new() -> None:
    old = with_found(stuck(Unfinished.SILENT, "B", "2026-11-28T00:00:00Z"))
    assert "; 0 new since" in make_report(segments=old)["alert"]["message"]


def test_before_the_first_report_all_is_new() -> None:
    first = make_report(
        previous={"report": {}},
        segments=with_found(stuck(Unfinished.SILENT, "B", "2026-11-27T10:00:00Z", before=None)),
    )
    assert first["new"] == {"silent": 1}
    assert "; 1 new\n" in first["alert"]["message"]


def test_the_oldest_ten_are_named_whatever_there_is() -> None:
    many = [
        stuck(Unfinished.SILENT, f"O{n}", f"2026-11-27T10:00:{n:02}Z") for n in range(59, -1, -1)
    ]
    report = make_report(segments=with_found(*many))
    assert [r["orderId"] for r in report["oldest"]] == [f"O{n}" for n in range(10)]
    assert report["stuck"] == {"silent": 60}


@pytest.mark.parametrize(
    "lacking", [EMPTY[1:], [GAP, *EMPTY[1:]], [], reconciliation.unread()["segments"]]
)
def test_a_part_of_the_table_that_was_not_read_is_alerted(lacking: list[Scan | Gap]) -> None:
    report = make_report(segments=lacking)
    assert report["alert"]["subject"] == "Order mails: reconciliation incomplete"
    assert "INCOMPLETE" in report["alert"]["message"]
    missing = 8 - len([part for part in lacking if "Error" not in part and "start" not in part])
    assert f"{missing} of the tracking table's 8 segments: not read" in report["gaps"]
    assert ("the tracking table: it is away" in report["gaps"]) == (GAP in lacking)
    assert report["until"] == "2026-11-29T04:30:00Z", "what was not seen is new the next time"
    assert report["surplus"] is None


def mails(ours: int, ses: int | None, around: int = 0) -> Mails:
    ses_around = None if ses is None else ses + around
    return {
        "day": "2026-11-29",
        "ours": ours,
        "oursAround": ours + around,
        "ses": ses,
        "sesAround": ses_around,
    }


def test_more_of_ours_than_ses_knows_of_is_always_wrong() -> None:
    report = make_report(mails=mails(1000, 990))
    assert report["missing"] == 10
    assert report["alert"]["subject"] == "Order mails: 10 not known to SES"
    assert (
        "SES knows of 10 fewer mails on 2026-11-29 than we have counted (1,000)"
        in (report["alert"]["message"])
    )


def test_what_lies_around_midnight_is_held_against_nobody() -> None:
    assert "alert" not in make_report(mails=mails(1000, 990, around=10))
    assert make_report(mails=mails(1000, 990, around=9))["missing"] == 1
    assert make_report(mails=mails(990, 1000, around=10))["surplus"] == 0
    assert make_report(mails=mails(990, 1000, around=9))["surplus"] == 1


def test_more_of_ses_s_than_ours_is_news_once_and_said_whenever_there_is_an_alert() -> None:
    first = make_report(mails=mails(990, 1000))
    assert first["alert"]["subject"] == "Order mails: 10 that only SES has counted"
    assert "others send from this account" in first["alert"]["message"]
    goes_on: Previous = {"report": {"until": "2026-11-29T04:30:00Z", "surplus": 3}}
    assert "alert" not in make_report(mails=mails(990, 1000), previous=goes_on)
    again = make_report(
        mails=mails(990, 1000),
        previous=goes_on,
        segments=with_found(stuck(Unfinished.SILENT, "B", "2026-11-27T10:00:00Z")),
    )
    assert again["alert"]["subject"] == "Order mails: 1 silent"
    assert "SES has counted 10 more mails" in again["alert"]["message"]


def test_the_canaries_may_be_in_ses_s_count_or_not() -> None:
    canaries = with_found(nothing() | {"canaries": 24})
    assert make_report(mails=mails(1000, 1024), segments=canaries)["surplus"] == 0
    assert make_report(mails=mails(1000, 1025), segments=canaries)["surplus"] == 1
    without = make_report(mails=mails(1000, 1000), segments=canaries)
    assert (without["surplus"], without["missing"]) == (0, 0)


def test_a_count_that_ses_does_not_have_is_a_gap_and_judged_by_nobody() -> None:
    report = make_report(mails=mails(5, None))
    assert report["gaps"] == ["SES's own count of 2026-11-29: there is none"]
    assert (report["missing"], report["surplus"]) == (None, None)
    assert "alert" not in report
    assert make_report(mails=mails(0, None))["gaps"] == []


@pytest.mark.parametrize("source", ["mails", "previous"])
def test_a_source_that_does_not_answer_is_a_gap(source: str) -> None:
    changes: InputChanges = {source: GAP}  # type: ignore[misc]
    report = make_report(**changes)
    assert any("it is away" in gap for gap in report["gaps"])
    assert "alert" not in report


def test_a_gap_is_told_in_the_alert() -> None:
    report = make_report(
        mails=GAP, segments=with_found(stuck(Unfinished.SILENT, "B", "2026-11-27T10:00:00Z"))
    )
    assert report["alert"]["message"].endswith(
        "\n\nNot known:\n  how many mails were counted: it is away"
    )


def test_the_day_is_the_last_complete_one_and_counts_by_the_start_of_a_period() -> None:
    first, end = reconciliation.day_before(NOW)
    assert first == datetime(2026, 11, 28, 23, 45, tzinfo=UTC)
    assert end == datetime(2026, 11, 30, 0, 15, tzinfo=UTC)
    midnight = datetime(2026, 11, 29, tzinfo=UTC)
    minutes = timedelta(minutes=5)
    counts = {midnight - minutes: 1.0, midnight: 2.0, midnight + timedelta(days=1): 8.0}
    counts |= {midnight + timedelta(days=1) - minutes: 4.0}
    assert reconciliation.measure(counts, {midnight: 1.0}, NOW) == {
        "day": "2026-11-29",
        "ours": 6,
        "oursAround": 15,
        "ses": 1,
        "sesAround": 1,
    }
    assert reconciliation.measure({}, {}, NOW)["ses"] is None


def test_a_subject_is_one_that_sns_takes_whatever_the_figures() -> None:
    most = 900_000_000
    parts = stuck(Unfinished.SILENT, "B", "2026-11-27T10:00:00Z")
    parts["stuck"] = dict.fromkeys(Unfinished, most)
    report = make_report(mails=mails(most, 0), segments=[{"found": parts}, GAP])
    subject = report["alert"]["subject"]
    assert len(subject) <= 100
    assert subject.isascii()
    assert subject.startswith(
        "Order mails: reconciliation incomplete, 900,000,000 unsettled, 900,000,000 silent"
    )
