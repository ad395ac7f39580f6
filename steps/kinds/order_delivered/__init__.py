"""`order.delivered`: the parcel has arrived."""

from datetime import timedelta
from typing import Literal

from steps.contract.order_event import Moment, OrderEvent, PartId, Pieces, Text, WebLink

MAX_AGE = timedelta(days=7)
STAGE = 3
ITEMS = "parcelItems"
IDENTITY = "shipmentId"


class OrderDelivered(OrderEvent):
    """Adds where it was left. Without `parcelItems` the parcel held the whole order."""

    event_type: Literal["order.delivered"]
    event_timestamp: Moment
    shipment_id: PartId = None
    carrier: Text | None = None
    tracking_number: Text | None = None
    tracking_url: WebLink | None = None
    delivered_to: Text | None = None
    parcel_items: Pieces | None = None
