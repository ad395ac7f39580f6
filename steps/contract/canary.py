"""What a canary is: an order of our own, to SES's mailbox simulator, that shows whether mails arrive.

It is a mail like any other, and counted nowhere, as no mail to the simulator is. Besides, the shop is not told
of it, which did not order it.
"""

from __future__ import annotations

from steps.contract.recipient import is_simulated

ORDER_PREFIX = "CANARY-"


def is_canary(order_id: str, recipient: str) -> bool:
    """Whether an order is a canary. A shop's own order may have such an id, but it goes to a customer."""
    return order_id.startswith(ORDER_PREFIX) and is_simulated(recipient)
