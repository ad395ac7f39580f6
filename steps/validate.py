"""Validate: is the message an order event? Pure; what is wrong is said field by field, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steps import model
from steps.function import StepEvent, logger, step

if TYPE_CHECKING:
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

UNKNOWN_ORDER = "UNKNOWN"
"""The order id under which an event is kept that names none, so that `OrderIdIndex` finds it."""

KEPT_CHARACTERS = 64 * 1024
"""How much of a rejected message is kept: an item of the table holds 400 KB, an execution 256 KiB."""


def validate(message: str, attempt: int, now: datetime | None = None) -> model.State:
    """Return the state to go on with: `order` for a valid message, else `rejection`."""
    try:
        order = model.parse(message, now)
    except model.InvalidEvent as invalid:
        found = invalid.raw if isinstance(invalid.raw, dict) else {}
        order_id = found.get("orderId")
        recipient = found.get("customerEmail")
        return {
            "attempt": attempt,
            "notificationId": model.rejected_id(message),
            "rejection": {
                "orderId": order_id[:128]
                if isinstance(order_id, str) and order_id
                else UNKNOWN_ORDER,
                "customerEmail": recipient[:320] if isinstance(recipient, str) else "",
                "event": message[:KEPT_CHARACTERS],
                "reasons": invalid.reasons[:100],
            },
        }
    return {
        "attempt": attempt,
        "orderId": order.order_id,
        "notificationId": model.notification_id(
            order.order_id, order.event_type, order.customer_email
        ),
        "order": order.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


@step
def handler(event: StepEvent, _context: LambdaContext) -> model.State:
    """Take `{state: {message, attempt}}`, return the next state."""
    state = validate(event["state"]["message"], event["state"]["attempt"])
    if rejection := state.get("rejection"):
        logger.warning("event rejected", fields=[r["path"] for r in rejection["reasons"]])
    return state
