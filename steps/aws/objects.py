"""Objects of S3, read whole."""

from __future__ import annotations

import functools
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from steps.aws.sdk import client_config
from steps.contract import limits
from steps.contract.attachments import Unattached
from steps.contract.errors import AttachmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

    from steps.contract.attachments import S3Object

_PIECE = 256 * 1024
"""Bytes that are read at once, before the clock is looked at."""

_MISSING = frozenset({403, 404})
"""HTTP's answers where there is no object: 403 to who may not list the bucket (Amazon S3 API Reference,
GetObject, Permissions)."""


@functools.cache
def s3() -> S3Client:
    """Return the client of S3."""
    return boto3.client(
        "s3",
        config=client_config(
            connect=limits.S3_CONNECT_TIMEOUT,
            read=limits.S3_READ_TIMEOUT,
            attempts=limits.S3_ATTEMPTS,
        ),
    )


@dataclass(kw_only=True)
class Objects:
    """Reads the objects of one mail: `room` bytes and `budget` seconds are for all of them together."""

    room: int = limits.ATTACHMENTS_MAX_BYTES
    budget: float = limits.ATTACHMENTS_BUDGET
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def read(self, where: S3Object) -> bytes:
        """Return an object's bytes; one that is too large is not read.

        Raises:
            AttachmentUnavailable: it is not there, there is no room or no time for it, or S3 does not answer.
        """
        self._mind_the_time()
        try:
            answer = s3().get_object(Bucket=where.bucket, Key=where.key)
            with closing(answer["Body"]) as body:
                self._mind_the_time()
                if answer["ContentLength"] > self.room:
                    raise AttachmentUnavailable(Unattached.TOO_LARGE)
                content = self._whole(body)
        except ClientError as error:
            # Nothing of S3's own words, which may name the key; nor of the SDK's.
            missing = error.response["ResponseMetadata"]["HTTPStatusCode"] in _MISSING
            raise AttachmentUnavailable(
                Unattached.NOT_FOUND if missing else Unattached.UNAVAILABLE
            ) from None
        except BotoCoreError:
            raise AttachmentUnavailable(Unattached.UNAVAILABLE) from None
        self.room -= len(content)
        return content

    def _whole(self, body: StreamingBody) -> bytes:
        """Read a body piece by piece: the SDK's time-out is for each, and a slow sender has many."""
        pieces = []
        while piece := body.read(_PIECE):
            pieces.append(piece)
            self._mind_the_time()
        return b"".join(pieces)

    def _mind_the_time(self) -> None:
        if self.clock() - self._began >= self.budget:
            raise AttachmentUnavailable(Unattached.UNAVAILABLE)
