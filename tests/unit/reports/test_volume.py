"""Far more mails than usual are seen within the hour; a good day, a sale and a small shop are left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.reports import volume

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
PERIOD = timedelta(minutes=5)


def week(an_hour: float, last_hour: float) -> dict[datetime, float]:
    """Return seven days of five-minute counts."""
    return {
        NOW - volume.OVERLAP - n * PERIOD: (last_hour if n < 12 else an_hour) / 12
        for n in range(7 * 24 * 12)
    }


@pytest.mark.parametrize(
    ("an_hour", "last_hour", "high"),
    [
        (84, 84, False),
        (84, 4 * 84, False),
        (84, 516, True),
        (0, 480, False),
        (0, 516, True),
        (12_000, 36_000, False),
        (12_000, 50_400, True),
    ],
    ids=[
        "2,000 a day as ever",
        "a sale of a small shop",
        "a loop in a small shop",
        "the first hour of a small shop",
        "a new shop's import",
        "a sale of a large shop",
        "SES's full rate in a large shop",
    ],
)
def test_what_is_far_more_than_usual(an_hour: float, last_hour: float, *, high: bool) -> None:
    measured = volume.measure(week(an_hour, last_hour), NOW)
    assert measured == {"lastHour": last_hour, "busiestHour": an_hour}
    assert volume.is_high(measured) is high


def test_a_busy_hour_counts_wherever_its_periods_lie() -> None:
    sent = {NOW - volume.OVERLAP - timedelta(hours=30) + n * PERIOD: 100.0 for n in range(1, 13)}
    assert volume.measure(sent, NOW) == {"lastHour": 0, "busiestHour": 1200}


@given(
    late=st.lists(st.integers(0, 60), min_size=3, max_size=3),
    start=st.integers(0, 60 * 60),
    delay=st.integers(0, 4 * 60),
)
def test_no_period_falls_between_two_checks(late: list[int], start: int, delay: int) -> None:
    """Checks come hourly, a little late each; a period is heard of when it is over, and a little later."""
    checks = [NOW + n * timedelta(hours=1) + timedelta(seconds=s) for n, s in enumerate(late)]
    period = NOW + timedelta(seconds=start // 300 * 300)
    heard = period + PERIOD + timedelta(seconds=delay)
    known = [{period: 5000.0} if check >= heard else {} for check in checks]
    assert any(
        volume.measure(sent, check)["lastHour"] == 5000
        for sent, check in zip(known, checks, strict=True)
    )


def test_without_any_count_nothing_is_high() -> None:
    assert not volume.is_high(volume.measure({}, NOW))


def test_the_sentence_has_the_figures_and_the_first_step() -> None:
    sentence = volume.described({"lastHour": 50_000, "busiestHour": 300})
    assert "50,000 mails" in sentence
    assert "had 300" in sentence
    assert "pause" in sentence
