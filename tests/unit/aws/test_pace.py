"""All dispatchers share one line of sending slots and what SES told one of them."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

import steps.aws.pace
from steps.aws.pace import MARGIN, Answer, Inside, Outside, Pace
from steps.aws.ses import SendingAccount, sending_account
from steps.contract import errors, limits
from tests.support.clock import NOW, Clock
from tests.support.in_memory_aws import TABLE, tracking_table
from tests.support.pace_in_memory import PaceInMemory, PaceItem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


ACCOUNT = SendingAccount(rate=14, quota_left=5, enabled=True)
TICK = 0.002
"""Seconds; the line is kept in whole milliseconds."""


class Ses:
    """Answers GetAccount as told, once a second at most, and counts how often it was asked."""

    def __init__(self, clock: Clock, account: SendingAccount = ACCOUNT) -> None:
        self.clock, self.account = clock, account
        self.asked: list[float] = []
        self.works = True

    def __call__(self) -> SendingAccount:
        self.asked.append(self.clock.now)
        if not self.works or self.clock.now - max(self.asked[:-1], default=0) < 1:
            raise errors.SesUnavailable("throttled")
        return self.account


def dispatchers(
    clock: Clock, ses: Callable[[], SendingAccount], count: int = 5
) -> list[PaceInMemory]:
    """Return so many cold dispatchers' views of one item, which was used a moment ago."""
    item = warm_item()
    return [PaceInMemory("", clock, ses, clock.sleep, item=item) for _ in range(count)]


def warm_item(clock: Clock | None = None) -> PaceItem:
    return PaceItem(clock, {"freeFrom": round(NOW * 1000) - 1000})


# --- the line -------------------------------------------------------------------------------------


@pytest.fixture(params=["table", "memory"])
def two(request: pytest.FixtureRequest) -> tuple[Clock, Pace, Pace]:
    """Give a clock and two dispatchers, in front of moto's table and of the item in memory."""
    if request.param == "table":
        request.getfixturevalue("in_memory_aws")
        # moto's table tells the real time.
        clock = Clock(time.time())
        moment: Any = {"notificationId": "pace", "freeFrom": round(clock.now * 1000) - 1000}
        tracking_table().put_item(Item=moment)
        return clock, Pace(TABLE.name, clock, dispatchers=5), Pace(TABLE.name, clock, dispatchers=5)
    clock = Clock()
    one, another = dispatchers(clock, Ses(clock), 2)
    return clock, one, another


def test_the_batches_of_all_dispatchers_follow_each_other_at_the_rate(
    two: tuple[Clock, Pace, Pace],
) -> None:
    clock, one_dispatcher, another = two
    start = clock.now
    first_batch, second_batch = one_dispatcher.reserve(10, 10), another.reserve(10, 10)
    assert first_batch is not None
    assert second_batch is not None
    slots = first_batch + second_batch
    assert slots[0] == pytest.approx(start, abs=TICK)
    gaps = [later - earlier for earlier, later in pairwise(slots)]
    assert gaps == pytest.approx([1 / (10 * MARGIN)] * 19, abs=TICK)


def test_unused_time_is_not_saved_up_except_for_a_moment() -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock), 1)
    pace.reserve(10, 10 / MARGIN)
    clock.sleep(1 + limits.PACING_BURST - 0.1)
    assert pace.reserve(1, 10 / MARGIN) == [NOW + 1]
    clock.sleep(1)
    assert pace.reserve(1, 10 / MARGIN) == [clock.now]


def test_a_line_longer_than_a_dispatcher_can_wait_is_refused(two: tuple[Clock, Pace, Pace]) -> None:
    clock, pace, _ = two
    reserved = [pace.reserve(10, 1) for _ in range(8)]
    accepted = [slots for slots in reserved if slots]
    assert [bool(slots) for slots in reserved] == [True] * 5 + [False] * 3
    assert accepted[-1][-1] < clock.now + limits.PACING_BUDGET


def test_to_be_refused_costs_one_write() -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock), 1)
    while pace.reserve(10, 1):
        pass
    writes = pace.item.writes
    assert pace.reserve(10, 1) is None
    assert pace.item.writes == writes + 1


@pytest.mark.parametrize("item", [{}, {"freeFrom": round(NOW - limits.PACING_IDLE) * 1000}])
@pytest.mark.parametrize(("rate", "alone"), [(1, limits.PACING_COLD_START), (10, 1)])
def test_after_an_idle_spell_the_first_mail_goes_alone(
    item: dict[str, int], rate: int, alone: float
) -> None:
    clock = Clock()
    one, another = dispatchers(clock, Ses(clock), 2)
    one.item.attributes = dict(item)
    another.account(10)
    first, second = one.reserve(3, rate / MARGIN), another.reserve(2, rate / MARGIN)
    warm = NOW + alone
    assert first == pytest.approx([NOW, warm + 1 / rate, warm + 2 / rate], abs=TICK)
    assert second == pytest.approx([warm + 3 / rate, warm + 4 / rate], abs=TICK)


def test_a_spell_that_was_short_costs_no_time_and_no_write() -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock), 1)
    pace.item.attributes = {"freeFrom": round(NOW - limits.PACING_IDLE) * 1000 + 1}
    pace.account(10)
    before = pace.item.writes
    assert pace.reserve(2, 10 / MARGIN) == [NOW, NOW + 0.1]
    assert pace.item.writes == before + 1


@given(st.integers(1, 10), st.floats(0.5, 1000))
def test_slots_never_exceed_the_permitted_rate(mails: int, rate: float) -> None:
    slots = PaceInMemory(clock=Clock(), item=warm_item()).reserve(mails, rate)
    assert slots is not None
    if mails > 1:
        assert (mails - 1) / (slots[-1] - slots[0]) <= rate


class NoTable(PaceInMemory):
    def update(
        self, changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
    ) -> Answer:
        raise errors.LedgerUnavailable(f"{changes} {when} {moved}")


def test_while_the_table_does_not_answer_mails_are_not_held_up() -> None:
    slots = NoTable(clock=Clock()).reserve(3, 1000)
    assert slots is not None
    assert slots[0] == NOW


# --- what SES permits -----------------------------------------------------------------------------


def test_of_five_cold_dispatchers_one_asks_and_all_know() -> None:
    clock = Clock()
    ses = Ses(clock)
    assert [pace.account(10) for pace in dispatchers(clock, ses)] == [ACCOUNT] * 5
    assert ses.asked == [NOW]
    assert clock.now == NOW


def test_a_dispatcher_waits_for_the_answer_that_another_asks_for() -> None:
    clock = Clock()
    ses = Ses(clock)
    waiting, asking = dispatchers(clock, ses, 2)
    waiting.item.attributes["askFrom"] = round((NOW + limits.ACCOUNT_TURN) * 1000)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        asking._keep(ACCOUNT)

    waiting.sleep = sleep
    assert waiting.account(10) == ACCOUNT
    assert 0 < clock.elapsed < limits.ACCOUNT_TURN
    assert ses.asked == []


def test_a_cold_dispatcher_that_ses_throttles_asks_again_and_never_guesses() -> None:
    clock = Clock()
    ses = Ses(clock)
    ses.asked.append(NOW - 0.5)  # somebody else's question
    (pace,) = dispatchers(clock, ses, 1)
    assert pace.account(10) == ACCOUNT
    assert ses.asked[1] == NOW
    assert 1 <= ses.asked[2] - NOW <= 2
    assert len(ses.asked) == 3


def test_while_nobody_knows_the_account_is_unknown() -> None:
    clock = Clock()
    ses = Ses(clock)
    ses.works = False
    (pace,) = dispatchers(clock, ses, 1)
    with pytest.raises(errors.SesUnavailable):
        pace.account(10)
    assert limits.ACCOUNT_WAIT <= clock.elapsed <= limits.ACCOUNT_WAIT + 1
    assert len(ses.asked) <= limits.ACCOUNT_WAIT + 1
    with pytest.raises(errors.SesUnavailable):
        NoTable("", clock, ses, clock.sleep).account(10)


def test_the_account_is_asked_again_when_its_last_answer_is_old() -> None:
    clock = Clock()
    ses = Ses(clock)
    one, another = dispatchers(clock, ses, 2)
    assert one.account(10) == another.account(10) == ACCOUNT
    ses.account = replace(ACCOUNT, rate=50)
    clock.sleep(limits.ACCOUNT_CACHE - 0.001)
    assert one.account(10) == ACCOUNT
    clock.sleep(0.001)
    assert one.account(10).rate == 50
    assert another.account(10).rate == 50
    assert ses.asked == [NOW, NOW + limits.ACCOUNT_CACHE]


def test_while_ses_does_not_tell_the_last_answer_goes_on_to_count() -> None:
    clock = Clock()
    ses = Ses(clock)
    one, another, cold = dispatchers(clock, ses, 3)
    one.account(10)
    another.account(10)
    ses.works = False
    clock.sleep(limits.ACCOUNT_CACHE)
    assert one.account(10) == another.account(10) == cold.account(10) == ACCOUNT
    assert len(ses.asked) == 2
    clock.sleep(limits.ACCOUNT_RETRY - 0.001)
    another.account(10)
    assert len(ses.asked) == 2
    clock.sleep(0.001)
    one.account(10)
    another.account(10)
    assert len(ses.asked) == 3


def test_an_answer_that_cannot_be_kept_counts_for_the_dispatcher_that_has_it() -> None:
    class TakesTurnsOnly(PaceInMemory):
        def update(
            self, changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
        ) -> Answer:
            if "account" in changes:
                raise errors.LedgerUnavailable("as asked")
            return super().update(changes, when, moved)

    clock = Clock()
    pace = TakesTurnsOnly("", clock, Ses(clock), clock.sleep)
    assert pace.account(10) == ACCOUNT
    assert clock.now == NOW


@pytest.mark.parametrize(
    "stopped",
    [
        replace(ACCOUNT, enabled=False),
        replace(ACCOUNT, quota_left=0),
        replace(ACCOUNT, rate=0),
    ],
)
def test_an_account_that_does_not_send_is_asked_again_soon(stopped: SendingAccount) -> None:
    clock = Clock()
    ses = Ses(clock, stopped)
    (pace,) = dispatchers(clock, ses, 1)
    assert pace.account(10) == stopped
    ses.account = ACCOUNT
    clock.sleep(limits.ACCOUNT_RETRY)
    assert pace.account(10) == ACCOUNT


def test_a_busy_dispatcher_writes_nothing_but_its_reservations() -> None:
    clock = Clock()
    ses = Ses(clock)
    one, another = dispatchers(clock, ses, 2)
    one.account(10)
    another.account(10)
    before = one.item.writes
    for _ in range(20):
        assert one.reserve(10, one.account(10).rate)
        clock.sleep(10)
        assert another.reserve(10, another.account(10).rate)
        clock.sleep(10)
    minutes = 40 * 10 / limits.ACCOUNT_CACHE
    reservations = 40
    assert one.item.writes - before - reservations <= 3 * minutes
    assert len(ses.asked) <= 1 + minutes


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize("quota_left", [5, float("inf")])
def test_the_item_tells_a_cold_dispatcher_all_that_ses_told_another(quota_left: float) -> None:
    account = SendingAccount(rate=14.5, quota_left=quota_left, enabled=True)
    assert Pace(TABLE.name, ask=lambda: account, dispatchers=5).account(10) == account

    def never() -> SendingAccount:
        raise AssertionError

    cold = Pace(TABLE.name, ask=never, dispatchers=5)
    assert cold.account(10) == account
    assert cold.reserve(1, 14.5)
    assert cold.account(10) == account
    (item,) = tracking_table().scan()["Items"]
    assert item.keys() == {"notificationId", "account", "askFrom", "freeFrom"}


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [120, -120, 86_400])
def test_a_wrong_clock_neither_stops_the_line_nor_exceeds_the_rate(ahead: float) -> None:
    clock = Clock()
    item = warm_item(clock)
    wrong = PaceInMemory("", lambda: clock() + ahead, Ses(clock), clock.sleep, item=item)
    right = PaceInMemory("", clock, Ses(clock), clock.sleep, item=item)
    wrong.account(10)
    right.account(10)
    slots: list[float] = []
    for _ in range(20):
        for pace, ahead_by in ((wrong, ahead), (right, 0)):
            reserved = pace.reserve(10, 10 / MARGIN)
            assert reserved is not None
            slots += [slot - ahead_by for slot in reserved]
        clock.sleep(1)
    assert min(slots) >= NOW - 1
    # The table tells whole seconds, so a wrong clock is corrected to half a second.
    assert max(slots) - min(slots) == pytest.approx(40, abs=1)


def test_a_wrong_clock_is_corrected_by_the_same_time_until_it_is_mended() -> None:
    clock, mine = Clock(), Clock(NOW + 120)
    pace = PaceInMemory("", mine, Ses(clock), clock.sleep, item=warm_item(clock))
    pace.account(10)

    def reserve() -> list[float]:
        slots = pace.reserve(10, 10 / MARGIN)
        assert slots is not None
        return slots

    slots = []
    for _ in range(10):
        slots += reserve()
        clock.sleep(0.7)
        mine.sleep(0.7)
    assert slots[-1] - slots[0] == pytest.approx(9.9, abs=TICK)
    mine.now = clock.now
    # The first reservation still subtracts 120 s, and so starts the line anew.
    assert reserve()[0] == pytest.approx(clock.now, abs=TICK)


@pytest.mark.parametrize("jump", [120, -120])
def test_a_clock_that_jumps_costs_no_more_than_one_reservation(jump: float) -> None:
    clock = Clock()
    item = warm_item(clock)
    mine = Clock()
    jumps = PaceInMemory("", mine, Ses(clock), clock.sleep, item=item)
    right = PaceInMemory("", clock, Ses(clock), clock.sleep, item=item)
    jumps.account(10)
    mine.sleep(jump)
    slots = jumps.reserve(10, 10)
    assert slots is not None
    assert slots[0] - jump == pytest.approx(NOW, abs=1)
    after = right.reserve(10, 10)
    assert after is not None
    assert after[0] == pytest.approx(NOW + 1, abs=1)


def test_a_line_that_no_honest_clock_can_have_made_starts_anew() -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock), 1)
    honest = NOW + limits.PACING_BUDGET
    pace.item.attributes["freeFrom"] = round((honest + limits.CLOCK_TOLERANCE) * 1000)
    assert pace.reserve(1, 1) is None
    pace.item.attributes["freeFrom"] += 1
    assert pace.reserve(1, 1) == [NOW]


def test_a_moment_to_ask_that_no_honest_clock_can_have_told_is_no_reason_to_wait() -> None:
    clock = Clock()
    ses = Ses(clock)
    (pace,) = dispatchers(clock, ses, 1)
    honest = limits.ACCOUNT_CACHE + limits.CLOCK_TOLERANCE
    pace.item.attributes["askFrom"] = round((NOW + honest) * 1000) + 1
    assert pace.account(10) == ACCOUNT
    assert ses.asked == [NOW]


@pytest.mark.parametrize(
    ("known", "ahead", "corrected"),
    [
        *((0, ahead, 0) for ahead in (-3, 3)),
        *((0, ahead, ahead) for ahead in (-3.5, 3.5)),
        *((known, 3, 0) for known in (-120, 120)),
        *((120, ahead, 120) for ahead in (117, 123)),
        *((120, ahead, ahead) for ahead in (116.5, 123.5)),
    ],
)
def test_a_clock_is_corrected_where_the_table_s_seconds_surely_contradict_it(
    known: float, ahead: float, corrected: float
) -> None:
    pace = PaceInMemory("", Clock(NOW + ahead))
    pace._clock_ahead = known
    pace._compare_clocks(NOW - 0.5)
    assert pace._clock_ahead == corrected


# --- every write, in full -------------------------------------------------------------------------

MOMENT = 1_800_000_000_000
"""`NOW` in milliseconds."""
POSSIBLE = MOMENT + 63_000

Write = tuple[dict[str, object], "Outside | None", dict[str, int]]


def listen(pace: PaceInMemory) -> list[Write]:
    """Return a list to which each of its writes is added."""
    writes: list[Write] = []
    update = pace.update

    def listening(
        changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
    ) -> Answer:
        writes.append((dict(changes), when, dict(moved)))
        return update(changes, when, moved)

    pace.update = listening  # type: ignore[method-assign]
    return writes


@pytest.mark.parametrize(
    ("account", "quota_left", "valid"),
    [
        (ACCOUNT, Decimal(5), 60_000),
        (replace(ACCOUNT, quota_left=float("inf")), None, 60_000),
        (replace(ACCOUNT, quota_left=0), Decimal(0), 6_000),
    ],
)
def test_a_question_takes_its_turn_and_its_answer_is_kept(
    account: SendingAccount, quota_left: Decimal | None, valid: int
) -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock, account), 1)
    writes = listen(pace)
    assert pace.account(10) == account
    kept = {"rate": Decimal(14), "quotaLeft": quota_left, "enabled": True, "at": round(NOW * 1000)}
    assert writes == [
        ({"askFrom": MOMENT + 1_000}, Outside("askFrom", MOMENT, POSSIBLE), {}),
        ({"account": kept, "askFrom": MOMENT + valid}, None, {}),
    ]
    clock.sleep(valid / 1000)
    pace.account(10)
    later = MOMENT + valid
    assert writes[2] == (
        {"askFrom": later + 6_000},
        Outside("askFrom", later, POSSIBLE + valid),
        {},
    )


@pytest.mark.parametrize(
    ("account", "sends"),
    [
        (ACCOUNT, True),
        (replace(ACCOUNT, enabled=False), False),
    ],
)
def test_what_another_was_told_is_read_as_it_was_said(
    account: SendingAccount, *, sends: bool
) -> None:
    clock = Clock()
    asking, listening = dispatchers(clock, Ses(clock, account), 2)
    asking.account(10)
    assert listening.account(10) == account
    assert listening.account(10).sends is sends


def test_a_warm_line_is_moved_by_one_write_and_a_busy_one_by_two() -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock), 1)
    pace.account(10)
    writes = listen(pace)
    assert pace.reserve(10, 10 / MARGIN) == pytest.approx([NOW + n / 10 for n in range(10)])
    warm: Write = ({"freeFrom": MOMENT + 1_000}, Outside("freeFrom", MOMENT - 500, POSSIBLE), {})
    assert writes == [warm]
    assert pace.reserve(10, 10 / MARGIN) == pytest.approx([NOW + 1 + n / 10 for n in range(10)])
    busy: Write = ({}, Inside("freeFrom", MOMENT - 500, MOMENT + 59_000), {"freeFrom": 1_000})
    assert writes == [warm, warm, busy]


@pytest.mark.parametrize(("rate", "alone"), [(1, 4_000), (10, 1_000)])
def test_a_cold_line_is_moved_behind_the_first_mail_and_its_cold_start(
    rate: int, alone: int
) -> None:
    clock = Clock()
    pace = PaceInMemory("", clock)
    writes = listen(pace)
    pace.reserve(10, rate / MARGIN)
    behind = MOMENT + alone + 10_000 // rate
    assert writes == [({"freeFrom": behind}, Outside("freeFrom", MOMENT - 300_000, POSSIBLE), {})]


def test_a_line_that_has_just_become_cold_is_cold_for_who_knows_it_already() -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock), 1)
    idle = MOMENT - limits.PACING_IDLE * 1000
    pace.item.attributes["freeFrom"] = idle
    pace.account(10)
    writes = listen(pace)
    pace.reserve(10, 10 / MARGIN)
    assert writes == [({"freeFrom": MOMENT + 2_000}, Outside("freeFrom", idle, POSSIBLE), {})]


def test_a_dispatcher_begins_with_the_real_world_and_knows_nothing() -> None:
    pace = Pace("t", dispatchers=5)
    assert (pace.clock, pace.ask, pace.sleep) == (time.time, sending_account, time.sleep)
    assert (pace._account, pace._ask_from, pace._free_from, pace._clock_ahead) == (None, 0, 0, 0)
    assert (pace._asked_at, pace._unwritten_at, pace._rests_from, pace._owed) == (None, 0, 0, 0)
    assert (pace._refused, pace._told) == (False, False)
    given = [attribute.name for attribute in fields(Pace) if attribute.init]
    assert given == ["table", "clock", "ask", "sleep", "dispatchers"]


@pytest.mark.parametrize("ahead", [0, 120])
def test_without_the_table_a_batch_is_spaced_by_itself(ahead: float) -> None:
    pace = NoTable(clock=Clock())
    pace._clock_ahead = ahead
    assert pace.reserve(3, 10 / MARGIN) == pytest.approx([NOW, NOW + 0.1, NOW + 0.2], abs=TICK)


def test_a_dispatcher_that_knows_nothing_looks_again_after_a_moment_each_time() -> None:
    naps: list[float] = []
    clock = Clock()

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        clock.sleep(seconds)

    with pytest.raises(errors.SesUnavailable, match=r"^the account's send rate is not known yet$"):
        NoTable("", clock, Ses(clock), sleep).account(10)
    least, most = limits.ACCOUNT_POLL
    assert all(least <= nap <= most for nap in naps)
    assert sum(naps[:-1]) < limits.ACCOUNT_WAIT <= sum(naps)


def test_the_wait_for_an_answer_ends_at_its_very_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ACCOUNT_POLL", (limits.ACCOUNT_WAIT, limits.ACCOUNT_WAIT))
    clock = Clock()
    with pytest.raises(errors.SesUnavailable):
        NoTable("", clock, Ses(clock), clock.sleep).account(10)
    assert clock.elapsed == limits.ACCOUNT_WAIT


# --- the request to DynamoDB ----------------------------------------------------------------------


class Refused(ClientError):
    """What the condition of a write is answered with where it does not hold."""


class Client:
    """Stands in for boto3's client: takes a write, or refuses it."""

    exceptions = SimpleNamespace(ConditionalCheckFailedException=Refused)

    def __init__(self, *, takes: bool, date: str | None) -> None:
        self.requests: list[dict[str, Any]] = []
        item = {"freeFrom": {"N": "7"}}
        self.answer: Any = {
            "Attributes" if takes else "Item": item,
            "ResponseMetadata": {"HTTPHeaders": {"date": date} if date else {}},
        }
        self.takes = takes

    def update_item(self, **request: Any) -> Any:
        self.requests.append(request)
        if self.takes:
            return self.answer
        raise Refused(self.answer, "UpdateItem")


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize(
    ("date", "at"), [("Fri, 15 Jan 2027 08:00:00 GMT", 1_800_000_000.0), (None, None)]
)
def test_an_answer_tells_the_item_and_the_table_s_time(
    monkeypatch: pytest.MonkeyPatch, date: str | None, at: float | None, *, takes: bool
) -> None:
    client = Client(takes=takes, date=date)
    monkeypatch.setattr(steps.aws.pace, "dynamodb", lambda: client)
    answer = Pace("t", dispatchers=5).update({}, None, {"freeFrom": 1})
    assert answer == Answer(made=takes, item={"freeFrom": Decimal(7)}, at=at)


def test_an_item_that_is_not_there_yet_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(takes=False, date=None)
    del client.answer["Item"]
    monkeypatch.setattr(steps.aws.pace, "dynamodb", lambda: client)
    assert Pace("t", dispatchers=5).update({}, Inside("freeFrom", 1, 2), {"freeFrom": 1}).item == {}


OUTSIDE = "attribute_not_exists(#moment) OR #moment <= :after OR #moment > :until"
INSIDE = "#moment > :after AND #moment <= :until"


@pytest.mark.parametrize(
    ("changes", "when", "moved", "expressions"),
    [
        (
            {"a": 1, "b": True},
            None,
            {},
            {
                "UpdateExpression": "SET #a = :a, #b = :b",
                "ExpressionAttributeNames": {"#a": "a", "#b": "b"},
                "ExpressionAttributeValues": {":a": {"N": "1"}, ":b": {"BOOL": True}},
            },
        ),
        (
            {"a": 1},
            Outside("m", 2, 3),
            {},
            {
                "UpdateExpression": "SET #a = :a",
                "ConditionExpression": OUTSIDE,
                "ExpressionAttributeNames": {"#a": "a", "#moment": "m"},
                "ExpressionAttributeValues": {
                    ":a": {"N": "1"},
                    ":after": {"N": "2"},
                    ":until": {"N": "3"},
                },
            },
        ),
        (
            {"a": 1},
            Inside("m", 2, 3),
            {"c": 4, "d": 5},
            {
                "UpdateExpression": "SET #a = :a ADD #c :c, #d :d",
                "ConditionExpression": INSIDE,
                "ExpressionAttributeNames": {"#a": "a", "#c": "c", "#d": "d", "#moment": "m"},
                "ExpressionAttributeValues": {
                    ":a": {"N": "1"},
                    ":c": {"N": "4"},
                    ":d": {"N": "5"},
                    ":after": {"N": "2"},
                    ":until": {"N": "3"},
                },
            },
        ),
    ],
)
def test_a_write_is_asked_for_in_full(
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    when: Outside | None,
    moved: dict[str, int],
    expressions: dict[str, Any],
) -> None:
    client = Client(takes=True, date=None)
    monkeypatch.setattr(steps.aws.pace, "dynamodb", lambda: client)
    Pace("t", dispatchers=5).update(changes, when, moved)
    assert client.requests == [
        {
            "TableName": "t",
            "Key": {"notificationId": {"S": "pace"}},
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **expressions,
        }
    ]


# --- at rest --------------------------------------------------------------------------------------

REST = limits.PACING_REST * 5 / (ACCOUNT.rate * MARGIN)
"""How long one of five dispatchers starts nothing before it is at rest, in seconds."""


def started(pace: Pace, mails: int = 1) -> list[float]:
    """Have a dispatcher start mails as it does; return when."""
    slots = pace.reserve(mails, pace.account(mails).rate)
    assert slots is not None
    return slots


def test_mails_one_by_one_cost_no_write_of_the_line_s() -> None:
    clock = Clock()
    ses = Ses(clock)
    all_of_them = dispatchers(clock, ses)
    item = all_of_them[0].item
    mails = 60_000 // 30
    for number in range(mails):
        pace = all_of_them[number % 5 if number % 7 else 0]
        assert started(pace) == [clock.now]
        clock.sleep(43)
    assert item.writes == 0
    assert len(ses.asked) <= 5 * (clock.elapsed / limits.ACCOUNT_AT_REST + 1)


def test_under_overload_a_mail_costs_a_fifth_of_a_write() -> None:
    clock = Clock()
    all_of_them = dispatchers(clock, Ses(clock))
    item = all_of_them[0].item
    batches = 400
    for number in range(batches):
        slots = started(all_of_them[number % 5], 10)
        if number % 5 == 4:
            clock.sleep(max(0, slots[-1] - clock.now - 5))
    assert item.writes / (10 * batches) == pytest.approx(0.2, abs=0.02)


def test_a_slot_that_was_not_written_is_owed_for_a_while() -> None:
    clock = Clock()
    owing, another = dispatchers(clock, Ses(clock), 2)
    assert started(owing) == [NOW]
    clock.sleep(REST - TICK)
    interval = 1 / (ACCOUNT.rate * MARGIN)
    assert started(owing) == pytest.approx([clock.now + interval], abs=TICK)
    assert owing.item.writes == 1
    another._account, another._asked_at = ACCOUNT, 1
    assert another.reserve(1, ACCOUNT.rate) == pytest.approx([clock.now + 2 * interval], abs=TICK)
    # It owes nothing any more, and rests once the line that it saw has ended.
    clock.sleep(REST - TICK)
    writes = owing.item.writes
    assert started(owing) == pytest.approx([clock.now], abs=TICK)
    assert owing.item.writes > writes
    clock.sleep(2 * REST)
    writes = owing.item.writes
    assert started(owing) == [clock.now]
    clock.sleep(REST + TICK)
    assert started(owing) == [clock.now]
    assert owing.item.writes == writes


def test_a_batch_is_reserved_always() -> None:
    clock = Clock()
    (pace,) = dispatchers(clock, Ses(clock), 1)
    started(pace)
    clock.sleep(100)
    assert pace.item.writes == 0
    started(pace, 2)
    assert pace.item.writes == 3


def test_a_dispatcher_at_rest_asks_ses_once_an_hour() -> None:
    clock = Clock()
    ses = Ses(clock)
    (pace,) = dispatchers(clock, ses, 1)
    for _ in range(4):
        started(pace)
        clock.sleep(limits.ACCOUNT_AT_REST / 2)
    assert ses.asked == [NOW, NOW + limits.ACCOUNT_AT_REST]
    ses.works = False
    # Now it does not know, so it reserves by what was said last.
    started(pace)
    assert pace.item.writes == 1


def test_of_what_another_was_told_a_dispatcher_at_rest_makes_sure() -> None:
    clock = Clock()
    asks, listens = dispatchers(clock, ses := Ses(clock), 2)
    asks.account(10)
    listens.account(10)
    clock.sleep(10)
    started(listens)
    assert ses.asked == [NOW, NOW + 10]
    assert asks.item.writes == 3


@pytest.mark.parametrize("at", [None, -30 * limits.DAY, limits.DAY])
def test_what_a_dispatcher_alone_was_told_last_is_not_undone_by_an_older_word(
    at: int | None,
) -> None:
    """The item's word may be of last month, or of a clock that was wrong."""
    clock = Clock()
    old: dict[str, Any] = {"rate": Decimal(100), "quotaLeft": Decimal(0), "enabled": True}
    if at:
        old["at"] = Decimal(round((NOW + at) * 1000))
    past = round((NOW - 30 * limits.DAY) * 1000)
    item = PaceItem(clock, {"freeFrom": past, "askFrom": past, "account": old})
    told = SendingAccount(rate=14, quota_left=90_000, enabled=True)
    pace = PaceInMemory("", clock, lambda: told, clock.sleep, item=item)
    for _ in range(50):
        account = pace.account(1)
        assert account == told
        pace.reserve(1, account.rate)
        clock.sleep(0.01)
    other = replace(told, rate=20)
    pace._keep(other)
    late = PaceInMemory("", clock, lambda: told, clock.sleep, item=item)
    assert late.account(10) == other, "what another was told since counts"


def test_a_refusal_is_followed_by_a_question_and_a_reservation() -> None:
    clock = Clock()
    ses = Ses(clock)
    (pace,) = dispatchers(clock, ses, 1)
    started(pace)
    pace.refused()
    clock.sleep(10)
    started(pace)
    assert ses.asked == [NOW, NOW + 10]
    assert pace.item.writes == 3
    clock.sleep(10)
    assert started(pace) == [clock.now]
    assert pace.item.writes == 3


def test_while_it_is_not_known_why_ses_refused_every_mail_is_reserved() -> None:
    clock = Clock()
    ses = Ses(clock)
    (pace,) = dispatchers(clock, ses, 1)
    started(pace)
    pace.refused()
    ses.works = False
    for _ in range(3):
        clock.sleep(10)
        started(pace)
    # The turn to ask, and each slot.
    assert pace.item.writes == 4
    ses.works = True
    for _ in range(3):
        clock.sleep(10)
        started(pace)
    assert pace.item.writes == 4


@pytest.mark.parametrize("stopped", [replace(ACCOUNT, enabled=False), replace(ACCOUNT, rate=0)])
def test_of_an_account_that_does_not_send_all_are_told(stopped: SendingAccount) -> None:
    clock = Clock()
    one, another = dispatchers(clock, ses := Ses(clock, stopped), 2)
    assert one.account(1) == stopped
    clock.sleep(limits.RETRY_DELAY_MIN)
    assert one.account(1) == stopped
    assert another.account(10) == stopped
    ses.account = ACCOUNT
    clock.sleep(limits.ACCOUNT_RETRY)
    assert one.account(1) == ACCOUNT


def test_what_a_dispatcher_alone_was_told_makes_nobody_wait() -> None:
    clock = Clock()
    ses = Ses(clock)
    knows, cold = dispatchers(clock, ses, 2)
    started(knows)
    ses.works = False
    clock.sleep(10)
    assert knows.account(10) == ACCOUNT
    ses.works = True
    assert cold.account(10) == ACCOUNT
    assert clock.now <= NOW + 10 + limits.ACCOUNT_TURN + limits.ACCOUNT_POLL[1]


def test_of_many_that_start_at_once_one_asks_for_all_as_ever() -> None:
    clock = Clock()
    ses = Ses(clock)
    all_of_them = dispatchers(clock, ses)
    assert all(pace.account(1) == ACCOUNT for pace in all_of_them)
    assert clock.elapsed < limits.ACCOUNT_WAIT


@pytest.mark.parametrize("ahead", [120, -120])
def test_at_rest_a_wrong_clock_is_as_good_as_a_right_one(ahead: float) -> None:
    clock = Clock()
    wrong = PaceInMemory(
        "", lambda: clock() + ahead, Ses(clock), clock.sleep, item=warm_item(clock)
    )
    for _ in range(3):
        assert started(wrong) == [clock.now + ahead]
        clock.sleep(43)
    assert started(wrong, 10)[0] == pytest.approx(clock.now + ahead, abs=1)


@given(
    arrivals=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0, 3.0, 12.0]),
            st.integers(0, 4),
            st.integers(1, 10),
        ),
        max_size=120,
    ),
    rate=st.sampled_from([1.0, 14.0, 50.0]),
    singles=st.booleans(),
)
def test_unwritten_mails_are_one_each_at_once_and_half_the_rate_in_the_long_run(
    arrivals: list[tuple[float, int, int]], rate: float, *, singles: bool
) -> None:
    clock = Clock()
    account = replace(ACCOUNT, rate=rate)
    all_of_them = dispatchers(clock, lambda: account)
    unwritten: list[float] = []
    line: list[float] = []
    for wait, which, mails in arrivals:
        clock.sleep(wait)
        pace, writes = all_of_them[which], all_of_them[which].item.writes
        slots = pace.reserve(1 if singles else mails, pace.account(1 if singles else mails).rate)
        if pace.item.writes == writes:
            unwritten += slots or []
        else:
            line += slots or []
    for index, first in enumerate(unwritten):
        for count, last in enumerate(unwritten[index:], start=1):
            assert count <= 5 + (last - first + TICK) * rate / limits.PACING_REST
    # What is written keeps to the rate by itself, but for what a line may make up for when it ran dry.
    gaps = [later - earlier for earlier, later in pairwise(sorted(line))]
    assert all(gap >= 1 / rate / MARGIN - TICK - limits.PACING_BURST for gap in gaps)
