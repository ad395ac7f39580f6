"""`order.refunded`: money is on its way back to the customer."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from steps.contract.order_event import Moment, Money, OrderEvent, PartId, RefundedPieces, Text

MAX_AGE = timedelta(days=30)
ITEMS = "refundItems"
IDENTITY = "refundId"


class OrderRefunded(OrderEvent):
    """Adds how much and for what. Without `refundItems` the refund names no items."""

    event_type: Literal["order.refunded"]
    event_timestamp: Moment
    refund_id: PartId = None
    refund_amount: Annotated[Money, Field(gt=0)]
    refund_method: Text | None = None
    refund_items: RefundedPieces | None = None
