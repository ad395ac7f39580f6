"""Whatever is in an event: an order or a rejection that names the field, small enough, and never a crash.

`python -m tests.fuzz` searches on; what it ever found is a class in `tests.fuzz.events`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from steps import kinds
from steps.contract import limits
from tests.fuzz.events import (
    CUT,
    ROOM,
    Raw,
    filled,
    fresh,
    honest,
    hostile,
    mutated,
    text,
    written,
)
from tests.fuzz.trial import MEMORY_MAX, SECONDS_MAX, Trial, handled, tried
from tests.support.sample_mails import ITEM

SEEDS = 40
HEAVIEST = (
    *("empty items to the brim", "numbers as items", "empty pieces to the brim"),
    *("list items to the brim", "combining in customerEmail", "empty lists to the brim"),
    *("many unknown fields", "surrogates to the brim", "CJK links"),
)
"""The classes that took the most before there were bounds, and those that take the most now."""


def test_every_hostile_event_comes_to_an_end_that_can_be_told() -> None:
    events = hostile() | {f"seed {seed}": mutated(seed) for seed in range(SEEDS)}
    faults = {name: trial.fault for name, trial in _handled(events).items() if trial.fault}
    assert faults == {}


def _handled(events: dict[str, str]) -> dict[str, Trial]:
    return {name: handled(message) for name, message in events.items()}


@pytest.mark.parametrize("name", honest())
def test_an_honest_event_that_looks_hostile_becomes_a_mail(name: str) -> None:
    trial = handled(honest()[name])
    assert (trial.end, trial.reasons) == ("mail", ())


@pytest.mark.parametrize("name", HEAVIEST)
def test_the_heaviest_events_harm_nobody(name: str) -> None:
    trial = tried(hostile()[name])
    assert trial.fault == ""
    assert trial.memory < MEMORY_MAX
    assert trial.seconds < SECONDS_MAX


def test_the_process_of_a_trial_tells_what_its_event_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.trial.PATIENCE", 0)
    assert tried(written(fresh())).fault == "never ends"


HALF = "holds half of a character"


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (written(fresh(orderId=text(f"A{CUT}"))), [f"orderId: {HALF}"]),
        (written(fresh(customerEmail=text(f"a{CUT}@b.example"))), [f"customerEmail: {HALF}"]),
        (written(fresh(locale=text(f"en{CUT}"))), [f"locale: {HALF}"]),
        (written(fresh(customerName=text(CUT))), ["customerName: must not be empty"]),
        (written(fresh(orderItems=[{}] * 1_001)), ["orderItems: must have at most 1000 entries"]),
        (written(fresh(customerName="x" * 2_001)), ["customerName: must have at most 2000"]),
        (written(fresh(orderTotal=Raw("9" * 10_000))), ["orderTotal: must be an amount"]),
        (written(fresh(orderTotal=Raw("1E+99999999999999999999"))), ["orderTotal: must be"]),
        (written(fresh(orderTotal="\u0663")), ["orderTotal: must be an amount"]),
        (written(fresh(orderTotal=True)), ["orderTotal: must be a decimal string"]),
        (written(fresh(note=Raw("[" * 64 + "]" * 64))), ["$: is nested too deeply: 64 levels"]),
        ("[" * 100_000, ["$: is nested too deeply"]),
        (
            written(fresh(orderUrl="https://shop.example@evil.example/")),
            ["orderUrl: must not have"],
        ),
        (written(fresh(orderUrl="https://:p@evil.example/")), ["orderUrl: must not have"]),
        (written(fresh(orderUrl="https://127.0.0.1/")), ["orderUrl: must name its host"]),
        (written(fresh(orderUrl="https://[::1]/")), ["orderUrl: must name its host"]),
        (written(fresh(orderUrl="https://3232235777")), ["orderUrl: must name its host"]),
        (written(fresh(orderUrl="https://0x7f.1/")), ["orderUrl: must name its host"]),
        (written(fresh(orderTimestamp="0001-01-01T00:00:00Z")), ["orderTimestamp: must be in"]),
        (written(fresh(orderTimestamp="9999-12-31T23:59:59Z")), ["orderTimestamp: must be in"]),
        (written(fresh(orderTimestamp="2026-10-10T00:00:00." + "0" * 30)), ["orderTimestamp: "]),
        (
            written(fresh("order.shipped", estimatedDelivery=1_700_000_000)),
            ["estimatedDelivery: must be"],
        ),
        *(
            (written(fresh(customerName=blank)), ["customerName: must not be empty"])
            for blank in (
                "\u200b",
                "\u202e",
                "\u3164\u115f",
                "\u2800",
                "\u00ad",
                "\ufe0f",
                "\u034f",
            )
        ),
    ],
)
def test_the_rejection_names_the_field(message: str, named: list[str]) -> None:
    trial = handled(message)
    assert trial.end == "rejected"
    for reason, beginning in zip(trial.reasons, named, strict=False):
        assert reason.startswith(beginning)
    assert trial.reasons


@pytest.mark.parametrize("kind", kinds.names())
def test_the_future_is_no_way_around_the_age_of_an_event(kind: str) -> None:
    def ends(ahead: timedelta, *, zone: bool = True) -> str:
        moment = datetime.now(UTC) + ahead
        shown = moment if zone else moment.replace(tzinfo=None)
        trial = handled(written(fresh(kind, eventTimestamp=shown.isoformat())))
        assert all(
            reason.startswith("eventTimestamp: is in the future") for reason in trial.reasons
        )
        return trial.end

    skew, zones = (timedelta(seconds=s) for s in (limits.CLOCK_SKEW, limits.ZONES_AHEAD))
    second = timedelta(seconds=5)
    assert ends(skew - second) == "mail"
    assert ends(skew + second) == "rejected"
    assert ends(skew + zones - second, zone=False) == "mail"
    assert ends(skew + zones + second, zone=False) == "rejected"


def test_what_grows_beyond_a_state_is_rejected_with_both_sizes() -> None:
    link = "https://shop.example/" + "\u5546" * 200
    trial = handled(filled(lambda n: fresh(orderItems=[ITEM | {"url": link}] * n), ROOM))
    (reason,) = trial.reasons
    assert reason.startswith("$: takes ")
    assert str(limits.ANSWER_MAX_BYTES) in reason


def test_sums_of_the_largest_amounts_are_exact() -> None:
    item = ITEM | {"quantity": "9" * 15, "price": "9" * 15 + ".99"}
    event = fresh(orderItems=[item] * 1_000, shipping="1", tax="2", discount="3")
    assert handled(written(event)).end == "mail"


def test_of_a_name_given_twice_the_last_counts() -> None:
    twice = written(fresh())[:-1] + ',"orderId":"LAST","customerEmail":"nobody"}'
    trial = handled(twice)
    assert [r.partition(":")[0] for r in trial.reasons] == ["customerEmail"]


def test_the_rejection_of_the_largest_message_keeps_its_beginning() -> None:
    message = json.dumps({"orderId": "A" * 130, "note": '"\u0001' * 30_000}, ensure_ascii=False)
    trial = handled(message[: ROOM // 3])
    assert trial.end == "rejected"
    assert limits.KEPT_EVENT_BYTES / 2 < trial.answer < limits.KEPT_EVENT_BYTES + 8 * 1024
