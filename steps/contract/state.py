"""The shapes that pass between the steps of the order workflow, and the values it branches on."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, NotRequired, TypedDict


class ClaimResult(StrEnum):
    """What the dedup step found: the notification is ours, its outcome is known, or someone is at it."""

    NEW = "NEW"
    DUPLICATE = "DUPLICATE"
    IN_PROGRESS = "IN_PROGRESS"


class Outcome(StrEnum):
    """What the record step is to write down."""

    SENT = "SENT"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    RELEASED = "RELEASED"


class FailureEnd(StrEnum):
    """The Fail states of the order workflow. Their cause is `{Error, Cause}` of what failed, as JSON.

    DEFERRED: it passes by itself, the message waits on the queue. IN_DOUBT: SES may have the mail; its
    own event settles it, or the grace period. FAILED: a bug; a few more attempts. GAVE_UP: that was the
    last attempt.
    """

    DEFERRED = "Deferred"
    IN_DOUBT = "InDoubt"
    FAILED = "Failed"
    GAVE_UP = "GaveUp"


class Reason(TypedDict):
    """Why an event is rejected: the field's path (`orderItems[0].price`, `$` for the whole) and a sentence."""

    path: str
    reason: str


class Claim(TypedDict):
    """The dedup step's answer; `retryAfter` is in seconds and says something of IN_PROGRESS only.

    linked: the mail is to name its documents as links, since they could not be attached.
    """

    result: ClaimResult
    retryAfter: int
    linked: NotRequired[bool]


class Reference(TypedDict):
    """An attachment: where it is (`s3://bucket/key`), its SHA-256 in hex digits, what the customer sees."""

    uri: str
    sha256: str
    fileName: str


class Email(TypedDict):
    """A rendered mail; the sender's address is the send step's.

    `to` and `replyTo` are bare addresses; `fromName`, `subject` and the values of `headers` are single
    lines. The files themselves never travel through the state, `attachments` says which they are.
    """

    to: str
    fromName: str
    replyTo: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]
    attachments: NotRequired[list[Reference]]


class Receipt(TypedDict):
    """SES's answer: its message id, when it answered (ISO 8601 UTC), and to which call."""

    messageId: str
    sentAt: str
    handoverId: str


class Recorded(TypedDict):
    """The record step's answer: the record's status, and whether SES is known to have the mail."""

    status: str
    settled: bool


class Rejection(TypedDict):
    """An invalid event: what the table keeps of it. `event` is the message as received, maybe cut.

    `claimed`: the notification that it would be, which may have been claimed while it was valid.
    `eventType`, `part`, `resendOf`: as the event names them, where they are no others' texts.
    """

    orderId: str
    customerEmail: str
    event: str
    reasons: list[Reason]
    claimed: NotRequired[str]
    eventType: NotRequired[str]
    part: NotRequired[dict[str, str]]
    resendOf: NotRequired[str]


class State(TypedDict):
    """What the order workflow carries from step to step. Each key appears when its step has run.

    attempt: 1, and one more for each earlier execution that failed by a bug.
    lastReceive: the queue lets the message go after this execution.
    publishedAt: since when the message is on the order queue (epoch seconds).
    startedAt: when its first step ran (epoch seconds).
    part: which part of the order it is about, by its field; `{}` for the order as a whole.
    content: names what the mail says.
    resend: of an event that sends a notification again on purpose: `of`, `reason`, `by` and `at`.
    """

    attempt: int
    lastReceive: bool
    message: NotRequired[str]
    publishedAt: NotRequired[int]
    startedAt: NotRequired[int]
    notificationId: NotRequired[str]
    rejection: NotRequired[Rejection]
    order: NotRequired[dict[str, Any]]
    orderId: NotRequired[str]
    eventType: NotRequired[str]
    part: NotRequired[dict[str, str]]
    content: NotRequired[str]
    resend: NotRequired[dict[str, str]]
    claim: NotRequired[Claim]
    email: NotRequired[Email]
    receipt: NotRequired[Receipt]
    recorded: NotRequired[Recorded]
    error: NotRequired[dict[str, str]]


class StepEvent(TypedDict):
    """What the order workflow hands to every step. `outcome` goes to the record step alone."""

    execution: str
    state: State
    outcome: NotRequired[Outcome]


def encoded_size(answer: object) -> int:
    """Return the bytes of what a function answers, as Lambda sends it: JSON in UTF-8, ASCII or not.

    Raises:
        UnicodeEncodeError: it holds a lone surrogate. Lambda's own encoding of it (awslambdaric) would
            end the function without an answer or an error.
    """
    return len(json.dumps(answer, ensure_ascii=False, default=str).encode())
