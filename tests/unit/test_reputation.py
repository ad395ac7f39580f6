from __future__ import annotations

from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.reports import reputation
from steps.reports.reputation import CRITICAL, OK, TOO_FEW, WARN, at_least, judge

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


def test_no_events_or_no_mails_show_nothing() -> None:
    assert at_least(0, 100) == at_least(0, 0) == 0


@pytest.mark.parametrize(
    ("seen", "verdict"),
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
def test_verdicts(seen: reputation.Window, verdict: str) -> None:
    found, reasons = judge({"24 h": seen})
    assert found == verdict
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


counts = st.integers(0, 100_000_000)


@given(sent=counts, bounced=counts, complained=counts, more=st.integers(0, 1000))
def test_more_bounces_or_complaints_are_never_better(
    sent: int, bounced: int, complained: int, more: int
) -> None:
    now, _ = judge({"w": window(sent, bounced, complained)})
    for worse in (
        window(sent, bounced + more, complained),
        window(sent, bounced, complained + more),
    ):
        assert SEVERITY.index(judge({"w": worse})[0]) >= SEVERITY.index(now)


@given(sent=st.integers(0, reputation.MIN_SENT - 1), bounced=counts, complained=counts)
def test_below_the_minimum_volume_nothing_is_critical(
    sent: int, bounced: int, complained: int
) -> None:
    assert judge({"24 h": window(sent, bounced, complained)})[0] == TOO_FEW


@given(events=counts, mails=counts)
def test_the_bound_is_a_rate_and_never_above_the_observed_one(events: int, mails: int) -> None:
    bound = at_least(events, mails)
    assert 0 <= bound <= (min(events / mails, 1) if mails else 0)


HEALTHY = {
    "enforcementStatus": "HEALTHY",
    "sendingEnabled": True,
    "quotaUsed": 0.1,
    "bounceRate": 0.01,
    "complaintRate": 0.0,
}


def report(
    bounced: int = 0,
    sent: int = 40,
    *,
    before: str | None = None,
    pause: bool = False,
    **other: Any,
) -> reputation.Report:
    windows = {"24 h": window(sent, bounced), "7 d": window(sent, bounced)}
    found: dict[str, Any] = {
        "mails": {"windows": windows},
        "account": HEALTHY,
        "previous": {"report": {"verdict": before} if before else {}},
    }
    return reputation.report(
        found | other,  # type: ignore[arg-type]
        hour="2026-11-24T12",
        dashboard="https://x",
        configuration_set="mails",
        auto_pause=pause,
    )


def test_a_change_is_alerted_and_sameness_is_not() -> None:
    assert "alert" not in report(0)
    first = report(8)
    assert first["alert"]["subject"] == "Order mails: sending reputation CRITICAL, it was OK"
    assert "8 bounces in 40 mails" in first["alert"]["message"]
    assert (
        "aws sesv2 put-configuration-set-sending-options --configuration-set-name mails "
        "--sending-enabled" in first["alert"]["message"]
    )
    assert "alert" not in report(8, before=CRITICAL)
    assert "it was CRITICAL" in report(0, before=CRITICAL)["alert"]["subject"]
    assert "alert" not in report(0, sent=3, before=OK)
    assert "alert" not in report(0, before=TOO_FEW)


def test_pausing_is_asked_for_only_if_allowed_and_critical_and_once() -> None:
    assert report(8, pause=True)["pause"]
    assert "pause" not in report(8)
    assert "pause" not in report(6, pause=True)
    assert "pause" not in report(8, pause=True, before=CRITICAL), "a lifted pause stays lifted"


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        ({"enforcementStatus": "PROBATION"}, "PROBATION"),
        ({"sendingEnabled": False}, "whole account"),
        ({"quotaUsed": 0.9}, "90% of the 24 hour quota"),
    ],
)
def test_the_account_s_own_state_warns(account: dict[str, Any], reason: str) -> None:
    made = report(0, account=HEALTHY | account)
    assert made["verdict"] == WARN
    assert reason in made["reasons"][0]


@pytest.mark.parametrize("source", ["mails", "account", "previous"])
def test_a_missing_source_is_named(source: str) -> None:
    missing: dict[str, Any] = {
        source: {"Error": "SourceUnavailable", "Cause": "CloudWatch is away"}
    }
    made = report(8, **missing)
    assert any("CloudWatch is away" in gap for gap in made["gaps"])
    assert made["verdict"] == (TOO_FEW if source == "mails" else CRITICAL)


def test_metrics_that_do_not_exist_yet_are_named() -> None:
    made = report(0, account=HEALTHY | {"bounceRate": None})
    assert made["gaps"] == ["SES's own reputation metrics: there are none yet"]
