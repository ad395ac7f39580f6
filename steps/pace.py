"""Pace: all dispatchers together start mails no faster than SES lets the account send.

The generic cell rate algorithm (ITU-T I.371) over one item of the tracking table: it holds the moment
from which sending slots are free, in epoch milliseconds. A batch reserves its slots with one write
while the account has room, two under overload, and each mail waits for its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from steps import aws, limits
from steps.errors import LedgerUnavailable, SesUnavailable
from steps.function import logger

MARGIN = 0.95
"""Of the permitted rate: the way from the dispatcher to SES is not equally long for all mails."""

SANDBOX_RATE = 1.0
"""Mails a second of the smallest account there is: what is safe while GetAccount does not answer."""


@dataclass
class _Known:
    account: aws.SendingAccount | None = None
    until: float = 0.0


_known = _Known()


def account() -> aws.SendingAccount:
    """Return what SES permits the account, at most `limits.ACCOUNT_CACHE` seconds old.

    While it does not send it is asked more often, so that mails go out soon after it does again.
    While GetAccount fails, the last answer counts; without any, the sandbox's rate.
    """
    if time.time() >= _known.until:
        try:
            _known.account = aws.sending_account()
            sends = _known.account.enabled and _known.account.quota_left > 0
            _known.until = time.time() + (limits.ACCOUNT_CACHE if sends else limits.ACCOUNT_RETRY)
        except SesUnavailable as error:
            logger.warning("sending quota not read", reason=str(error))
            _known.until = time.time() + limits.ACCOUNT_RETRY
    return _known.account or aws.SendingAccount(rate=SANDBOX_RATE, quota_left=1, enabled=True)


def reserve(mails: int, rate: float) -> list[float] | None:
    """Reserve sending slots for `mails` at `rate` mails a second.

    Returns:
        The moment of each slot in epoch seconds; None where the line is longer than a dispatcher can
        wait, which means that other dispatchers use the rate up already.
    """
    interval = 1000 / (rate * MARGIN)
    now = round(time.time() * 1000)
    span = round(mails * interval)
    try:
        start = aws.reserve_slots(span, now=now, latest=now + limits.PACING_BUDGET * 1000 - span)
    except LedgerUnavailable as error:
        logger.warning("not paced", reason=str(error))
        start = now
    return None if start is None else [(start + i * interval) / 1000 for i in range(mails)]
