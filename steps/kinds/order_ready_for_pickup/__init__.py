"""`order.ready_for_pickup`: the order waits for the customer, in a store or a parcel shop."""

from datetime import timedelta
from typing import Literal

from steps.contract.order_event import Day, Moment, OrderEvent, PartId, PickupPoint, Pieces, Text

MAX_AGE = timedelta(days=7)
STAGE = 2
ITEMS = "pickupItems"
IDENTITY = "pickupId"


class OrderReadyForPickup(OrderEvent):
    """Adds what is asked for there, and until when it waits. Without `pickupItems` it is the whole order."""

    event_type: Literal["order.ready_for_pickup"]
    event_timestamp: Moment
    pickup_point: PickupPoint
    pickup_id: PartId = None
    pickup_code: Text | None = None
    pickup_until: Day | None = None
    pickup_items: Pieces | None = None
