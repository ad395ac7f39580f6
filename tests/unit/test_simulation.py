"""The simulation finds nothing in the code as it is, and finds what is broken on purpose."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from steps import dedup, dispatch, feedback, record
from steps.contract import limits
from steps.contract.handler import count
from steps.ledger import outcomes, rules
from steps.ledger.status import Status
from tests.simulation.faults import FAULTS, KINDS, TOTALS, Dice, Plan
from tests.simulation.judge import violations
from tests.simulation.shrink import Shrinker
from tests.simulation.world import World
from tests.support import asl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.simulation.life import Life

ANY = "attribute_exists(notificationId)"
"""A condition that always holds where there is a record."""


def lived(plan: Plan) -> World:
    world = World(plan)
    world.run()
    return world


@pytest.mark.parametrize("seed", [1, 2])
def test_no_life_breaks_the_promise(seed: int) -> None:
    plan = Plan(seed=seed, orders=150)
    for violation in violations(lived(plan)):
        raise AssertionError(Shrinker(plan, violation).shrink())


def test_a_seed_always_tells_the_same_story() -> None:
    plan = Plan(seed=7, orders=20, storm=4)
    first, second = World(plan, trace=True), World(plan, trace=True)
    first.run()
    second.run()
    assert first.history == second.history
    assert first.history


def test_every_fault_strikes() -> None:
    quick = KINDS - {k for k in KINDS if "surrogate" in k}
    struck: Counter[str] = Counter()
    for seed in range(1, 6):
        struck += _struck(lived(Plan(seed=seed, orders=60, storm=4, kinds=quick)).lives)
    for seed in range(6, 300):  # What is rare is drawn, not lived.
        world = World(Plan(seed=seed, orders=0))
        struck += Counter(_kind(strike) for strike in world.dice.strikes)
    rare = {k for k in KINDS if k.startswith(("body", "fate", "refusal", "receives", "again"))}
    rare.add("operator:redrives-days-later")  # needs a dead letter first
    assert KINDS - struck.keys() - rare == set()


def test_switching_a_fault_off_leaves_the_dice_of_the_others() -> None:
    plan = Plan(seed=3, orders=0, storm=4)
    without = replace(plan, kinds=KINDS - {"ledger:unavailable"})

    def drawn(plan: Plan) -> list[str]:
        dice = Dice(plan, 1)
        for _ in range(500):
            dice.strike("ledger")
        return dice.strikes

    everything = drawn(plan)
    assert drawn(without) == [s for s in everything if not s.endswith(":unavailable")]
    assert len(drawn(without)) < len(everything)


def _struck(lives: Iterable[Life]) -> Counter[str]:
    return Counter(_kind(strike) for life in lives for strike in life.dice.strikes)


def _kind(strike: str) -> str:
    _, site, _, kind = strike.split(":")
    return f"{site}:{kind}"


# --- the judge's own judge ------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """Something broken on purpose, the promise that it breaks, and the faults that bring it out."""

    name: str
    breaks: str
    kinds: str
    plant: Callable[[pytest.MonkeyPatch], None]


def weakened(rule: str, condition: str = ANY) -> Callable[[pytest.MonkeyPatch], None]:
    """Let a write be made on a weaker condition."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        original = getattr(rules, rule)

        def weak(**arguments: Any) -> rules.Put | rules.Update:
            write: rules.Put | rules.Update = original(**arguments)
            return replace(write, condition=condition)

        patch.setattr(rules, rule, weak)

    return plant


def blind_retry(patch: pytest.MonkeyPatch) -> None:
    retrier = asl.STATES["Send"]["Retry"][0]
    patch.setitem(retrier, "ErrorEquals", [*retrier["ErrorEquals"], "SendOutcomeUnknown"])


def no_grace(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(dedup.claim.__kwdefaults__ or {}, "grace", 0)


def last_writer_wins(patch: pytest.MonkeyPatch) -> None:
    often(patch, "fate", "bounce-after-delivery")

    def word(record: rules.Record, event: Any) -> tuple[Status, str | None]:
        return event.status or Status(record["status"]), None

    patch.setattr(rules, "_word", word)


def uncounted_resends(patch: pytest.MonkeyPatch) -> None:
    original = rules.judge

    def judge(record: rules.Record, **arguments: Any) -> rules.Verdict:
        verdict = original(record, **arguments)
        if isinstance(verdict, rules.TakeOver):
            kept = {**verdict.update.set, "resends": rules.resends(record)}
            return rules.TakeOver(replace(verdict.update, set=kept), verdict.in_doubt)
        return verdict

    patch.setattr(rules, "judge", judge)


def hasty_dispatcher(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dispatch, "dispose", lambda *_, **__: dispatch.Done())


def uncounted_deliveries(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(feedback, "count", lambda *_: None)


def counted_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(record, "count", lambda metric: count(metric, 2))


def often(patch: pytest.MonkeyPatch, site: str, kind: str, share: float = 1.0) -> None:
    """Let a fault strike every life, or many, so that what it brings out need not be waited for."""
    patch.setitem(FAULTS, site, ((kind, share),))
    patch.setitem(TOTALS, site, share)


def forgetful_events(patch: pytest.MonkeyPatch) -> None:
    """Let two batches have a mail's events at once: the first takes so long that the next is gathered."""
    often(patch, "fate", "bounce-after-delivery")
    often(patch, "ledger", "slow", 0.05)
    original = rules.learn

    def learn(*arguments: Any, **named: Any) -> rules.Update | None:
        update = original(*arguments, **named)
        return update and replace(update, condition=ANY)

    patch.setattr(rules, "learn", learn)


def forgotten_claims(patch: pytest.MonkeyPatch) -> None:
    """A record may be claimed by whoever comes."""
    patch.setattr(limits, "CLAIM_LEASE", 0)
    weakened("sending")(patch)


def distrust(patch: pytest.MonkeyPatch) -> None:
    """Believe in one mail per record."""

    def expects(record: rules.Record, message_id: str) -> bool:
        return bool(record.get("messageId", message_id) == message_id)

    patch.setattr(rules, "expects", expects)


def uncounted_writes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rules.Update, "counted", property(lambda update: update.count))


def sequence_from_zero(patch: pytest.MonkeyPatch) -> None:
    often(patch, "again", "months-later")
    patch.setattr(rules, "first_sequence", lambda _: 0)


def untold_reasons(patch: pytest.MonkeyPatch) -> None:
    """Tell of a change of the status alone."""
    often(patch, "fate", "delayed-for-ever")
    patch.setattr(outcomes, "_said", lambda record: record.get("status"))


def untold_delays(patch: pytest.MonkeyPatch) -> None:
    often(patch, "fate", "delayed-then-delivered")
    told = tuple(status for status in outcomes.TOLD if status is not Status.DELAYED)
    patch.setattr(outcomes, "TOLD", told)


def coarse_ids(patch: pytest.MonkeyPatch) -> None:
    """Let the writes about a delay keep the sequence."""
    often(patch, "fate", "delayed-then-delivered")
    counted = rules.Update.counted.fget  # type: ignore[attr-defined]

    def some(update: rules.Update) -> tuple[str, ...]:
        return () if update.set.get("status") is Status.DELAYED else counted(update)

    patch.setattr(rules.Update, "counted", property(some))


PLANTED = (
    Planted(
        "claim-without-condition",
        "no second mail",
        "again receive",
        weakened("claim", "attribute_not_exists(nothing)"),
    ),
    Planted("sending-without-owner", "no second mail", "again invoke receive", forgotten_claims),
    Planted("sent-without-condition", "the status is true", "ledger event fate", weakened("sent")),
    Planted("events-without-seen", "the status is true", "ledger:slow fate", forgetful_events),
    Planted("blind-retry", "no second mail", "ses", blind_retry),
    Planted("no-grace", "a mail in doubt", "ses event", no_grace),
    Planted(
        "last-writer-wins",
        "the status is true",
        "event fate",
        last_writer_wins,
    ),
    Planted("uncounted-resends", "no second mail", "ses event", uncounted_resends),
    Planted("hasty-dispatcher", "no mail is lost", "ledger ses invoke", hasty_dispatcher),
    Planted("uncounted-deliveries", "outcomes are counted", "event", uncounted_deliveries),
    Planted("distrust", "what SES says of a mail counts", "ses event", distrust),
    Planted("counted-twice", "outcomes are not counted too often", "event", counted_twice),
    Planted("uncounted-writes", "a record's sequence grows", "event", uncounted_writes),
    Planted("sequence-from-zero", "a record's sequence grows", "again", sequence_from_zero),
    Planted("untold-reasons", "the newest outcome is", "fate", untold_reasons),
    Planted("untold-delays", "the newest outcome is", "fate", untold_delays),
    Planted("coarse-ids", "an outcome's id says one thing", "fate", coarse_ids),
)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.name)
def test_what_is_broken_on_purpose_is_found_and_shrunk(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted.plant(monkeypatch)
    chosen = planted.kinds.split()
    kinds = {k for k in KINDS if any(k == c or k.startswith((f"{c}:", f"{c}-")) for c in chosen)}
    for seed in range(1, 9):
        plan = Plan(seed=seed, orders=40, storm=6, kinds=kinds)
        for violation in violations(lived(plan)):
            if violation.promise.startswith(planted.breaks):
                shrunk = Shrinker(plan, violation).shrink()
                assert shrunk is not None
                assert len(shrunk.plan.strikes or ()) <= 6, str(shrunk)
                # Two at once may take two more, after which two dispatchers know what the account may send.
                assert len(shrunk.plan.only or ()) <= 3, str(shrunk)
                return
    raise AssertionError("not found")
