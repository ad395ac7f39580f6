"""Dedup: claim the notification, or find out who has it. One conditional put in the ordinary case."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.aws.ledger_table import LedgerTable
from steps.contract import limits
from steps.contract.errors import LedgerUnavailable
from steps.contract.handler import count, logger, step_handler
from steps.contract.metrics import Metric
from steps.contract.settings import FunctionSettings
from steps.contract.state import Claim, ClaimResult
from steps.ledger import rules

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.state import State, StepEvent
    from steps.ledger.status import Status


@dataclass(frozen=True, kw_only=True)
class DedupSettings(FunctionSettings):
    """Where claims are kept, and how many seconds a mail in doubt waits for SES's own event."""

    tracking_table: str
    in_doubt_grace_seconds: int


def claim(
    state: State,
    owner: str,
    *,
    table: LedgerTable,
    now: float,
    grace: int = limits.IN_DOUBT_GRACE,
) -> Claim:
    """Claim the state's notification for `owner`.

    Raises:
        LedgerUnavailable: the table did not answer, or changed under us each time.
    """
    put, started = _put(state, owner, now), state.get("startedAt", int(now))
    request: rules.Put | rules.Update = put
    in_doubt = linked = False
    for _ in range(limits.CLAIM_WRITES):
        record = table.write(request)
        if record is None:
            return _new(in_doubt=in_doubt, linked=linked)
        if not record:  # Deleted between our write and its answer.
            request, in_doubt, linked = put, False, False
            continue
        verdict = rules.judge(
            record,
            owner=owner,
            started=started,
            now=now,
            grace=grace,
            content=state.get("content"),
            published_at=state.get("publishedAt"),
        )
        match verdict:
            case rules.New(in_doubt, linked):
                return _new(in_doubt=in_doubt, linked=linked)
            case rules.Duplicate(status):
                _note(record, state, status, table=table, now=now)
                return Claim(result=ClaimResult.DUPLICATE, retryAfter=0)
            case rules.InProgress(retry_after):
                return Claim(result=ClaimResult.IN_PROGRESS, retryAfter=retry_after)
            case rules.TakeOver(request, in_doubt, linked):
                pass
    raise LedgerUnavailable("the record changed under the claim each time")


def _new(*, in_doubt: bool, linked: bool) -> Claim:
    if in_doubt:
        count(Metric.IN_DOUBT)
        logger.warning("in doubt: no event of SES's came, sending again")
    claim = Claim(result=ClaimResult.NEW, retryAfter=0)
    return {**claim, "linked": True} if linked else claim


def _note(
    record: rules.Record, state: State, status: Status, *, table: LedgerTable, now: float
) -> None:
    """Count a duplicate; one that says something else is no repetition, and an operator is to see it."""
    count(Metric.DUPLICATE)
    if rules.differs(record, state.get("content")):
        table.write(rules.ignored(record, now))
        logger.warning("duplicate says something else", status=status)
    else:
        logger.info("duplicate", status=status)


def _put(state: State, owner: str, now: float) -> rules.Put:
    order = state["order"]
    return rules.claim(
        notification_id=state["notificationId"],
        order_id=state["orderId"],
        event_type=order["eventType"],
        recipient=order["customerEmail"],
        owner=owner,
        now=now,
        part=state.get("part"),
        published_at=state.get("publishedAt"),
        content=state.get("content"),
        resend=state.get("resend"),
    )


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> Claim:
    """Take `{execution, state: {notificationId, orderId, order}}`, return the claim."""
    settings = DedupSettings.from_env()
    return claim(
        event["state"],
        event["execution"],
        table=LedgerTable(settings.tracking_table),
        now=time.time(),
        grace=settings.in_doubt_grace_seconds,
    )
