"""Pace: all dispatchers together start mails no faster than SES lets the account send.

The generic cell rate algorithm (ITU-T I.371) over one item of the tracking table: it holds the moment
from which sending slots are free, in epoch milliseconds. A batch reserves its slots with one write
while the account has room, two under overload, and each mail waits for its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steps.aws.ledger_table import deserialize, dynamodb, ledger_errors, serialize
from steps.aws.ses import SendingAccount, sending_account
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable, SesUnavailable
from steps.contract.handler import logger

if TYPE_CHECKING:
    from collections.abc import Callable

PACE_KEY = "pace"
"""The key of the item, beside the records of notifications."""

MARGIN = 0.95
"""Of the permitted rate: the way from the dispatcher to SES is not equally long for all mails."""

SANDBOX_RATE = 1.0
"""Mails a second of the smallest account there is: what is safe while GetAccount does not answer."""


@dataclass
class Pace:
    """The sending slots kept in the tracking table called `table`, and what SES permits the account."""

    table: str
    clock: Callable[[], float] = time.time
    ask: Callable[[], SendingAccount] = sending_account
    _account: SendingAccount | None = field(default=None, init=False)
    _believed_until: float = field(default=0.0, init=False)

    def account(self) -> SendingAccount:
        """Return what SES permits the account, at most `limits.ACCOUNT_CACHE` seconds old.

        While it does not send it is asked more often, so that mails go out soon after it does again.
        While GetAccount fails, the last answer counts; without any, the sandbox's rate.
        """
        if (now := self.clock()) >= self._believed_until:
            try:
                self._account = self.ask()
                sends = self._account.enabled and self._account.quota_left > 0
                self._believed_until = now + (
                    limits.ACCOUNT_CACHE if sends else limits.ACCOUNT_RETRY
                )
            except SesUnavailable as error:
                logger.warning("sending quota not read", reason=str(error))
                self._believed_until = now + limits.ACCOUNT_RETRY
        return self._account or SendingAccount(rate=SANDBOX_RATE, quota_left=1, enabled=True)

    def reserve(self, mails: int, rate: float) -> list[float] | None:
        """Reserve sending slots for `mails` at `rate` mails a second.

        Returns:
            The moment of each slot in epoch seconds; None where the line is longer than a dispatcher can
            wait, which means that other dispatchers use the rate up already.
        """
        interval = 1000 / (rate * MARGIN)
        now = round(self.clock() * 1000)
        span = round(mails * interval)
        latest = now + limits.PACING_BUDGET * 1000 - span
        try:
            start = self.reserve_span(span, now=now, latest=latest)
        except LedgerUnavailable as error:
            logger.warning("not paced", reason=str(error))
            start = now
        return None if start is None else [(start + i * interval) / 1000 for i in range(mails)]

    def reserve_span(self, span: int, *, now: int, latest: int) -> int | None:
        """Move the moment from which slots are free by `span`; all in epoch milliseconds.

        Returns:
            The start of the reserved span: `now` where the line is empty, else the line's end so far.
            None where that is later than `latest`.

        Raises:
            LedgerUnavailable: the table throttled, answered 5xx or not at all.
        """
        begin = {":now": now, ":end": now + span}
        if self._move(
            "SET freeFrom = :end", "attribute_not_exists(freeFrom) OR freeFrom <= :now", begin
        ):
            return now
        # The moment only ever grows, so what is refused now is a line that is too long.
        free_from = self._move(
            "SET freeFrom = freeFrom + :span",
            "freeFrom > :now AND freeFrom <= :latest",
            {":now": now, ":span": span, ":latest": latest},
        )
        return free_from and free_from - span

    def _move(self, update: str, condition: str, values: dict[str, int]) -> int | None:
        """Update the item; return its new moment, None where the condition does not hold."""
        with ledger_errors():
            try:
                answer = dynamodb().update_item(
                    TableName=self.table,
                    Key={"notificationId": serialize(PACE_KEY)},
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues={n: serialize(v) for n, v in values.items()},
                    ReturnValues="UPDATED_NEW",
                )
            except dynamodb().exceptions.ConditionalCheckFailedException:
                return None
        return int(deserialize(answer["Attributes"]["freeFrom"]))
