"""Attachments: what an event names, what SES is handed, and why a mail may go without."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from steps.contract import limits
from steps.contract.text import identifier, shows

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


_S3_OBJECT = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?P<key>[^\x00-\x1f\x7f]+)")

_UNSEEN = frozenset({"Cf", "Cn", "Co"})
"""Unicode's categories of what does not show: format characters, unassigned ones, those of private use."""


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
    TOO_MANY = "TooMany"
    SAME_NAME = "SameName"
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


def is_object(uri: str) -> bool:
    """Whether an address is one that S3 may have an object at, and that nobody reads in another way."""
    found = _S3_OBJECT.fullmatch(uri)
    # Whoever normalises a path makes another key of these.
    return (
        found is not None
        and not {"", ".", ".."} & set(found["key"].split("/"))
        and len(found["key"].encode()) <= limits.S3_KEY_MAX_BYTES
    )


def file_name(text: str) -> str:
    """Make a text a file name: one line in NFC, of characters that show, since SES takes no others.

    So it is dropped what joins letters or parts them (ZWJ, ZWNJ), too.
    """
    seen = "".join(c for c in text if unicodedata.category(c) not in _UNSEEN)
    return unicodedata.normalize("NFC", identifier(seen))


def is_named_apart(file_names: list[str]) -> bool:
    """Whether no two files have one name: no customer could tell them apart, and a mail client may drop one.

    By Unicode's canonical caseless match (Unicode Standard, 3.13, D145).
    """
    return len(set(map(_caseless, file_names))) == len(file_names)


def _caseless(text: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def extension(file_name: str) -> str:
    """Return what a file name has behind its last dot, in small letters.

    Nothing where it has none, where nothing that shows is before the dot, or where it is a path.
    """
    stem, _, kind = file_name.rpartition(".")
    is_a_name = any(map(shows, stem)) and not stem.startswith(".") and not set(stem) & {"/", "\\"}
    return kind.lower() if is_a_name else ""
