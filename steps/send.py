"""Send: mark the record SENDING, then hand the mail to SES, once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from steps import aws, ledger
from steps.errors import ClaimLost, OrderMailError, SendDeferred
from steps.function import StepEvent, logger, step

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.model import Receipt, State


def send(state: State, owner: str) -> Receipt:
    """Send the state's mail for the claim's owner.

    Raises:
        ClaimLost: another execution took the claim over; nothing was sent.
        SendDeferred: SES refused for now; the record is CLAIMED again.
        SendRejected: SES refused for good; the record step writes it down.
        SendOutcomeUnknown: the record stays SENDING.
    """
    notification_id = state["notificationId"]
    found = aws.write(ledger.sending(notification_id=notification_id, owner=owner, now=time.time()))
    if found is not None:
        raise ClaimLost("another execution owns the notification")
    try:
        message_id = aws.send_email(
            state["email"], sender=os.environ["SENDER"], tags={"notificationId": notification_id}
        )
    except SendDeferred:
        try:
            aws.write(ledger.refused(notification_id=notification_id, owner=owner, now=time.time()))
        except OrderMailError:
            # The record stays SENDING and is settled after the grace period: late, never twice.
            logger.warning("could not take SENDING back")
        raise
    return {"messageId": message_id, "sentAt": ledger.iso(time.time())}


@step
def handler(event: StepEvent, _context: LambdaContext) -> Receipt:
    """Take `{execution, state: {notificationId, email}}`, return SES's receipt."""
    receipt = send(event["state"], event["execution"])
    logger.info("accepted", message_id=receipt["messageId"])
    return receipt
