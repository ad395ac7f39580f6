"""`order.shipped`: a parcel is with the carrier."""

from datetime import timedelta
from typing import Literal

from steps.contract.order_event import Day, Moment, OrderEvent, PartId, Pieces, Text, WebLink

MAX_AGE = timedelta(days=14)
STAGE = 2
ITEMS = "parcelItems"
IDENTITY = "shipmentId"


class OrderShipped(OrderEvent):
    """Adds who carries the parcel and what is in it. Without `parcelItems` it holds the whole order."""

    event_type: Literal["order.shipped"]
    event_timestamp: Moment
    shipment_id: PartId = None
    carrier: Text
    tracking_number: Text | None = None
    tracking_url: WebLink | None = None
    estimated_delivery: Day | None = None
    parcel_items: Pieces | None = None
