"""All dispatchers share one line of sending slots, and none waits in it longer than it lives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.aws.pace import MARGIN, SANDBOX_RATE, Pace
from steps.aws.ses import SendingAccount
from steps.contract import errors, limits
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import TABLE


@pytest.mark.usefixtures("in_memory_aws")
def test_the_batches_of_all_dispatchers_follow_each_other_at_the_rate() -> None:
    clock = Clock()
    interval = 1 / (10 * MARGIN)
    one_dispatcher, another = Pace(TABLE.name, clock), Pace(TABLE.name, clock)
    first_batch, second_batch = one_dispatcher.reserve(10, 10), another.reserve(10, 10)
    assert first_batch is not None
    assert second_batch is not None
    slots = first_batch + second_batch
    assert slots[0] == NOW
    gaps = [later - earlier for earlier, later in pairwise(slots)]
    assert gaps == pytest.approx([interval] * 19, abs=0.002)
    clock.sleep(60)
    assert one_dispatcher.reserve(1, 10) == [NOW + 60], "unused time is not saved up"


@pytest.mark.usefixtures("in_memory_aws")
def test_a_line_longer_than_a_dispatcher_can_wait_is_refused() -> None:
    pace = Pace(TABLE.name, Clock())
    reserved = [pace.reserve(10, 1) for _ in range(8)]
    accepted = [slots for slots in reserved if slots]
    assert [bool(slots) for slots in reserved] == [True] * 5 + [False] * 3
    assert accepted[-1][-1] < NOW + limits.PACING_BUDGET


class EmptyLine(Pace):
    """Reserves at once, without a table."""

    def reserve_span(self, _span: int, *, now: int, latest: int) -> int | None:
        return min(now, latest)


@given(st.integers(1, 10), st.floats(0.5, 1000))
def test_slots_never_exceed_the_permitted_rate(mails: int, rate: float) -> None:
    slots = EmptyLine(TABLE.name).reserve(mails, rate)
    assert slots is not None
    if mails > 1:
        assert (mails - 1) / (slots[-1] - slots[0]) <= rate


def test_the_account_is_asked_again_when_its_last_answer_is_old() -> None:
    answers: list[SendingAccount | Exception] = [
        errors.SesUnavailable("x"),
        SendingAccount(rate=14, quota_left=5, enabled=True),
        errors.SesUnavailable("x"),
    ]

    def ask() -> SendingAccount:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = Clock()
    pace = Pace(TABLE.name, clock, ask)
    assert pace.account().rate == SANDBOX_RATE
    clock.sleep(limits.ACCOUNT_RETRY)
    assert pace.account().rate == 14
    assert pace.account().rate == 14, "without asking"
    clock.sleep(limits.ACCOUNT_CACHE)
    assert pace.account().rate == 14, "the last answer goes on to count"
    assert answers == []


@pytest.mark.parametrize(
    "stopped",
    [
        SendingAccount(rate=14, quota_left=5, enabled=False),
        SendingAccount(rate=14, quota_left=0, enabled=True),
    ],
)
def test_an_account_that_does_not_send_is_asked_again_soon(stopped: SendingAccount) -> None:
    sends = SendingAccount(rate=14, quota_left=5, enabled=True)
    answers = iter([stopped, sends])
    clock = Clock()
    pace = Pace(TABLE.name, clock, lambda: next(answers))
    assert pace.account() == stopped
    clock.sleep(limits.ACCOUNT_RETRY)
    assert pace.account() == sends


def test_while_the_table_does_not_answer_mails_are_not_held_up() -> None:
    class NoTable(Pace):
        def reserve_span(self, _span: int, *, now: int, latest: int) -> int | None:
            raise errors.LedgerUnavailable(f"{now} {latest}")

    slots = NoTable(TABLE.name, Clock()).reserve(3, 1000)
    assert slots is not None
    assert slots[0] == NOW
