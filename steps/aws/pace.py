"""Pace: all dispatchers together start mails no faster than SES lets the account send.

The generic cell rate algorithm (ITU-T I.371) over one item of the tracking table: it holds the moment
from which sending slots are free, what SES permits the account, and the moment from which SES may be
asked for that again; moments are epoch milliseconds. A batch reserves its slots with one write while the
account has room, two under overload, and each mail waits for its own. The answer to that write tells what
the others have learnt, so in a minute one dispatcher asks SES and the others know.

At rest nothing is written. A dispatcher that has started nothing for as long as all of them together take
for two mails each starts a single mail at once, by what it alone asked SES within the hour. It owes that
slot: where it reserves within that time, it reserves one more; where it does not, the slot is forgotten. So
C dispatchers start at most C unwritten mails at once, and half the rate in the long run. Where others use
the line up meanwhile, that is too much. SES refuses it then, and who is refused asks and reserves first.

Everything is in the table's time: a clock that is wrong is corrected by the `Date` of the table's answers,
and what a wrong clock wrote before is told by being later than any right one can have made it.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from steps.aws.ledger_table import deserialize, dynamodb, ledger_errors, serialize
from steps.aws.ses import SendingAccount, sending_account
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable, SesUnavailable
from steps.contract.handler import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PACE_KEY = "pace"
"""The key of the item, beside the records of notifications."""

MARGIN = 0.99
"""Of the permitted rate: the rest is for mails that SES is asked to take a second time."""


@dataclass(frozen=True)
class Outside:
    """Holds where the item's moment is missing, not after `after`, or after `until`."""

    attribute: str
    after: int
    until: int

    expression = "attribute_not_exists(#moment) OR #moment <= :after OR #moment > :until"


@dataclass(frozen=True)
class Inside(Outside):
    """Holds where the item's moment is after `after` and not after `until`."""

    expression = "#moment > :after AND #moment <= :until"


@dataclass(frozen=True)
class Answer:
    """The item after a write, or as it stood in the way; `at`: the table's clock, whole epoch seconds."""

    made: bool
    item: Mapping[str, Any]
    at: float | None


@dataclass
class Pace:
    """The sending slots kept in the tracking table called `table`, and what SES permits the account.

    dispatchers: how many there are at once.
    """

    table: str
    clock: Callable[[], float] = time.time
    ask: Callable[[], SendingAccount] = sending_account
    sleep: Callable[[float], None] = time.sleep
    dispatchers: int = field(kw_only=True)
    _account: SendingAccount | None = field(default=None, init=False)
    _told: bool = field(default=False, init=False)
    _ask_from: int = field(default=0, init=False)
    _asked_at: int | None = field(default=None, init=False)
    _refused: bool = field(default=False, init=False)
    _free_from: int = field(default=0, init=False)
    _told_at: int = field(default=0, init=False)
    _unwritten_at: int = field(default=0, init=False)
    _rests_from: int = field(default=0, init=False)
    _owed: int = field(default=0, init=False)
    _clock_ahead: float = field(default=0.0, init=False)

    # --- what SES permits -------------------------------------------------------------------------

    def account(self, mails: int) -> SendingAccount:
        """Return what SES permits the account, as any dispatcher learnt it, at most a minute ago.

        While it does not send it is asked more often, so that mails go out soon after it does again.
        While GetAccount fails, the last answer counts, however old. For one of `mails` alone it is what this
        dispatcher learnt within the hour: nothing is written, and SES refuses what the account may not send.

        Raises:
            SesUnavailable: there was none yet, for `limits.ACCOUNT_WAIT`.
        """
        deadline = self.clock() + limits.ACCOUNT_WAIT
        alone = mails == 1 and not self._refused and (not self._account or self._account.sends)
        while True:
            if alone:
                self._ask_alone()
            else:
                self._refresh()
            if self._account:
                return self._account
            if self.clock() >= deadline:
                raise SesUnavailable("the account's send rate is not known yet")
            # Another dispatcher is asking: its answer is there at once, or it was throttled.
            self.sleep(random.uniform(*limits.ACCOUNT_POLL))  # noqa: S311 - spreads, hides nothing
            alone = False

    def refused(self) -> None:
        """Take note that SES does not send for now: ask it, and reserve, before a mail goes unwritten again."""
        self._refused, self._asked_at, self._ask_from = True, None, 0

    def _knows(self) -> bool:
        """Whether this dispatcher itself asked SES within the hour."""
        if self._asked_at is None:
            return False
        return 0 <= self._now() - self._asked_at < limits.ACCOUNT_AT_REST * 1000

    def _ask_alone(self) -> None:
        """Ask SES, and tell nobody."""
        if self._knows():
            return
        try:
            self._was_told(self.ask())
        except SesUnavailable as error:
            logger.warning("sending quota not read", reason=str(error))

    def _was_told(self, account: SendingAccount) -> None:
        """Take note of SES's answer, and of when it came."""
        self._account = account
        self._asked_at = self._told_at = self._now()

    def _refresh(self) -> None:
        """Learn what SES permits from the item; where that is old, ask SES, one dispatcher at a time."""
        now = self._now()
        if self._account and now < self._ask_from:
            return
        turn = limits.ACCOUNT_RETRY if self._told else limits.ACCOUNT_TURN
        oldest = now + (limits.ACCOUNT_CACHE + limits.CLOCK_TOLERANCE) * 1000
        try:
            answer = self._write(
                {"askFrom": now + turn * 1000}, when=Outside("askFrom", now, oldest)
            )
            if answer.made:
                self._keep(self.ask())
        except (LedgerUnavailable, SesUnavailable) as error:
            logger.warning("sending quota not read", reason=str(error))

    def _keep(self, account: SendingAccount) -> None:
        """Tell all dispatchers."""
        valid = limits.ACCOUNT_CACHE if account.sends else limits.ACCOUNT_RETRY
        self._was_told(account)
        self._ask_from = self._told_at + valid * 1000
        unlimited = account.quota_left == float("inf")
        kept = {
            "rate": Decimal(str(account.rate)),
            "quotaLeft": None if unlimited else Decimal(str(account.quota_left)),
            "enabled": account.enabled,
            "at": self._told_at,
        }
        self._write({"account": kept, "askFrom": self._ask_from})

    # --- the line ---------------------------------------------------------------------------------

    def reserve(self, mails: int, rate: float) -> list[float] | None:
        """Reserve sending slots for `mails` at `rate` (above 0) mails a second.

        Returns:
            The moment of each slot in epoch seconds of this dispatcher's clock; None where the line is
            longer than a dispatcher can wait, which means that others use the rate up already.
        """
        interval, clock_ahead, now = 1000 / (rate * MARGIN), self._clock_ahead, self._now()
        rest = round(limits.PACING_REST * self.dispatchers * interval)
        rests = now >= self._rests_from
        if mails == 1 and rests and self._knows() and not self._refused:
            self._owed, self._unwritten_at, self._rests_from = 1, now, now + rest
            return [self.clock()]
        owed = 0 if rests else self._owed
        try:
            slots = self._reserve(owed + mails, interval)
            if self._clock_ahead != clock_ahead:  # now it is known: that reservation was wrong
                slots = self._reserve(owed + mails, interval)
        except LedgerUnavailable as error:
            logger.warning("not paced", reason=str(error))
            slots = _spaced(mails, interval, self._now())
        else:
            if slots is not None:
                self._refused, self._owed, slots = False, 0, slots[owed:]
        self._rests_from = max(self._now(), self._free_from) + rest
        return None if slots is None else [slot / 1000 + self._clock_ahead for slot in slots]

    def _reserve(self, mails: int, interval: float) -> list[float] | None:
        """Move the moment from which slots are free behind those of `mails`; return them, or None.

        All in milliseconds.

        Raises:
            LedgerUnavailable: the table throttled, answered 5xx or not at all.
        """
        now, span = self._now(), round(mails * interval)
        # No honest reservation ends later: somebody's clock was ahead, so the line starts anew.
        possible = now + (limits.PACING_BUDGET + limits.CLOCK_TOLERANCE) * 1000
        idle = now - limits.PACING_IDLE * 1000
        if max(self._free_from, self._unwritten_at) <= idle:
            warm = now + round(
                min(limits.PACING_COLD_START * 1000, limits.DISPATCHER_BATCH * interval)
            )
            when = Outside("freeFrom", idle, possible)
            if self._write({"freeFrom": warm + span}, when=when).made:
                return [now, *_spaced(mails, interval, warm)[1:]]
        # What a line that ran dry a moment ago left unused is used up: SES takes short bursts.
        empty = now - round(limits.PACING_BURST * 1000)
        when = Outside("freeFrom", empty, possible)
        if self._write({"freeFrom": now + span}, when=when).made:
            return _spaced(mails, interval, now)
        latest = now + limits.PACING_BUDGET * 1000 - span
        if self._free_from > latest:  # as that answer told
            return None
        when = Inside("freeFrom", empty, latest)
        if self._write({}, when=when, moved={"freeFrom": span}).made:
            return _spaced(mails, interval, self._free_from - span)
        return None

    # --- the item ---------------------------------------------------------------------------------

    def _now(self) -> int:
        """Return the table's time in epoch milliseconds."""
        return round((self.clock() - self._clock_ahead) * 1000)

    def _write(
        self,
        changes: Mapping[str, object],
        *,
        when: Outside | None = None,
        moved: Mapping[str, int] | None = None,
    ) -> Answer:
        """Write to the item, and learn what it and the table's clock say."""
        answer = self.update(changes, when, moved or {})
        if answer.at is not None:
            self._compare_clocks(answer.at)
        if kept := answer.item.get("account"):
            self._told = True
            self._learn(kept)
        self._ask_from = int(answer.item.get("askFrom", 0))
        self._free_from = int(answer.item.get("freeFrom", 0))
        return answer

    def _learn(self, kept: Mapping[str, Any]) -> None:
        """Take what the item says of the account, unless this dispatcher was told later.

        A moment that is still to come is a wrong clock's, and says nothing.
        """
        at = int(kept.get("at", 0))
        told_at = at if at <= self._now() + limits.CLOCK_TOLERANCE * 1000 else 0
        if self._account is None or told_at >= self._told_at:
            self._told_at = told_at
            self._account = SendingAccount(
                rate=float(kept["rate"]),
                quota_left=float("inf") if kept["quotaLeft"] is None else float(kept["quotaLeft"]),
                enabled=kept["enabled"],
            )

    def _compare_clocks(self, at: float) -> None:
        """Correct this clock by the table's, which tells whole seconds, where it is surely wrong."""
        ahead = self.clock() - (at + 0.5)
        if abs(ahead) <= limits.CLOCK_TOLERANCE:
            self._clock_ahead = 0.0
        elif abs(ahead - self._clock_ahead) > limits.CLOCK_TOLERANCE:
            self._clock_ahead = ahead

    def update(
        self, changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
    ) -> Answer:
        """Set `changes` and move the moments of `moved` by so many milliseconds, where `when` holds.

        The one method that calls DynamoDB.

        Raises:
            LedgerUnavailable: the table throttled, answered 5xx or not at all.
        """
        with ledger_errors():
            try:
                answer: Mapping[str, Any] = dynamodb().update_item(
                    TableName=self.table,
                    Key={"notificationId": serialize(PACE_KEY)},
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **_expressions(changes, when, moved),
                )
            except dynamodb().exceptions.ConditionalCheckFailedException as failed:
                answer = failed.response
        item = answer.get("Attributes", answer.get("Item", {}))
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return Answer(
            made="Attributes" in answer,
            item={name: deserialize(value) for name, value in item.items()},
            at=parsedate_to_datetime(date).timestamp() if date else None,
        )


def _spaced(mails: int, interval: float, start: float) -> list[float]:
    return [start + i * interval for i in range(mails)]


def _expressions(
    changes: Mapping[str, object], when: Outside | None, moved: Mapping[str, int]
) -> dict[str, Any]:
    """Return UpdateItem's expressions, with the names and values in them."""
    names = {f"#{name}": name for name in (*changes, *moved)}
    values = {f":{name}": value for name, value in {**changes, **moved}.items()}
    clauses = [f"SET {', '.join(f'#{n} = :{n}' for n in changes)}"] * bool(changes)
    clauses += [f"ADD {', '.join(f'#{n} :{n}' for n in moved)}"] * bool(moved)
    expressions: dict[str, Any] = {"UpdateExpression": " ".join(clauses)}
    if when:
        names["#moment"] = when.attribute
        values |= {":after": when.after, ":until": when.until}
        expressions["ConditionExpression"] = when.expression
    return expressions | {
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {name: serialize(value) for name, value in values.items()},
    }
