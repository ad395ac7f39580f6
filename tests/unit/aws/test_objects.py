"""Reading objects of S3: what comes whole, and what every other answer means."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.response import StreamingBody
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError, SSLError

from steps.aws import objects
from steps.aws.objects import Objects
from steps.contract.attachments import S3Object, Unattached
from steps.contract.errors import AttachmentUnavailable
from tests.support.clock import Clock

INVOICE = S3Object("shop", "mails/Invoice Maya.pdf")


def refusal(status: int, code: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": f"{INVOICE.key} of {INVOICE.bucket}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "GetObject")


class Body(io.BytesIO):
    """Counts what is read of it; may take its time, or break off."""

    def __init__(
        self, content: bytes, *, clock: Clock | None = None, breaks: Exception | None = None
    ) -> None:
        super().__init__(content)
        self.clock, self.breaks, self.reads = clock, breaks, 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.clock:
            self.clock.sleep(1)
        if self.breaks:
            raise self.breaks
        return super().read(size)


@dataclass
class FakeS3:
    """Answers with a body of a length that it says, or with an error."""

    body: Body = field(default_factory=lambda: Body(b"%PDF-"))
    says: int | None = None
    error: Exception | None = None

    def get_object(self, **_: str) -> dict[str, object]:
        if self.error:
            raise self.error
        length = len(self.body.getvalue())
        return {
            "ContentLength": length if self.says is None else self.says,
            "Body": StreamingBody(self.body, length),
        }


def read_from(s3: FakeS3, monkeypatch: pytest.MonkeyPatch, **room: Any) -> bytes:
    monkeypatch.setattr(objects, "s3", lambda: s3)
    return Objects(**room).read([INVOICE])[0]


@pytest.mark.usefixtures("in_memory_aws")
def test_an_object_comes_whole() -> None:
    content = bytes(range(256)) * 4_000
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=INVOICE.bucket)
    s3.put_object(Bucket=INVOICE.bucket, Key=INVOICE.key, Body=content)
    assert Objects().read([INVOICE, INVOICE]) == [content, content]


@pytest.mark.usefixtures("in_memory_aws")
def test_a_missing_object_is_not_found() -> None:
    boto3.client("s3").create_bucket(Bucket=INVOICE.bucket)
    with pytest.raises(AttachmentUnavailable, match=r"^NotFound$"):
        Objects().read([INVOICE])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refusal(404, "NoSuchKey"), Unattached.NOT_FOUND),
        (refusal(404, "NoSuchBucket"), Unattached.NOT_FOUND),
        (refusal(403, "AccessDenied"), Unattached.NOT_FOUND),
        (refusal(403, "InvalidObjectState"), Unattached.NOT_FOUND),
        (refusal(503, "SlowDown"), Unattached.UNAVAILABLE),
        (refusal(500, "InternalError"), Unattached.UNAVAILABLE),
        (refusal(400, "ExpiredToken"), Unattached.UNAVAILABLE),
        (EndpointConnectionError(endpoint_url="https://shop.s3"), Unattached.UNAVAILABLE),
    ],
)
def test_what_s3_answers_may_pass_and_names_no_object(
    error: Exception, reason: Unattached, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AttachmentUnavailable) as unavailable:
        read_from(FakeS3(error=error), monkeypatch)
    assert unavailable.value.reason is reason
    assert reason.passes
    assert str(unavailable.value) == reason
    assert unavailable.value.__suppress_context__, "no trace quotes S3"


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(None, None, "Read timed out."),  # type: ignore[arg-type]
        ProtocolError("Connection broken"),
        SSLError("bad record mac"),
        DecodeError("no such encoding"),
        ConnectionResetError("by peer"),
        TimeoutError("timed out"),
    ],
)
def test_a_body_that_breaks_off_is_tried_again_later(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AttachmentUnavailable, match=r"^Unavailable$"):
        read_from(FakeS3(Body(b"%PDF-", breaks=error)), monkeypatch)


def test_a_bug_is_none_of_s3_s_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        read_from(FakeS3(error=KeyError("a bug")), monkeypatch)


def test_a_body_that_is_shorter_than_s3_says_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = StreamingBody(io.BytesIO(b"%P"), 5)
    s3 = FakeS3()
    monkeypatch.setattr(s3, "get_object", lambda **_: {"ContentLength": 5, "Body": body})
    with pytest.raises(AttachmentUnavailable, match=r"^Unavailable$"):
        read_from(s3, monkeypatch)


def test_an_object_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = FakeS3(Body(b"%PDF-"))
    assert read_from(s3, monkeypatch, room=5) == b"%PDF-"
    s3 = FakeS3(Body(b"%PDF-"))
    with pytest.raises(AttachmentUnavailable, match=r"^TooLarge$"):
        read_from(s3, monkeypatch, room=4)
    assert s3.body.reads == 0


@dataclass
class EachItsOwn(FakeS3):
    """Answers each time with a new body, two seconds long: a piece, and its end."""

    clock: Clock | None = None

    def get_object(self, **_: str) -> dict[str, object]:
        return FakeS3(Body(b"%PDF-", clock=self.clock)).get_object()


def test_the_room_and_the_time_are_for_all_of_a_mail_s_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(objects, "s3", lambda: EachItsOwn(clock=clock))
    assert Objects(room=10, budget=5, clock=clock).read([INVOICE] * 2) == [b"%PDF-"] * 2
    with pytest.raises(AttachmentUnavailable, match=r"^TooLarge$"):
        Objects(room=9, clock=clock).read([INVOICE] * 2)
    with pytest.raises(AttachmentUnavailable, match=r"^Unavailable$"):
        Objects(budget=3, clock=clock).read([INVOICE] * 2)


def test_a_slow_sender_does_not_get_all_the_time_in_the_world(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    slow = FakeS3(Body(b"x" * 5_000_000, clock=clock))
    with pytest.raises(AttachmentUnavailable, match=r"^Unavailable$"):
        read_from(slow, monkeypatch, budget=5, clock=clock)
    assert clock.elapsed == 5


@dataclass
class SilentS3(FakeS3):
    """Is silent until the test is over: before its answer, or after each byte of an answer's body."""

    over: threading.Event = field(default_factory=threading.Event)
    answers: bool = True
    asked: list[threading.Thread] = field(default_factory=list)

    def get_object(self, **_: str) -> dict[str, object]:
        self.asked.append(threading.current_thread())
        if not self.answers:
            self.over.wait()
        return {"ContentLength": 5, "Body": self}

    def read(self, _: int) -> bytes:
        self.over.wait()
        return b"x"

    def close(self) -> None:
        pass


@pytest.mark.parametrize("answers", [True, False])
def test_whatever_s3_does_there_is_a_deadline(
    monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    s3 = SilentS3(answers=answers)
    began = time.monotonic()
    with pytest.raises(AttachmentUnavailable, match=r"^Unavailable$"):
        read_from(s3, monkeypatch, budget=0.2)
    assert 0.2 <= time.monotonic() - began < 1
    (thread,) = s3.asked
    assert thread.is_alive()
    assert thread.daemon, "no process waits for it"
    # The next mail of this function is not disturbed, and what was left behind reads no further.
    assert read_from(FakeS3(), monkeypatch) == b"%PDF-"
    s3.over.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert len(s3.asked) == 1


def test_the_client_is_made_before_there_is_a_second_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[threading.Thread] = []

    def client() -> FakeS3:
        made.append(threading.current_thread())
        return FakeS3()

    monkeypatch.setattr(objects, "s3", client)
    assert Objects().read([]) == []
    assert made == []
    Objects().read([INVOICE])
    assert made == [threading.current_thread()]
