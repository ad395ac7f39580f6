"""From a violation to the shortest history that still shows it: fewer orders, then fewer faults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from tests.simulation.judge import Violation, violations
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tests.simulation.faults import Plan

Part = TypeVar("Part")

TRIES = 400
"""How many worlds are run at most to shrink one violation."""


@dataclass(frozen=True)
class Shrunk:
    """The smallest world found that breaks the same promise, and its history."""

    violation: Violation
    plan: Plan
    history: tuple[str, ...]

    @property
    def command(self) -> str:
        """Replays it."""
        plan = self.plan
        only = " ".join(map(str, plan.only or ()))
        strikes = " ".join(plan.strikes or ()) or "none"
        storm = "" if plan.storm is None else f" --storm {plan.storm}"
        return (
            f"python -m tests.simulation --first-seed {plan.seed} --seeds 1 --orders {plan.orders}"
            f"{storm} --only {only} --strikes {strikes}"
        )

    def __str__(self) -> str:
        found = self.violation
        head = f"seed {self.plan.seed}, order {found.order}: {found.promise}: {found.detail}"
        return "\n".join((head, *self.history, f"replay: {self.command}"))


class Shrinker:
    """Runs parts of a seed's world again."""

    def __init__(self, plan: Plan, violation: Violation) -> None:
        self.plan, self.violation = plan, violation
        self.left = TRIES

    def breaks(self, only: Collection[int], strikes: Collection[str] | None) -> World | None:
        """Run these orders with these strikes; return the world if it breaks the same promise."""
        self.left -= 1
        world = World(replace(self.plan, only=only, strikes=strikes))
        world.run()
        same = (v for v in violations(world) if self._is_same(v))
        return world if next(same, None) else None

    def _is_same(self, other: Violation) -> bool:
        mine = self.violation
        return (mine.order, mine.promise) == (other.order, other.promise)

    def shrink(self) -> Shrunk | None:
        """Return the smallest world found; None where the violation does not come again."""
        order = self.violation.order
        everyone = range(1, self.plan.orders + 1)
        only: Sequence[int] = [order]
        if not self.breaks(only, None):
            world = self.breaks(everyone, None)
            if world is None:
                return None
            mates = sorted(
                next(life.mates for life in world.lives if life.number == order) - {order}
            )
            if not self.breaks([order, *mates], None):
                mates = [number for number in everyone if number != order]
            kept = fewest(mates, lambda some: bool(self.breaks([order, *some], None)), self)
            only = [order, *kept]
        world = self.breaks(only, None)
        if world is None:
            return None
        struck = [
            s for dice in (world.dice, *(life.dice for life in world.lives)) for s in dice.strikes
        ]
        strikes = fewest(struck, lambda some: bool(self.breaks(only, set(some))), self)
        return self.told(tuple(only), tuple(strikes))

    def told(self, only: tuple[int, ...], strikes: tuple[str, ...]) -> Shrunk:
        plan = replace(self.plan, only=only, strikes=strikes)
        world = World(plan, trace=True)
        world.run()
        found = next((v for v in violations(world) if self._is_same(v)), self.violation)
        history = world.history
        if len(history) > 200:
            history = [*history[:120], f"   ... {len(history) - 180} lines ...", *history[-60:]]
        end = [
            f"{'in the end':>12}  {key[:17]}: {record}"
            for key, record in world.table.items.items()
            if "event" not in record
        ]
        return Shrunk(found, plan, (*history, *end))


def fewest(
    parts: Sequence[Part], fails: Callable[[Sequence[Part]], bool], shrinker: Shrinker
) -> list[Part]:
    """Return a subset that still fails and is small: halves first, then one at a time (ddmin)."""
    kept = list(parts)
    if fails([]):
        return []
    size = max(1, len(kept) // 2)
    while kept:
        begin, dropped = 0, False
        while begin < len(kept) and shrinker.left > 0:
            rest = kept[:begin] + kept[begin + size :]
            if fails(rest):
                kept, dropped = rest, True
            else:
                begin += size
        if shrinker.left <= 0 or (size == 1 and not dropped):
            break
        size = max(1, size // 2)
    return kept
