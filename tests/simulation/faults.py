"""What may go wrong, and the dice that say where: every fault has its own, by seed, order, site and visit.

So a fault that is taken away leaves all others where they were, until the history itself differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MASK = 2**64 - 1

FAULTS: dict[str, tuple[tuple[str, float], ...]] = {
    # One call of the tracking table.
    "ledger": (
        ("unavailable", 0.006),
        ("answer-lost", 0.006),
        ("repeated-after-lost-answer", 0.006),
        ("lands-again-late", 0.006),
        ("lands-late", 0.004),
        ("killed-before", 0.003),
        ("killed-after", 0.003),
        ("slow", 0.004),
        ("bug", 0.002),
    ),
    # One SendEmail.
    "ses": (
        ("throttled", 0.02),
        ("refused-in-unknown-words", 0.01),
        ("5xx-not-accepted", 0.01),
        ("5xx-accepted", 0.01),
        ("answer-lost", 0.01),
        ("accepted-late", 0.005),
        ("slow", 0.01),
        ("connection-refused", 0.01),
        ("killed-before", 0.005),
        ("killed-after", 0.01),
    ),
    "account": (("throttled", 0.03), ("5xx", 0.01), ("killed", 0.002)),
    "pace": (("unavailable", 0.01), ("killed", 0.002)),
    # One invocation of a step's function by the workflow.
    "invoke": (
        ("lambda-throttled", 0.005),
        ("lambda-unavailable", 0.003),
        ("answer-lost", 0.003),
        ("starts-late", 0.003),
        ("bug", 0.004),
        ("killed-at-start", 0.002),
    ),
    # One StartSyncExecution.
    "start": (
        ("throttled", 0.01),
        ("answer-lost", 0.006),
        ("times-out", 0.006),
        ("dispatcher-killed", 0.004),
    ),
    "sqs": (("unavailable", 0.01), ("answer-lost", 0.006), ("killed", 0.002)),
    "delete": (("not-deleted", 0.004),),
    "receive": (("delivered-twice", 0.004),),
    # One event of SES's on its way.
    "event": (
        ("lost", 0.02),
        ("late", 0.02),
        ("repeated", 0.02),
        ("twice-at-once", 0.02),
        ("minutes-late", 0.02),
        ("beside-somebody-else-s", 0.01),
    ),
    # Once in an order's life, or once per mail, whatever its storm.
    "send-event": (("lost", 0.03),),
    "fate": (
        ("hard-bounce", 0.02),
        ("bounce-after-delivery", 0.01),
        ("suppressed", 0.005),
        ("transient-bounce", 0.03),
        ("automatic-reply", 0.02),
        ("complaint", 0.01),
        ("delayed-then-delivered", 0.02),
        ("delayed-then-transient-bounce", 0.01),
        ("delayed-for-ever", 0.01),
        ("rejected", 0.005),
    ),
    "refusal": (("until-mended", 0.01), ("for-good", 0.005)),
    "body": (
        ("surrogate-in-id", 0.004),
        ("surrogate-in-address", 0.004),
        ("surrogate-in-name", 0.004),
        ("oversized", 0.001),
        ("malformed", 0.01),
        ("goes-stale", 0.02),
    ),
    "again": (
        ("at-once", 0.03),
        ("within-minutes", 0.03),
        ("hours-later", 0.02),
        ("days-later", 0.01),
        ("broken-copy", 0.01),
        ("months-later", 0.01),
    ),
    "receives": (("few-left-for-a-bug", 0.02), ("few-left", 0.02), ("the-last", 0.01)),
    "operator": (("redrives-soon", 0.4), ("redrives-days-later", 0.3)),
    # Spans of a whole world; `order` is 0.
    "world": (),
    "pause": (("paused", 0.15),),
    "quota": (("used-up", 0.15),),
    "outage": (("table-unavailable", 0.1),),
    "deployment": (("import-error", 0.15), ("bug", 0.15)),
    "skew": (("clock-ahead", 0.15), ("clock-behind", 0.15)),
    # Once per mail: somebody deletes its record.
    "deletion": (("at-once", 0.01), ("soon", 0.01)),
    # Once in an order's life: an operator erases what is known of it; it sends another's mail again.
    "erasure": (("within-seconds", 0.03), ("within-hours", 0.02), ("days-later", 0.01)),
    "resend": (("of-the-order-before", 0.05),),
    # One message of SES's events on its queue.
    "event-receive": (("delivered-twice", 0.004),),
    "event-delete": (("not-deleted", 0.004),),
    # A mail's attachments, fetched once.
    "s3": (("missing", 0.02), ("unavailable", 0.01), ("too-large", 0.01), ("killed", 0.002)),
    # One read that need not be consistent; no trouble, so it excuses nothing.
    "stale-read": (("of-before", 0.25),),
}
"""Each site's faults with their probability per visit in an order of storm 1. No visit has two."""

STEADY = frozenset(
    {
        *("send-event", "fate", "refusal", "body", "again", "receives", "operator", "deletion"),
        *("pause", "quota", "outage", "deployment", "skew", "erasure", "resend", "stale-read"),
    }
)
"""Sites whose dice do not depend on the storm."""

SITES = {site: number for number, site in enumerate(FAULTS)}
TOTALS = {site: sum(p for _, p in kinds) for site, kinds in FAULTS.items()}
KINDS = frozenset(f"{site}:{kind}" for site, kinds in FAULTS.items() for kind, _ in kinds)
STORMS = (0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0)
"""How much goes wrong in an order's life: mostly little, so that the rare thing is seen alone."""


def roll(*key: int) -> int:
    """Return 64 random bits that depend on `key` alone (the finaliser of splitmix64)."""
    bits = hash(key) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A world to be run: `orders` lives by the dice of `seed`.

    only: the numbers of the orders that live at all, None for all.
    strikes: the strikes that may happen, as they are printed, None for all; kinds: likewise `site:kind`.
    storm: how much goes wrong in every life, None for as much as its dice say.
    """

    seed: int
    orders: int
    only: Collection[int] | None = None
    strikes: Collection[str] | None = None
    kinds: Collection[str] | None = None
    storm: float | None = None


@dataclass
class Dice:
    """One order's dice (of order 0: the world's), and which faults they struck."""

    plan: Plan
    order: int
    strikes: list[str] = field(default_factory=list)
    _visits: dict[str, int] = field(default_factory=dict)
    _draws: int = 0

    def __post_init__(self) -> None:
        self.seed = self.plan.seed
        drawn = STORMS[roll(self.seed, self.order, 1_000) % len(STORMS)]
        self.storm = drawn if self.plan.storm is None else self.plan.storm

    def strike(self, site: str) -> str | None:
        """Say which fault strikes at this visit of the site, if any."""
        visit = self._visits[site] = self._visits.get(site, 0) + 1
        storm = 1.0 if site in STEADY else self.storm
        share = (roll(self.seed, self.order, SITES[site], visit) >> 11) / 2**53
        if share >= TOTALS[site] * storm:
            return None
        kind = _chosen(site, share / storm)
        strike = f"{self.order}:{site}:{visit}:{kind}"
        only, kinds = self.plan.strikes, self.plan.kinds
        if only is not None and strike not in only:
            return None
        if kinds is not None and f"{site}:{kind}" not in kinds:
            return None
        self.strikes.append(strike)
        return kind

    def share(self) -> float:
        """Return a number from 0 to 1, for a latency or the like."""
        self._draws += 1
        return (roll(self.seed, self.order, 2_000, self._draws) >> 11) / 2**53

    def long(self, least: float, most: float) -> float:
        """Return a number between two bounds, each order of magnitude as likely as another."""
        return float(least * (most / least) ** self.share())


def _chosen(site: str, share: float) -> str:
    for kind, probability in FAULTS[site]:
        if share < probability:
            return kind
        share -= probability
    return FAULTS[site][-1][0]
