"""Dispatch: one Express execution per queued message, a batch at a time, in parallel.

SQS delivers at least once and a synchronous Express execution runs at most once; together each
message is tried until its outcome is known. What waits goes back to the queue with a growing delay;
what cannot succeed goes to the dead letters with its reason. A message leaves the queue only then.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps import aws, limits, pace
from steps.errors import QueueUnavailable, WorkflowUnavailable
from steps.function import count, framed, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MESSAGE_TOO_LARGE = "MessageTooLarge"
"""The reason of a dead letter whose message is larger than an execution's input may be."""

IN_PROGRESS = "InProgress"
"""Why a message waits whose notification another execution is at."""

NAME_MAX = 80
"""Step Functions: an execution's name has at most 80 characters."""


@dataclass(frozen=True)
class Done:
    """The message's outcome is known and recorded."""


@dataclass(frozen=True)
class Later:
    """The message is to be tried again in `delay` seconds."""

    delay: int
    reason: str


@dataclass(frozen=True)
class DeadLetter:
    """The message cannot succeed; `reason` is an error's name, `execution` where to look, if any."""

    reason: str
    execution: str = ""


Outcome = Done | Later | DeadLetter


def execution_name(message: str, message_id: str, receives: int) -> str:
    """Name an execution so that an operator finds an order in the console: `<order id>-<message>-<try>`.

    Only an order id of letters, digits, `-`, `_`, `.`, `#` and `/` is shown; whatever else stands in
    its place may be personal data and is hashed.
    """
    try:
        order_id = json.loads(message)["orderId"]
    except (ValueError, TypeError, KeyError, RecursionError):
        order_id = "malformed"
    order_id = order_id if isinstance(order_id, str) and order_id else "malformed"
    if re.fullmatch(r"[\w.#/-]+", order_id, re.ASCII):
        shown = re.sub(r"[.#/]", "-", order_id)
    else:
        shown = hashlib.sha256(order_id.encode()).hexdigest()[:16]
    end = f"-{message_id[:8]}-{receives}"
    return shown[: NAME_MAX - len(end)] + end


def outcome(execution: aws.Execution, receives: int) -> Outcome:
    """Judge an execution by the same rule as the machine's own: done, wait, or give up."""
    if execution.status == "SUCCEEDED":
        claim = execution.output.get("claim", {})
        if claim.get("result") == "IN_PROGRESS":
            # Its claim may run for long, but most are settled within seconds.
            return Later(min(claim["retryAfter"], limits.retry_delay(receives)), IN_PROGRESS)
        return Done()
    if limits.gives_up(execution.error, receives):
        return DeadLetter(execution.error, execution.arn)
    return Later(limits.retry_delay(receives), execution.error)


def dispatch(record: dict[str, Any]) -> Outcome:
    """Run one SQS record through the order workflow and say what becomes of the message."""
    message, receives = record["body"], _receives(record)
    request = json.dumps({"message": message, "attempt": receives}, ensure_ascii=False)
    if len(request.encode()) > limits.MESSAGE_MAX_BYTES:
        return DeadLetter(MESSAGE_TOO_LARGE)
    try:
        execution = aws.run_order_workflow(
            name=execution_name(message, record["messageId"], receives), request=request
        )
    except WorkflowUnavailable as error:
        return Later(limits.retry_delay(receives), type(error).__name__)
    return outcome(execution, receives)


def settle(record: dict[str, Any], found: Outcome) -> bool:
    """Carry an outcome out; return whether the message may leave the order queue."""
    about = {"message_id": record["messageId"]}
    try:
        match found:
            case Later(delay, reason):
                logger.info("later", **about, reason=reason, delay=delay)
                aws.hide(record["receiptHandle"], delay)
                return False
            case DeadLetter(reason, execution):
                logger.error("dead letter", **about, reason=reason, execution_id=execution)
                aws.dead_letter(record["body"], reason=reason, execution=execution)
    except QueueUnavailable as error:
        logger.warning("message stays on the queue", **about, reason=str(error))
        return False
    return True


def outcomes(records: list[dict[str, Any]]) -> list[Outcome]:
    """Run a batch in parallel, each mail in its sending slot, no faster than SES permits."""
    account = pace.account()
    if not account.enabled:
        return _put_off(records, "SendingPaused")
    if account.quota_left <= 0:
        return _put_off(records, "QuotaExceeded")
    if (slots := pace.reserve(len(records), account.rate)) is None:
        return _put_off(records, "Paced")

    def run(record: dict[str, Any], slot: float) -> Outcome:
        time.sleep(max(0.0, slot - time.time()))
        return dispatch(record)

    with ThreadPoolExecutor(max_workers=limits.DISPATCHER_BATCH) as pool:
        return list(pool.map(run, records, slots))


@framed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Take an SQS batch, return `batchItemFailures`: the messages that stay on the queue."""
    records = event["Records"]
    found = outcomes(records)
    with ThreadPoolExecutor(max_workers=limits.DISPATCHER_BATCH) as pool:
        settled = list(pool.map(settle, records, found))
    for one in found:
        if isinstance(one, Later) and one.reason != IN_PROGRESS:
            # A period with orders and no mail has the value 0 then; one without orders has none.
            count("EmailSent", 0)
        if one == DeadLetter(MESSAGE_TOO_LARGE):
            count("EmailFailed")  # No execution was there to count it.
    stays = [r["messageId"] for r, done in zip(records, settled, strict=True) if not done]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in stays]}


def _put_off(records: list[dict[str, Any]], reason: str) -> list[Outcome]:
    return [Later(limits.retry_delay(_receives(r)), reason) for r in records]


def _receives(record: dict[str, Any]) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])
