"""Send: mark the record SENDING, then hand the mail to SES, once."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.aws.ledger_table import LedgerTable
from steps.aws.ses import Ses
from steps.contract import limits
from steps.contract.errors import (
    ClaimLost,
    LedgerUnavailable,
    OrderMailError,
    SendDeferred,
    SendRejected,
)
from steps.contract.handler import logger, step_handler
from steps.contract.settings import FunctionSettings
from steps.ledger import rules
from steps.ledger.ses_events import NOTIFICATION_TAG
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.state import Receipt, State, StepEvent


@dataclass(frozen=True, kw_only=True)
class SendSettings(FunctionSettings):
    """Where claims are kept, who sends (a bare address), and through which configuration set."""

    tracking_table: str
    sender: str
    configuration_set: str


def send(
    state: State,
    owner: str,
    *,
    table: LedgerTable,
    ses: Ses,
    handover_id: str,
    clock: Callable[[], float] = time.time,
) -> Receipt:
    """Send the state's mail for the claim's owner; `handover_id` is this call's alone.

    Raises:
        ClaimLost: another execution took the claim over, or the record was erased; nothing was sent.
        SendDeferred: SES refused for now; the record is CLAIMED again.
        SendRejected: SES refuses the mail as it is; the record step writes it down.
        SendOutcomeUnknown: the record stays SENDING.
    """
    notification_id = state["notificationId"]
    _say_so(notification_id, owner, table=table, handover_id=handover_id, now=clock())
    try:
        message_id = ses.send(state["email"], tags={NOTIFICATION_TAG: notification_id})
    except (SendDeferred, SendRejected):
        try:
            table.write(
                rules.refused(
                    notification_id=notification_id,
                    owner=owner,
                    handover_id=handover_id,
                    now=clock(),
                )
            )
        except OrderMailError:
            # The record stays SENDING and is settled after the grace period: late, never twice.
            logger.warning("could not take SENDING back")
        raise
    return {"messageId": message_id, "sentAt": rules.iso(clock()), "handoverId": handover_id}


def _say_so(
    notification_id: str, owner: str, *, table: LedgerTable, handover_id: str, now: float
) -> None:
    """Mark the record SENDING by this call."""
    previous = None
    for _ in range(limits.SENDING_WRITES):
        record = table.write(
            rules.sending(
                notification_id=notification_id,
                owner=owner,
                handover_id=handover_id,
                previous=previous,
                now=now,
            )
        )
        if record is None:
            return
        if rules.is_erased(record):
            raise ClaimLost("the record was erased")
        if record.get("owner") != owner or record["status"] not in (Status.CLAIMED, Status.SENDING):
            raise ClaimLost("another execution owns the notification")
        previous = record["handoverId"]
        if previous == handover_id:  # Our own write; its answer was lost.
            return
    raise LedgerUnavailable("an earlier call's writes came in between each time")


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> Receipt:
    """Take `{execution, state: {notificationId, email}}`, return SES's receipt."""
    settings = SendSettings.from_env()
    receipt = send(
        event["state"],
        event["execution"],
        table=LedgerTable(settings.tracking_table),
        ses=Ses(sender=settings.sender, configuration_set=settings.configuration_set),
        handover_id=uuid.uuid4().hex,
    )
    logger.info("accepted", message_id=receipt["messageId"])
    return receipt
