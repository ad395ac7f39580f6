"""`order.shipped`: a parcel is with the carrier."""

from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import Field

from steps.contract.order_event import Moment, OrderEvent, Piece, Text, WebLink

MAX_AGE = timedelta(days=14)


class OrderShipped(OrderEvent):
    """Adds who carries the parcel and what is in it. Without `parcelItems` it holds the whole order."""

    event_type: Literal["order.shipped"]
    event_timestamp: Moment
    carrier: Text
    tracking_number: Text | None = None
    tracking_url: WebLink | None = None
    estimated_delivery: date | None = None
    parcel_items: Annotated[list[Piece], Field(min_length=1)] | None = None
