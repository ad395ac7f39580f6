"""The documents of a mail: which files it brings, as attachments or as links, and which may be attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from steps.contract import limits
from steps.contract.attachments import (
    MEDIA_TYPES,
    Unattached,
    extension,
    is_named_apart,
    is_object,
)
from steps.contract.errors import AttachmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steps.contract.state import Reference


class Document(NamedTuple):
    """A file as a mail names it; `url` is where it can be had, empty where the shop says no place."""

    name: str
    url: str


def of_the_order(order: Mapping[str, Any], *, linked: bool) -> dict[str, Any]:
    """Return what templates are told of the documents.

    Returns:
        documents: a `Document` each. documents_attached: whether the mail brings them, not links alone.
    """
    given = order.get("attachments") or ()
    documents = [
        Document(a["fileName"], a.get("url") or order.get("orderUrl") or "") for a in given
    ]
    return {"documents": documents, "documents_attached": bool(documents) and not linked}


def references(order: Mapping[str, Any]) -> list[Reference]:
    """Return what the send step is told of the attachments; of too many, as many as say so."""
    given = order.get("attachments") or []
    return [
        {"uri": a["uri"], "sha256": a["sha256"], "fileName": a["fileName"]}
        for a in given[: limits.ATTACHMENTS_MAX + 1]
    ]


@dataclass(frozen=True, kw_only=True)
class Attachable:
    """What may be attached: objects below `prefix` (empty: none), with one of these file extensions."""

    prefix: str
    types: frozenset[str]

    @classmethod
    def of(cls, prefix: str, types: str) -> Self:
        """Read the settings: `s3://bucket/prefix/` and `pdf,xml`."""
        return cls(prefix=prefix, types=frozenset(types.split(",")))

    def media_types(self, references: Sequence[Reference]) -> list[str]:
        """Return the media types of a mail's attachments.

        Raises:
            AttachmentUnavailable: one may not be attached, or not with the others.
        """
        if len(references) > limits.ATTACHMENTS_MAX:
            raise AttachmentUnavailable(Unattached.TOO_MANY)
        if not is_named_apart([reference["fileName"] for reference in references]):
            raise AttachmentUnavailable(Unattached.SAME_NAME)
        return [self._media_type(reference) for reference in references]

    def _media_type(self, reference: Reference) -> str:
        uri = reference["uri"]
        if not self.prefix or not uri.startswith(self.prefix) or not is_object(uri):
            raise AttachmentUnavailable(Unattached.OUTSIDE_PREFIX)
        if (kind := extension(reference["fileName"])) not in self.types:
            raise AttachmentUnavailable(Unattached.TYPE_NOT_ALLOWED)
        return MEDIA_TYPES[kind]
