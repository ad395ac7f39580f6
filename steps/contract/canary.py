"""What a canary is: an order of our own, to SES's mailbox simulator, that shows whether mails arrive.

It is a mail like any other, and counted nowhere, as no mail to the simulator is. Besides, the shop is not told
of it, which did not order it.
"""

from __future__ import annotations

import re

from steps.contract.recipient import is_simulated

ORDER_PREFIX = "CANARY-"

_ORDER = re.compile(rf"{ORDER_PREFIX}\d{{8}}T\d{{6}}Z")


def is_named(order_id: str) -> bool:
    """Whether an order id is one that canaries have (`steps.reports.canary`): for who reads no address."""
    return bool(_ORDER.fullmatch(order_id))


def is_canary(order_id: str, recipient: str) -> bool:
    """Whether an order is a canary. A shop's own order may have such an id, but it goes to a customer."""
    return is_named(order_id) and is_simulated(recipient)
