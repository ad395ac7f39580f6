"""All dispatchers share one line of sending slots, and none waits in it longer than it lives."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps import aws, errors, limits, pace

NOW = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [NOW]
    monkeypatch.setattr(pace, "time", SimpleNamespace(time=lambda: now[0]))
    monkeypatch.setattr(pace, "_known", pace._Known())
    return now


@pytest.mark.usefixtures("aws_world")
def test_batches_of_all_dispatchers_follow_each_other_at_the_rate(clock: list[float]) -> None:
    interval = 1 / (10 * pace.MARGIN)
    first, second = pace.reserve(10, 10), pace.reserve(10, 10)
    assert first is not None
    assert second is not None
    line = first + second
    assert line[0] == NOW
    gaps = [b - a for a, b in pairwise(line)]
    assert gaps == pytest.approx([interval] * 19, abs=0.002)
    clock[0] = NOW + 60
    assert pace.reserve(1, 10) == [NOW + 60], "unused time is not saved up"


@pytest.mark.usefixtures("aws_world", "clock")
def test_a_line_longer_than_a_dispatcher_can_wait_is_refused() -> None:
    reserved = [pace.reserve(10, 1) for _ in range(8)]
    accepted = [slots for slots in reserved if slots]
    assert [bool(slots) for slots in reserved] == [True] * 5 + [False] * 3
    assert accepted[-1][-1] < NOW + limits.PACING_BUDGET


@given(st.integers(1, 10), st.floats(0.5, 1000))
def test_slots_never_exceed_the_permitted_rate(mails: int, rate: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "reserve_slots", lambda _span, *, now, latest: min(now, latest))
        slots = pace.reserve(mails, rate)
    assert slots is not None
    if mails > 1:
        assert (mails - 1) / (slots[-1] - slots[0]) <= rate


def test_the_account_is_asked_now_and_then(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[aws.SendingAccount | Exception] = [
        errors.SesUnavailable("x"),
        aws.SendingAccount(rate=14, quota_left=5, enabled=True),
        errors.SesUnavailable("x"),
    ]

    def ask() -> aws.SendingAccount:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(aws, "sending_account", ask)
    assert pace.account().rate == pace.SANDBOX_RATE
    clock[0] += limits.ACCOUNT_RETRY
    assert pace.account().rate == 14
    assert pace.account().rate == 14, "without asking"
    clock[0] += limits.ACCOUNT_CACHE
    assert pace.account().rate == 14, "the last answer goes on to count"
    assert answers == []


@pytest.mark.parametrize(
    "stopped",
    [
        aws.SendingAccount(rate=14, quota_left=5, enabled=False),
        aws.SendingAccount(rate=14, quota_left=0, enabled=True),
    ],
)
def test_an_account_that_does_not_send_is_asked_again_soon(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, stopped: aws.SendingAccount
) -> None:
    sends = aws.SendingAccount(rate=14, quota_left=5, enabled=True)
    answers = iter([stopped, sends])
    monkeypatch.setattr(aws, "sending_account", lambda: next(answers))
    assert pace.account() == stopped
    clock[0] += limits.ACCOUNT_RETRY
    assert pace.account() == sends


@pytest.mark.usefixtures("clock")
def test_without_a_table_mails_are_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise errors.LedgerUnavailable("x")

    monkeypatch.setattr(aws, "reserve_slots", fail)
    slots = pace.reserve(3, 1000)
    assert slots is not None
    assert slots[0] == NOW
