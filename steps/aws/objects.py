"""Objects of S3, read whole."""

from __future__ import annotations

import functools
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from steps.aws.sdk import client_config
from steps.contract import limits
from steps.contract.attachments import Unattached
from steps.contract.errors import AttachmentUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

    from steps.contract.attachments import S3Object

_PIECE = 16 * 1024
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


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Reads the objects of one mail: `room` bytes and `budget` seconds are for all of them together."""

    room: int = limits.ATTACHMENTS_MAX_BYTES
    budget: float = limits.ATTACHMENTS_BUDGET
    clock: Callable[[], float] = time.monotonic

    def read(self, objects: Sequence[S3Object]) -> list[bytes]:
        """Return the objects' bytes, of all or none; one that is too large is not read.

        Raises:
            AttachmentUnavailable: one is not there, there is no room or no time for it, or S3 does not answer.
        """
        if not objects:
            return []
        # The client is made out here: the SDK makes clients in one thread only.
        reading = _Reading(
            s3=s3(), room=self.room, until=self.clock() + self.budget, clock=self.clock
        )
        return _within(self.budget, lambda: [reading.read(each) for each in objects])


def _within(seconds: float, read: Callable[[], list[bytes]]) -> list[bytes]:
    """Read in a thread, left to itself once the time is over: nothing bounds the SDK's calls as a whole.

    Its time-outs are for each silence, of each of its tries. The thread ends with the piece that it waits
    for, or with the process, which does not wait for it.
    """
    answer: Future[list[bytes]] = Future()

    def run() -> None:
        try:
            answer.set_result(read())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="s3", daemon=True).start()
    try:
        return answer.result(timeout=seconds)
    except TimeoutError:
        raise AttachmentUnavailable(Unattached.UNAVAILABLE) from None


@dataclass(kw_only=True)
class _Reading:
    """Reads one object after the other, while there is room and time."""

    s3: S3Client
    room: int
    until: float
    clock: Callable[[], float]

    def read(self, where: S3Object) -> bytes:
        self._mind_the_time()
        try:
            answer = self.s3.get_object(Bucket=where.bucket, Key=where.key)
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
        except (BotoCoreError, HTTPError, OSError):
            # The SDK translates some of what befalls a body.
            raise AttachmentUnavailable(Unattached.UNAVAILABLE) from None
        self.room -= len(content)
        return content

    def _whole(self, body: StreamingBody) -> bytes:
        """Read a body piece by piece, so that a thread which nobody waits for any more ends soon."""
        pieces = []
        while piece := body.read(_PIECE):
            pieces.append(piece)
            self._mind_the_time()
        return b"".join(pieces)

    def _mind_the_time(self) -> None:
        if self.clock() >= self.until:
            raise AttachmentUnavailable(Unattached.UNAVAILABLE)
