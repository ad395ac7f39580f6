"""`order.backordered`: what was ordered is out of stock, and comes later than was said."""

from datetime import timedelta
from typing import Literal

from steps.contract.order_event import Day, Moment, OrderEvent, PartId, Pieces

MAX_AGE = timedelta(days=7)
STAGE = 1
ITEMS = "backorderedItems"
IDENTITY = "backorderId"


class OrderBackordered(OrderEvent):
    """Adds which items, and the new date. Without `backorderedItems` it is the whole order."""

    event_type: Literal["order.backordered"]
    event_timestamp: Moment
    backorder_id: PartId = None
    expected_ship_date: Day | None = None
    backordered_items: Pieces | None = None
