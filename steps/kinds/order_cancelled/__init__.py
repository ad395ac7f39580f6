"""`order.cancelled`: the order will not be delivered."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from steps.contract.order_event import Moment, Money, OrderEvent, Text

MAX_AGE = timedelta(days=30)


class OrderCancelled(OrderEvent):
    """Adds why, and what the customer gets back, if anything was paid."""

    event_type: Literal["order.cancelled"]
    event_timestamp: Moment
    cancellation_reason: Text | None = None
    refund_amount: Annotated[Money, Field(gt=0)] | None = None
