"""What may be shown of an order id, in logs and in names."""

from __future__ import annotations

import hashlib
import re

from steps.contract.text import identifier

HASH_DIGITS = 16

UNKNOWN_ORDER = "UNKNOWN"
"""The order id under which an event is kept that names none, so that `OrderIdIndex` finds it."""


def shown(order_id: str) -> str:
    """Return an order id as an operator sees it: itself, or the first digits of its SHA-256.

    It is read as the order event's is, so what is shown before and after Validate is the same. It is shown
    if it is made of letters, digits, `-`, `_`, `.`, `#` and `/`. Whatever else stands in its
    place may be personal data, such as an address.
    """
    order_id = identifier(order_id)
    if re.fullmatch(r"[\w.#/-]+", order_id, re.ASCII):
        return order_id
    return hashlib.sha256(order_id.encode("utf-8", "backslashreplace")).hexdigest()[:HASH_DIGITS]


def in_name(order_id: str) -> str:
    """Return an order id that is shown as it stands in an execution's name, which takes fewer characters."""
    return re.sub(r"[.#/]", "-", order_id)
