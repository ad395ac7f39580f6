"""Every path through the order workflow: what goes in, what fails on the way, what must come out.

The same scenarios run on two interpreters of the generated ASL: moto's in this folder, with the real
handlers in process, and MiniStack's in `tests/local`, with the deployed functions.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steps.aws.workflow import OrderExecution
from steps.contract import limits
from steps.ledger import rules
from tests.conftest import load_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from steps.ledger.rules import Record

START = ("Validate", "Valid?")
CLAIM = (*START, "Dedup", "Claim?")
SENT = (*CLAIM, "Render", "Send", "Record", "Sent")
SEND_FAILED = (*CLAIM, "Render", "Send")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One execution.

    throws: per state, the errors of its first calls. seed: makes the record that it finds.
    record: what its record says then; records: the same, where there are several.
    error: the one that ends it, where it ends in a Fail state.
    """

    name: str
    path: tuple[str, ...]
    error: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    event: str = "order"
    fields: dict[str, Any] = field(default_factory=dict)
    attempt: int = 1
    last_receive: bool = False
    throws: dict[str, list[str]] = field(default_factory=dict)
    seed: Callable[[Record, float], Record | None] = lambda _record, _now: None

    def ended_as_expected(self, status: str, error: str, cause: str) -> bool:
        """Whether an execution ended in the path's last state, with the error that it is to end by."""
        if not self.error:
            return status == "SUCCEEDED"
        execution = OrderExecution.failed("", error, cause)
        return (status, execution.end, execution.error) == ("FAILED", self.path[-1], self.error)

    def request(self, order_id: str) -> dict[str, Any]:
        """Return what the workflow is started with, for an order of this scenario's own."""
        return {
            "message": self.message(order_id),
            "attempt": self.attempt,
            "lastReceive": self.last_receive,
        }

    def message(self, order_id: str) -> str:
        """Return the event as published, for an order of this scenario's own."""
        return json.dumps(load_event(self.event) | {"orderId": order_id} | self.fields)


def seeded(scenario: Scenario, order_id: str) -> Record | None:
    """Return the record that the scenario finds in the table, if any."""
    now = time.time()
    order = load_event("order")
    claim = rules.claim(
        notification_id=rules.notification_id(order_id, "order.confirmed", order["customerEmail"]),
        order_id=order_id,
        event_type="order.confirmed",
        recipient=order["customerEmail"],
        owner="someone else",
        now=now,
    )
    return scenario.seed(dict(claim.record), now)


def _with(**changes: Any) -> Callable[[Record, float], Record]:
    """Return a seed with `changes`; a number of seconds is meant relative to now."""

    def seed(record: Record, now: float) -> Record:
        moments = {"leaseUntil", "sendingAt", "ttl"}
        return record | {k: int(now + v) if k in moments else v for k, v in changes.items()}

    return seed


def failing(task: str, error: str, times: int) -> dict[str, list[str]]:
    """Let a state's first `times` calls fail with `error`."""
    return {task: [error] * times}


def _up_to(task: str) -> tuple[str, ...]:
    """Return the path of a delivered order as far as this task."""
    return SENT[: SENT.index(task) + 1]


STEP_CALLS = 1 + limits.STEP_RETRIES
SEND_CALLS = 1 + limits.SEND_RETRIES
DEFERRED = ("WhatFailed?", "Deferred")
FAILED = ("WhatFailed?", "Failed")
SETTLED = ("WhatFailed?", "RecordFailed", "Settled?")
GAVE_UP = (*SETTLED, "GaveUp")
IN_DOUBT = ("HandedOver?", "InDoubt")

SCENARIOS = [
    Scenario(name="sent", path=SENT, record={"status": "SENT"}),
    Scenario(
        name="malformed",
        event="malformed",
        path=(*START, "RecordRejected", "Rejected"),
        record={"status": "REJECTED"},
    ),
    Scenario(
        name="duplicate",
        seed=_with(status="SENT", messageId="m"),
        path=(*CLAIM, "Duplicate"),
        record={"status": "SENT", "owner": "someone else"},
    ),
    Scenario(
        name="bounced-is-a-duplicate-too",
        seed=_with(status="BOUNCED"),
        path=(*CLAIM, "Duplicate"),
        record={"status": "BOUNCED"},
    ),
    Scenario(
        name="someone-else-is-at-it",
        seed=_with(status="CLAIMED"),
        path=(*CLAIM, "InProgress"),
        record={"status": "CLAIMED", "owner": "someone else"},
    ),
    Scenario(
        name="expired-claim",
        seed=_with(status="CLAIMED", leaseUntil=-1),
        path=SENT,
        record={"status": "SENT", "resends": 0},
    ),
    Scenario(
        name="expired-record",
        seed=_with(status="SENT", ttl=-1),
        path=SENT,
        record={"status": "SENT"},
    ),
    Scenario(
        name="outcome-not-known-yet",
        seed=_with(status="SENDING", sendingAt=-5),
        path=(*CLAIM, "InProgress"),
        record={"status": "SENDING"},
    ),
    Scenario(
        name="in-doubt-and-sent-again",
        seed=_with(status="SENDING", sendingAt=-limits.IN_DOUBT_GRACE - 1),
        path=SENT,
        record={"status": "SENT", "resends": 1},
    ),
    Scenario(
        name="failed-before",
        seed=_with(status="FAILED", reason="UnexpectedError"),
        path=SENT,
        record={"status": "SENT", "resends": 0},
    ),
    Scenario(
        name="given-up-in-doubt-and-redriven-at-once",
        seed=_with(status="FAILED", sendingAt=-5),
        path=(*CLAIM, "InProgress"),
        record={"status": "FAILED"},
    ),
    Scenario(
        name="given-up-in-doubt-and-redriven-later",
        seed=_with(status="FAILED", sendingAt=-limits.IN_DOUBT_GRACE - 1),
        path=SENT,
        record={"status": "SENT", "resends": 1},
    ),
    Scenario(
        name="refused-by-ses-then-mended",
        seed=_with(status="REJECTED", reason="SendRejected"),
        path=SENT,
        record={"status": "SENT", "resends": 0},
    ),
    Scenario(
        name="not-delivered-and-published-again",
        seed=_with(status="UNDELIVERED", messageId="m"),
        path=SENT,
        record={"status": "SENT", "resends": 1, "superseded": {"m"}},
    ),
    Scenario(
        name="not-valid-any-more",
        seed=_with(status="CLAIMED", leaseUntil=-1),
        fields={"eventTimestamp": "2020-01-01T00:00:00Z"},
        path=(*START, "RecordRejected", "Rejected"),
        records=[{"status": "REJECTED"}, {"status": "REJECTED", "reason": "InvalidEvent"}],
    ),
    Scenario(
        name="throttled-once",
        throws=failing("Send", "SendThrottled", 1),
        path=SENT,
        record={"status": "SENT"},
    ),
    Scenario(
        name="throttled-for-long",
        throws=failing("Send", "SendThrottled", SEND_CALLS),
        path=(*SEND_FAILED, "HandedOver?", *DEFERRED),
        error="SendThrottled",
        record={"status": "CLAIMED"},
    ),
    *(
        Scenario(
            name=name,
            throws=failing("Send", error, 1),
            path=(*SEND_FAILED, "HandedOver?", "Release", *DEFERRED),
            error=error,
            record={"status": "CLAIMED"},
        )
        for name, error in (
            ("attachment-not-there-yet", "AttachmentUnavailable"),
            ("attachments-become-links", "AttachmentsLinked"),
        )
    ),
    Scenario(
        name="paused",
        throws=failing("Send", "SendingPaused", 1),
        path=(*SEND_FAILED, "HandedOver?", *DEFERRED),
        error="SendingPaused",
        record={"status": "CLAIMED"},
    ),
    Scenario(
        name="refused-for-good",
        throws=failing("Send", "SendRejected", 1),
        path=(*SEND_FAILED, "RecordRejected", "Rejected"),
        record={"status": "REJECTED", "reason": "SendRejected"},
    ),
    Scenario(
        name="no-answer-from-ses",
        throws=failing("Send", "SendOutcomeUnknown", 1),
        path=(*SEND_FAILED, *IN_DOUBT),
        error="SendOutcomeUnknown",
    ),
    Scenario(
        name="send-step-died",
        throws=failing("Send", "Runtime.ExitError", 1),
        path=(*SEND_FAILED, *IN_DOUBT),
        error="Runtime.ExitError",
    ),
    Scenario(
        name="send-step-unknown-to-lambda",
        throws=failing("Send", "Lambda.ServiceException", 1),
        path=(*SEND_FAILED, *IN_DOUBT),
        error="Lambda.ServiceException",
    ),
    Scenario(
        name="send-step-bug",
        throws=failing("Send", "UnexpectedError", 1),
        path=(*SEND_FAILED, "HandedOver?", "Release", *FAILED),
        error="UnexpectedError",
    ),
    Scenario(
        name="send-step-not-loaded",
        throws=failing("Send", "Runtime.ImportModuleError", 1),
        path=(*SEND_FAILED, "HandedOver?", "Release", *DEFERRED),
        error="Runtime.ImportModuleError",
        record={"status": "CLAIMED"},
    ),
    Scenario(
        name="last-receive-in-doubt",
        last_receive=True,
        throws=failing("Send", "SendOutcomeUnknown", 1),
        path=(*SEND_FAILED, "HandedOver?", "Release", *GAVE_UP),
        error="SendOutcomeUnknown",
        record={"status": "FAILED", "reason": "SendOutcomeUnknown"},
    ),
    Scenario(
        name="bug-in-render",
        throws=failing("Render", "UnexpectedError", 1),
        path=(*CLAIM, "Render", "Release", *FAILED),
        error="UnexpectedError",
        record={"status": "CLAIMED"},
    ),
    Scenario(
        name="last-attempt-at-a-bug",
        attempt=limits.UNEXPECTED_MAX_ATTEMPTS,
        throws=failing("Render", "UnexpectedError", 1),
        path=(*CLAIM, "Render", "Release", *GAVE_UP),
        error="UnexpectedError",
        record={"status": "FAILED", "reason": "UnexpectedError"},
    ),
    Scenario(
        name="last-receive-at-waiting",
        last_receive=True,
        throws=failing("Send", "QuotaExceeded", 1),
        path=(*SEND_FAILED, "HandedOver?", *GAVE_UP),
        error="QuotaExceeded",
        record={"status": "FAILED", "reason": "QuotaExceeded"},
    ),
    Scenario(
        name="last-receive-at-attachments-that-become-links",
        last_receive=True,
        throws=failing("Send", "AttachmentsLinked", 1),
        path=(*SEND_FAILED, "HandedOver?", "Release", *DEFERRED),
        error="AttachmentsLinked",
        record={"status": "CLAIMED"},
    ),
    Scenario(
        name="giving-up-fails",
        attempt=limits.UNEXPECTED_MAX_ATTEMPTS,
        throws=failing("Render", "UnexpectedError", 1)
        | failing("RecordFailed", "LedgerUnavailable", STEP_CALLS),
        path=(*CLAIM, "Render", "Release", "WhatFailed?", "RecordFailed", "Deferred"),
        error="LedgerUnavailable",
        record={"status": "CLAIMED"},
    ),
    Scenario(
        name="giving-up-meets-a-bug",
        attempt=limits.UNEXPECTED_MAX_ATTEMPTS,
        throws=failing("Render", "UnexpectedError", 1)
        | failing("RecordFailed", "UnexpectedError", 1),
        path=(*CLAIM, "Render", "Release", "WhatFailed?", "RecordFailed", "Failed"),
        error="UnexpectedError",
        record={"status": "CLAIMED"},
    ),
    Scenario(
        name="release-fails",
        throws=failing("Render", "UnexpectedError", 1) | failing("Release", "LedgerUnavailable", 1),
        path=(*CLAIM, "Render", "Release", *FAILED),
        error="UnexpectedError",
        record={"status": "CLAIMED"},
    ),
    Scenario(
        name="last-receive-with-the-receipt-in-hand",
        last_receive=True,
        throws=failing("Record", "LedgerUnavailable", STEP_CALLS),
        path=(*_up_to("Record"), *SETTLED, "Sent"),
        record={"status": "SENT"},
    ),
    Scenario(
        name="last-attempt-at-a-bug-with-the-receipt-in-hand",
        attempt=limits.UNEXPECTED_MAX_ATTEMPTS,
        throws=failing("Record", "UnexpectedError", 1),
        path=(*_up_to("Record"), *SETTLED, "Sent"),
        record={"status": "SENT"},
    ),
    Scenario(
        name="giving-up-passes-at-the-second-try",
        attempt=limits.UNEXPECTED_MAX_ATTEMPTS,
        throws=failing("Render", "UnexpectedError", 1)
        | failing("RecordFailed", "LedgerUnavailable", 1),
        path=(*CLAIM, "Render", "Release", *GAVE_UP),
        error="UnexpectedError",
        record={"status": "FAILED"},
    ),
    *(
        Scenario(
            name=f"{task.lower()}-passes-at-the-second-try",
            throws=failing(task, error, 1),
            path=SENT,
            record={"status": "SENT"},
        )
        for task, error in (
            ("Validate", "Lambda.ServiceException"),
            ("Dedup", "LedgerUnavailable"),
            ("Render", "Sandbox.Timedout"),
            ("Send", "Lambda.TooManyRequestsException"),
            ("Record", "LedgerUnavailable"),
        )
    ),
    *(
        Scenario(
            name=f"{task.lower()}-never-passes",
            throws=failing(task, "LedgerUnavailable", STEP_CALLS),
            path=(*_up_to(task), *release, *DEFERRED),
            error="LedgerUnavailable",
            record=record,
        )
        for task, release, record in (
            ("Validate", (), {}),
            ("Dedup", ("Release",), {}),
            ("Render", ("Release",), {"status": "CLAIMED"}),
            ("Record", (), {"status": "SENDING"}),
        )
    ),
    *(
        Scenario(
            name=f"bug-in-{task.lower()}",
            throws=failing(task, "UnexpectedError", 1),
            path=(*_up_to(task), *release, *FAILED),
            error="UnexpectedError",
        )
        for task, release in (("Validate", ()), ("Dedup", ("Release",)), ("Record", ()))
    ),
    Scenario(
        name="rejection-not-recorded",
        event="malformed",
        throws=failing("RecordRejected", "LedgerUnavailable", STEP_CALLS),
        path=(*START, "RecordRejected", *DEFERRED),
        error="LedgerUnavailable",
    ),
    Scenario(
        name="bug-in-rejection",
        event="malformed",
        throws=failing("RecordRejected", "UnexpectedError", 1),
        path=(*START, "RecordRejected", *FAILED),
        error="UnexpectedError",
    ),
]
