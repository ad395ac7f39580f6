"""The sending reputation: when a rate is more than chance, and what is alerted."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.reports import reputation
from steps.reports.reputation import CRITICAL, OK, TOO_FEW, WARN, at_least, judge

if TYPE_CHECKING:
    from steps.contract.report_tasks import Gap, Previous
    from steps.reports.volume import Volume

SEVERITY = [TOO_FEW, OK, WARN, CRITICAL]


def window(sent: int, bounced: int = 0, complained: int = 0) -> reputation.Window:
    return {"sent": sent, "bounced": bounced, "complained": complained}


@pytest.mark.parametrize(("events", "mails"), [(3, 20), (8, 40), (50, 1000), (5, 1000), (30, 60)])
def test_the_bound_is_where_chance_explains_about_one_case_in_twenty(
    events: int, mails: int
) -> None:
    bound = at_least(events, mails)
    exact = sum(
        comb(mails, k) * bound**k * (1 - bound) ** (mails - k) for k in range(events, mails + 1)
    )
    assert 0.03 < exact < 0.07


def test_without_events_or_mails_the_bound_is_zero() -> None:
    assert at_least(0, 100) == at_least(0, 0) == 0


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        (window(0), TOO_FEW),
        (window(20, bounced=3), TOO_FEW),
        (window(29, bounced=29), TOO_FEW),
        (window(100), OK),
        (window(100, bounced=5), OK),  # 5%, but it may as well be 2%
        (window(40, bounced=6), WARN),
        (window(40, bounced=8), CRITICAL),
        (window(10_000, bounced=560), WARN),
        (window(10_000, bounced=1100), CRITICAL),
        (window(1000, complained=2), OK),  # two people
        (window(1000, complained=5), WARN),
        (window(1000, complained=12), CRITICAL),
    ],
)
def test_a_window_is_judged_by_its_counts(counts: reputation.Window, verdict: str) -> None:
    judged, reasons = judge({"24 h": counts})
    assert judged == verdict
    assert bool(reasons) == (verdict != OK)


def test_the_worst_window_counts() -> None:
    verdict, reasons = judge({"24 h": window(40, bounced=8), "7 d": window(10_000, bounced=8)})
    assert verdict == CRITICAL
    assert reasons == [
        (
            "8 bounces in 40 mails of the last 24 h: "
            "a bounce rate of 10.71% or more, from 10.0% on it is CRITICAL"
        )
    ]
    assert judge({"24 h": window(3), "7 d": window(500)})[0] == OK


COUNTS = st.integers(0, 100_000_000)


@given(sent=COUNTS, bounced=COUNTS, complained=COUNTS, more=st.integers(0, 1000))
def test_more_bounces_or_complaints_are_never_better(
    sent: int, bounced: int, complained: int, more: int
) -> None:
    now, _ = judge({"w": window(sent, bounced, complained)})
    for worse in (
        window(sent, bounced + more, complained),
        window(sent, bounced, complained + more),
    ):
        assert SEVERITY.index(judge({"w": worse})[0]) >= SEVERITY.index(now)


@given(sent=st.integers(0, reputation.MIN_SENT - 1), bounced=COUNTS, complained=COUNTS)
def test_below_the_minimum_volume_nothing_is_critical(
    sent: int, bounced: int, complained: int
) -> None:
    assert judge({"24 h": window(sent, bounced, complained)})[0] == TOO_FEW


@given(events=COUNTS, mails=COUNTS)
def test_the_bound_is_a_rate_and_never_above_the_observed_one(events: int, mails: int) -> None:
    bound = at_least(events, mails)
    assert 0 <= bound <= (min(events / mails, 1) if mails else 0)


HEALTHY: reputation.AccountState = {
    "enforcementStatus": "HEALTHY",
    "sendingEnabled": True,
    "quotaUsed": 0.1,
    "bounceRate": 0.06,
    "complaintRate": 0.0,
}
"""The account of one whose bounce rate SES would review."""


USUAL: Volume = {"lastHour": 80, "busiestHour": 100}
RUNAWAY: Volume = {"lastHour": 50_000, "busiestHour": 100}


class InputChanges(TypedDict, total=False):
    """What some of the sources gave instead."""

    mails: reputation.Windows | Gap
    account: reputation.AccountState | Gap
    previous: Previous | Gap


def make_report(
    bounced: int = 0,
    sent: int = 40,
    *,
    before: str | None = None,
    asked: bool | None = None,
    pause: bool = False,
    counted: Volume = USUAL,
    counted_before: Volume = USUAL,
    **changes: Unpack[InputChanges],
) -> reputation.Report:
    windows = {"24 h": window(sent, bounced), "7 d": window(sent, bounced)}
    inputs: reputation.Inputs = {
        "mails": {"windows": windows, "volume": counted},
        "account": HEALTHY,
        "previous": {
            "report": {"volume": counted_before}
            | ({"verdict": before} if before else {})
            | ({"pauseAsked": asked} if asked is not None else {})
        },
        **changes,
    }
    return reputation.report(
        inputs,
        hour="2026-11-24T12",
        dashboard="https://x",
        configuration_set="mails",
        auto_pause=pause,
    )


def test_a_verdict_is_alerted_when_it_changes_and_not_while_it_lasts() -> None:
    assert "alert" not in make_report(0)
    first = make_report(8)
    assert first["alert"]["subject"] == "Order mails: sending reputation CRITICAL, it was OK"
    assert "8 bounces in 40 mails" in first["alert"]["message"]
    assert (
        "aws sesv2 put-configuration-set-sending-options --configuration-set-name mails "
        "--sending-enabled" in first["alert"]["message"]
    )
    assert "alert" not in make_report(8, before=CRITICAL)
    assert "it was CRITICAL" in make_report(0, before=CRITICAL)["alert"]["subject"]
    assert "alert" not in make_report(0, sent=3, before=OK)
    assert "alert" not in make_report(0, before=TOO_FEW)


def test_a_runaway_publisher_is_alerted_once_with_the_command_that_pauses() -> None:
    report = make_report(counted=RUNAWAY, before=OK)
    assert report["alert"]["subject"] == "Order mails: 50,000 in an hour, far more than usual"
    assert "Most often something publishes orders again" in report["alert"]["message"]
    assert "--no-sending-enabled" in report["alert"]["message"]
    assert "pause" not in make_report(counted=RUNAWAY, pause=True)
    assert "alert" not in make_report(counted=RUNAWAY, counted_before=RUNAWAY)
    assert "alert" in make_report(counted=RUNAWAY, previous={"report": {}})


def test_a_report_with_two_pieces_of_news_has_one_message() -> None:
    alert = make_report(8, counted=RUNAWAY)["alert"]
    assert alert["subject"] == "Order mails: sending reputation CRITICAL, it was OK"
    assert "8 bounces in 40 mails" in alert["message"]
    assert "50,000 mails went out in the last hour" in alert["message"]


def account(**changes: object) -> reputation.AccountState:
    return cast("reputation.AccountState", HEALTHY | changes)


@pytest.mark.parametrize(
    ("answer", "said", "paused"),
    [
        (account(bounceRate=0.05), "of 5.00% agrees (it would from 5.0% on)", True),
        (account(bounceRate=0.0499), "of 4.99% does not agree", False),
        (account(bounceRate=0.0, complaintRate=0.5), "bounce rate of 0.00% does not agree", False),
        (account(bounceRate=None), "bounce rate is not known", False),
        ({"Error": "SourceUnavailable", "Cause": "x"}, "bounce rate is not known", False),
    ],
)
def test_our_own_figures_alert_and_only_with_ses_s_own_rate_they_pause(
    answer: reputation.AccountState | Gap, said: str, *, paused: bool
) -> None:
    report = make_report(8, pause=True, account=answer)
    assert report["verdict"] == CRITICAL
    assert said in report["alert"]["message"]
    assert ("pause" in report, report["pauseAsked"]) == (paused, paused)


def test_complaints_are_held_against_ses_s_own_complaint_rate() -> None:
    mails: reputation.Windows = {
        "windows": {"24 h": window(1000, complained=12)},
        "volume": USUAL,
    }
    for rate, paused in ((0.001, True), (0.0009, False)):
        answer = account(bounceRate=0.2, complaintRate=rate)
        assert ("pause" in make_report(pause=True, mails=mails, account=answer)) is paused


def test_a_pause_waits_for_ses_and_is_then_asked_for_once() -> None:
    agreeing = make_report(8, pause=True, before=CRITICAL, asked=False)
    assert agreeing["pause"]
    assert agreeing["alert"]["subject"].endswith("CRITICAL, and SES's own rate agrees by now")
    assert agreeing["pauseAsked"]
    later = make_report(8, pause=True, before=CRITICAL, asked=True)
    assert "pause" not in later
    assert "alert" not in later
    assert later["pauseAsked"]
    assert not make_report(0, pause=True, before=CRITICAL, asked=True)["pauseAsked"]
    assert make_report(8, pause=True, before=WARN, asked=False)["pause"]


def test_a_pause_is_asked_for_once_and_only_if_allowed_and_critical() -> None:
    assert make_report(8, pause=True)["pause"]
    assert "pause" not in make_report(8)
    assert "pause" not in make_report(6, pause=True)
    assert "pause" not in make_report(8, pause=True, before=CRITICAL), "a lifted pause stays lifted"


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        ({**HEALTHY, "enforcementStatus": "PROBATION"}, "PROBATION"),
        ({**HEALTHY, "sendingEnabled": False}, "whole account"),
        ({**HEALTHY, "quotaUsed": 0.9}, "90% of the 24 hour quota"),
    ],
)
def test_the_account_s_own_state_is_a_warning(
    account: reputation.AccountState, reason: str
) -> None:
    report = make_report(0, account=account)
    assert report["verdict"] == WARN
    assert reason in report["reasons"][0]


@pytest.mark.parametrize("source", ["mails", "account", "previous"])
def test_a_missing_source_is_named(source: str) -> None:
    missing: Gap = {"Error": "SourceUnavailable", "Cause": "CloudWatch is away"}
    report = make_report(8, **cast("InputChanges", {source: missing}))
    assert any("CloudWatch is away" in gap for gap in report["gaps"])
    assert report["verdict"] == (TOO_FEW if source == "mails" else CRITICAL)


def test_metrics_that_do_not_exist_yet_are_named() -> None:
    report = make_report(0, account={**HEALTHY, "bounceRate": None})
    assert report["gaps"] == ["SES's own reputation metrics: there are none yet"]
