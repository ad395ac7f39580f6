"""What a function answers that Lambda hands a batch to: which part of it is not done."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable


class BatchItemFailure(TypedDict):
    """A message that stays on its queue, or the change of a stream from which on all come again."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """A partial batch response ("ReportBatchItemFailures", AWS Lambda Developer Guide)."""

    batchItemFailures: list[BatchItemFailure]


def not_done(identifiers: Iterable[str]) -> BatchResponse:
    """Return the answer that names what is not done."""
    return {"batchItemFailures": [{"itemIdentifier": one} for one in identifiers]}
