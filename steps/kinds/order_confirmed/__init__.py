"""`order.confirmed`: the shop has the order. The kind of an event that names none."""

from datetime import timedelta
from typing import Literal

from steps.contract.order_event import OrderEvent

MAX_AGE = timedelta(days=7)
STAGE = 1


class OrderConfirmed(OrderEvent):
    """Adds nothing: the order event is a confirmation."""

    event_type: Literal["order.confirmed"] = "order.confirmed"
