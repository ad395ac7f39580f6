"""Validate: is the message an order event? Pure; what is wrong is said field by field, all at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from steps.contract.handler import logger, step_handler
from steps.kinds.parsing import InvalidEvent, identify, parse, printable
from steps.ledger import rules

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.state import Rejection, State, StepEvent

UNKNOWN_ORDER = "UNKNOWN"
"""The order id under which an event is kept that names none, so that `OrderIdIndex` finds it."""

KEPT_BYTES = 64 * 1024
"""How much of a rejected message is kept: an item of the table holds 400 KB, an execution 256 KiB."""

REASONS, REASON_LENGTH = 100, 300
"""How many reasons are kept, and how much of each."""


def validate(state: State, now: datetime) -> State:
    """Return the state to go on with: `order` for a valid message, else `rejection`."""
    message = state["message"]
    try:
        order = parse(message, now)
    except InvalidEvent as invalid:
        return _rejected(state, invalid)
    return {
        "attempt": state["attempt"],
        "lastReceive": state.get("lastReceive", False),  # absent while a deployment goes on
        "startedAt": int(now.timestamp()),
        "orderId": order.order_id,
        "notificationId": rules.notification_id(
            order.order_id, order.event_type, order.customer_email
        ),
        "order": order.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def _rejected(state: State, invalid: InvalidEvent) -> State:
    message = state["message"]
    fields = invalid.raw if isinstance(invalid.raw, dict) else {}
    order_id, recipient = fields.get("orderId"), fields.get("customerEmail")
    rejection: Rejection = {
        "orderId": printable(order_id[:128])
        if isinstance(order_id, str) and order_id
        else UNKNOWN_ORDER,
        "customerEmail": printable(recipient[:320]) if isinstance(recipient, str) else "",
        "event": printable(message).encode()[:KEPT_BYTES].decode(errors="ignore"),
        "reasons": [
            {"path": r["path"][:REASON_LENGTH], "reason": r["reason"][:REASON_LENGTH]}
            for r in invalid.reasons[:REASONS]
        ],
    }
    if identity := identify(fields):
        rejection["claimed"] = rules.notification_id(*identity)
    return {
        "attempt": state["attempt"],
        "lastReceive": state.get("lastReceive", False),  # absent while a deployment goes on
        "notificationId": rules.rejected_id(printable(message)),
        "rejection": rejection,
    }


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> State:
    """Take `{state: {message, attempt, lastReceive}}`, return the next state."""
    state = validate(event["state"], datetime.now(UTC))
    if rejection := state.get("rejection"):
        logger.warning("event rejected", fields=[r["path"] for r in rejection["reasons"]])
    return state
