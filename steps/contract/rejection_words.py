"""What may be said of a rejection in logs and alerts: which field, and the fixed words of the reason.

A reason's sentence is for the record. Behind its colon it may quote the event, down to single characters of an
address (`email_validator`); and what differs from event to event could not be counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from steps.contract import limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steps.contract.state import Reason

_INDEX = re.compile(r"\[\d+\]")
_LONG_NUMBER = re.compile(r"\d{5,}")
"""A size that is said; and never somebody's number."""


def named(reasons: Iterable[Reason]) -> list[str]:
    """Return the first few reasons as `path: fixed words`, each once: `orderItems[].price: is required`."""
    each = dict.fromkeys(_words(reason) for reason in reasons)
    return list(each)[: limits.REASONS_NAMED]


def _words(reason: Reason) -> str:
    path, sentence = _INDEX.sub("[]", reason["path"]), reason["reason"].partition(":")[0]
    return _LONG_NUMBER.sub("N", f"{path}: {sentence}")[: limits.REASON_NAMED_LENGTH]
