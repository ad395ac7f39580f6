"""Validate: is the message an order event? Pure; what is wrong is said field by field, all at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from steps import kinds
from steps.contract import limits
from steps.contract.handler import logger, step_handler
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.contract.order_id import UNKNOWN_ORDER, shown
from steps.contract.rejection_words import named
from steps.contract.state import encoded_size
from steps.kinds.parsing import InvalidEvent, identify, parse, printable
from steps.ledger import rules

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.order_event import OrderEvent
    from steps.contract.state import Rejection, State, StepEvent


def validate(state: State, now: datetime) -> State:
    """Return the state to go on with: `order` for a valid message, else `rejection`."""
    try:
        return _accepted(state, parse(state["message"], now), now)
    except InvalidEvent as invalid:
        return _rejected(state, invalid)


def _of_message(state: State) -> State:
    """Return what the dispatcher says of the message; only `attempt` is there while a deployment goes on."""
    of_message: State = {
        "attempt": state["attempt"],
        "lastReceive": state.get("lastReceive", False),
    }
    if published := state.get("publishedAt"):
        of_message["publishedAt"] = published
    return of_message


def _accepted(state: State, order: OrderEvent, now: datetime) -> State:
    fields = order.model_dump(mode="json", by_alias=True, exclude_none=True)
    part = kinds.part(fields)
    accepted: State = {
        **_of_message(state),
        "startedAt": int(now.timestamp()),
        "orderId": order.order_id,
        "eventType": order.event_type,
        "part": part,
        "content": order.content(),
        "notificationId": rules.notification_id(
            order.order_id, order.event_type, order.customer_email, part, order.resent()
        ),
        "order": {name: value for name, value in fields.items() if name != "resend"},
    }
    if "resend" in fields:
        accepted["resend"] = fields["resend"]
    if (size := encoded_size(accepted)) > limits.ANSWER_MAX_BYTES:
        reason = (
            f"takes {size} bytes once it is validated, and {limits.ANSWER_MAX_BYTES} are the most:"
            " send shorter texts and links (one that is not ASCII grows threefold), or fewer items"
        )
        raise InvalidEvent([{"path": "$", "reason": reason}], fields)
    return accepted


def _rejected(state: State, invalid: InvalidEvent) -> State:
    message = state["message"]
    fields = invalid.raw if isinstance(invalid.raw, dict) else {}
    order_id, recipient = fields.get("orderId"), fields.get("customerEmail")
    rejection: Rejection = {
        "orderId": printable(order_id[: limits.ID_MAX_LENGTH])
        if isinstance(order_id, str) and order_id
        else UNKNOWN_ORDER,
        "customerEmail": printable(recipient[: limits.ADDRESS_MAX_LENGTH])
        if isinstance(recipient, str)
        else "",
        "event": _kept(printable(message)),
        "reasons": [
            {
                "path": r["path"][: limits.REASON_MAX_LENGTH],
                "reason": r["reason"][: limits.REASON_MAX_LENGTH],
            }
            for r in invalid.reasons[: limits.REASONS_MAX]
        ],
    }
    if event_type := _shown_kind(invalid.raw):
        rejection["eventType"] = event_type
    if identity := identify(fields):
        rejection["claimed"] = rules.notification_id(*identity)
        rejection["part"] = identity.part
        if identity.resent:
            rejection["resendOf"] = identity.resent[0]
    return {
        **_of_message(state),
        "notificationId": rules.rejected_id(printable(message)),
        "rejection": rejection,
    }


def _shown_kind(raw: object) -> str:
    """Return the kind that an event names, known or not; nothing where it may be anything else: a name, say."""
    event_type = raw.get("eventType", DEFAULT_EVENT_TYPE) if isinstance(raw, dict) else None
    return event_type if isinstance(event_type, str) and _A_KIND.fullmatch(event_type) else ""


_A_KIND = re.compile(r"order\.[a-z_]{1,58}")


def _kept(text: str) -> str:
    """Return as much of a text as `KEPT_EVENT_BYTES` of JSON hold."""
    while (size := encoded_size(text)) > limits.KEPT_EVENT_BYTES:
        text = text[: len(text) * limits.KEPT_EVENT_BYTES // size]
    return text


@step_handler
def handler(event: StepEvent, _context: LambdaContext) -> State:
    """Take `{state: {message, publishedAt, attempt, lastReceive}}`, return the next state."""
    state = validate(event["state"], datetime.now(UTC))
    if rejection := state.get("rejection"):
        logger.warning(
            "event rejected",
            order_id=shown(rejection["orderId"]),
            reasons=named(rejection["reasons"]),
        )
    return state
