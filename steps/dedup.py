"""Dedup: claim the notification, or find out who has it. One conditional put in the ordinary case."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from steps import aws, ledger, limits
from steps.errors import LedgerUnavailable
from steps.function import StepEvent, count, logger, step

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.model import Claim, State


def claim(state: State, owner: str, now: float) -> Claim:
    """Claim the state's notification for `owner`.

    Raises:
        LedgerUnavailable: the table did not answer, or changed under us too often.
    """
    order = state["order"]
    grace = int(os.environ.get("IN_DOUBT_GRACE_SECONDS", limits.IN_DOUBT_GRACE))
    put = ledger.claim(
        notification_id=state["notificationId"],
        order_id=state["orderId"],
        event_type=order["eventType"],
        recipient=order["customerEmail"],
        owner=owner,
        now=now,
    )
    found = aws.write(put)
    for _ in range(3):
        if found is None:
            return {"result": "NEW", "retryAfter": 0}
        if not found:  # Deleted between our write and its answer.
            found = aws.write(put)
            continue
        match ledger.judge(found, owner=owner, now=now, grace=grace):
            case ledger.New():
                return {"result": "NEW", "retryAfter": 0}
            case ledger.Duplicate(status):
                count("EmailDuplicate")
                logger.info("duplicate", status=status)
                return {"result": "DUPLICATE", "retryAfter": 0}
            case ledger.InProgress(retry_after):
                return {"result": "IN_PROGRESS", "retryAfter": retry_after}
            case ledger.TakeOver(change, in_doubt):
                found = aws.write(change)
                if found is None and in_doubt:
                    count("EmailInDoubt")
                    logger.warning("in doubt: no event of SES's came, sending again")
    raise LedgerUnavailable("the record changed under the claim three times")


@step
def handler(event: StepEvent, _context: LambdaContext) -> Claim:
    """Take `{execution, state: {notificationId, orderId, order}}`, return the claim."""
    return claim(event["state"], event["execution"], time.time())
