"""What can be read of a message of the order topic that nobody has validated yet."""

from __future__ import annotations

import json


def field(message: str, name: str) -> str:
    """Return one of a message's texts by its name; empty where there is none, or none can be read."""
    try:
        # Numbers are no matter here, and one of too many digits is an error to `int`.
        value = json.loads(message.removeprefix("\ufeff"), parse_int=float)[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return value if isinstance(value, str) else ""
