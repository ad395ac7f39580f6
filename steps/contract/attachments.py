"""Attachments: what an event names, what SES is handed, and why a mail may go without."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MEDIA_TYPES = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "pdf": "application/pdf",
    "pkpass": "application/vnd.apple.pkpass",
    "png": "image/png",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
}
"""The media types (IANA) that a setting may allow, by file extension: what shops send, and nothing that runs.

SES takes them all (SES Developer Guide, "Amazon SES unsupported attachment types").
"""


class Unattached(StrEnum):
    """Why a mail goes without its attachments: what a record's `attachmentsLinked` says.

    NOT_FOUND: S3 has no such object, or does not let us read it; it tells nobody which who may not list the
    bucket (Amazon S3 API Reference, GetObject, Permissions).
    REFUSED: SES refused the mail with them.
    """

    NOT_FOUND = "NotFound"
    UNAVAILABLE = "Unavailable"
    MISMATCH = "Mismatch"
    TOO_LARGE = "TooLarge"
    TYPE_NOT_ALLOWED = "TypeNotAllowed"
    OUTSIDE_PREFIX = "OutsidePrefix"
    REFUSED = "Refused"

    @property
    def passes(self) -> bool:
        """Whether it may pass by itself: the object is not there yet, or is replaced yet."""
        return self in (Unattached.NOT_FOUND, Unattached.UNAVAILABLE, Unattached.MISMATCH)


class S3Object(NamedTuple):
    """Where an object is."""

    bucket: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file as SES is handed it."""

    file_name: str
    media_type: str
    content: bytes


def s3_object(uri: str) -> S3Object:
    """Read an address such as `s3://bucket/key`; the key is as S3 has it, not percent-encoded."""
    return S3Object(*uri.removeprefix("s3://").split("/", 1))


def extension(file_name: str) -> str:
    """Return what a file name has behind its last dot, in small letters; nothing where it has none."""
    return file_name.rpartition(".")[2].lower() if "." in file_name else ""
