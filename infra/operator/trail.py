"""An order's trail in the logs: its executions and their ends, and how long it waits on the queue.

The workflow's log has every step of an Express execution, unless WORKFLOW_LOG_LEVEL has it otherwise; the
functions' logs have what they said about it. Both name the execution, and so the order. Source: "Using
CloudWatch Logs to log execution history in Step Functions", AWS Step Functions Developer Guide.
"""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.operator.aws import explained
from infra.operator.errors import NotFound, OperatorError
from steps.aws.workflow import OrderExecution
from steps.contract.errors import SendOutcomeUnknown, UnexpectedError
from steps.contract.state import FailureEnd
from steps.dispatch import NAME_MAX
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from infra.operator.aws import Deployment

WORKFLOW_LOG = "/aws/vendedlogs/states/email-order-workflow"
PROCESSOR_LOG, VALIDATE_LOG = "/aws/lambda/email-processor", "/aws/lambda/email-validate"
SEND_LOG, FEEDBACK_LOG = "/aws/lambda/email-send", "/aws/lambda/email-feedback"
FUNCTION_LOGS = (
    PROCESSOR_LOG,
    VALIDATE_LOG,
    SEND_LOG,
    *(f"/aws/lambda/email-{name}" for name in ("dedup", "render", "record")),
)
"""Their names are these, a dash and the environment."""

BUDGET = 6.0
"""Seconds after which no further page of a log is asked for."""

AT_ONCE = 24

SENT, DUPLICATE, REJECTED = "Sent", "Duplicate", "Rejected"
"""The ends of the workflow after which a message leaves the queue, beside GaveUp."""

_NAME = re.compile(r"(?P<order>.+)-(?P<message>[0-9a-f]{8})-(?P<receives>\d{1,3})")


class ExecutionName(NamedTuple):
    """An execution's name, read: the order as names have it, the message's first eight digits, the try."""

    order: str
    message: str
    receives: int


def read_name(term: str) -> ExecutionName | None:
    """Read an execution's name or ARN; None where it is neither."""
    name = _ARN_NAME.sub(r"\1", term)
    if len(name) > NAME_MAX or not (match := _NAME.fullmatch(name)):
        return None
    return ExecutionName(match["order"], match["message"], int(match["receives"]))


_ARN_NAME = re.compile(r"arn:[^:]+:states:[^:]*:[^:]*:(?:express|execution):[^:]+:([^:]+)(?::.*)?")


class Line(NamedTuple):
    """A log line, decoded, and when it was written."""

    at: datetime
    said: dict[str, Any]


class Span(NamedTuple):
    """From when to when a log is read."""

    start: datetime
    end: datetime


@dataclass(kw_only=True)
class Execution:
    """An execution of the order workflow, as far as logs tell of it.

    started, last: when its first and its last line was written.
    end: the state that it ended in; empty where that is not known. error: what failed.
    has_history: whether the workflow's own log has something of it. is_over: whether that has its end, too.
    """

    arn: str
    started: datetime
    last: datetime
    end: str = ""
    error: str = ""
    has_history: bool = False
    is_over: bool = False
    said: list[Line] = field(default_factory=list)

    @property
    def name(self) -> ExecutionName:
        """Its name, read."""
        return read_name(self.arn) or ExecutionName("", "", 0)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A message that was put back on the queue: since when, how often, why the last time, until when."""

    message: str
    since: datetime
    times: int
    last: datetime
    reason: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Trail:
    """All that the logs have of an order. dead: messages that a dispatcher put into the dead letters."""

    executions: list[Execution]
    waits: list[Wait]
    dead: dict[str, Line]
    lines: list[Line]
    notes: list[str]
    unasked: list[str]

    def is_over(self, message: str) -> bool:
        """Whether a message has left the queue."""
        ended = {e.name.message for e in self.executions if e.end in _LEAVES}
        return message[:8] in ended or message in self.dead


_LEAVES = {SENT, DUPLICATE, REJECTED, FailureEnd.GAVE_UP}


def spans(first: datetime, last: datetime, now: datetime) -> list[Span]:
    """Return the days of what happened from `first` to `last`, a day before and after."""
    day = timedelta(days=1)
    return [Span(first - day, min(last + day, now + timedelta(minutes=1)))]


def recent(now: datetime, *days: int) -> list[Span]:
    """Return the time back from now in pieces, the newest first: each is asked for at once."""
    moments = [now + timedelta(minutes=1), *(now - timedelta(days=age) for age in days)]
    return [Span(older, newer) for newer, older in pairwise(moments)]


def follow(
    deployment: Deployment,
    *,
    phrases: Iterable[str],
    when: Sequence[Span],
    belongs: Callable[[dict[str, Any]], bool],
    logs: Sequence[str] = (WORKFLOW_LOG, *FUNCTION_LOGS),
    clock: Callable[[], float] = time.monotonic,
) -> Trail:
    """Search the logs, all at once, for lines with one of the phrases that belong to the order."""
    deadline = clock() + BUDGET
    groups = [deployment.name(base) for base in logs]
    lines: list[Line] = []
    notes: dict[str, None] = {}
    unasked: dict[str, None] = {}

    def search(asked: tuple[str, str, Span]) -> None:
        group, phrase, span = asked
        try:
            with explained(deployment):
                is_whole = _read(
                    deployment, group, phrase, span, lines, goes_on=lambda: clock() < deadline
                )
        except NotFound:
            notes[f"There is no log {group}."] = None
        except OperatorError as error:
            unasked[f"The log {group} was not read: {error}"] = None
        else:
            if not is_whole:
                notes[f"The log {group} is long: not all of it was read."] = None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(search, product(groups, dict.fromkeys(phrases), when)))
    return read(
        [line for line in lines if belongs(line.said)], notes=list(notes), unasked=list(unasked)
    )


def _read(
    deployment: Deployment,
    group: str,
    phrase: str,
    span: Span,
    lines: list[Line],
    *,
    goes_on: Callable[[], bool],
) -> bool:
    """Read the lines with a phrase; return whether all were read."""
    request: dict[str, Any] = {
        "logGroupName": group,
        "filterPattern": json.dumps(phrase),
        "startTime": round(span.start.timestamp() * 1000),
        "endTime": round(span.end.timestamp() * 1000),
    }
    while goes_on():
        page = deployment.client("logs").filter_log_events(**request)
        for event in page["events"]:
            try:
                said = json.loads(event["message"])
            except ValueError:
                continue  # Lambda's own lines: START, END, REPORT.
            if isinstance(said, dict):
                lines.append(Line(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), said))
        if not (token := page.get("nextToken")):
            return True
        request["nextToken"] = token
    return False


def read(lines: Iterable[Line], *, notes: Sequence[str] = (), unasked: Sequence[str] = ()) -> Trail:
    """Make a trail of log lines. Pure."""
    each = {json.dumps([line.at.isoformat(), line.said], sort_keys=True): line for line in lines}
    ordered = sorted(each.values(), key=lambda line: line.at)
    executions: dict[str, Execution] = {}
    waits: dict[str, Wait] = {}
    dead: dict[str, Line] = {}
    for line in ordered:
        said = line.said
        if said.get("message") == "later":
            waits[said["message_id"]] = _waits(waits.get(said["message_id"]), line)
        elif said.get("message") == "dead letter":
            dead[said["message_id"]] = line
        elif arn := said.get("execution_arn") or said.get("execution_id"):
            of = executions.setdefault(arn, Execution(arn=arn, started=line.at, last=line.at))
            of.last = line.at
            (_step if "execution_arn" in said else _word)(of, line)
    return Trail(
        executions=list(executions.values()),
        waits=list(waits.values()),
        dead=dead,
        lines=ordered,
        notes=list(notes),
        unasked=list(unasked),
    )


def _waits(before: Wait | None, line: Line) -> Wait:
    return Wait(
        message=line.said["message_id"],
        since=before.since if before else line.at,
        times=before.times + 1 if before else 1,
        last=line.at,
        reason=str(line.said.get("reason", "")),
        until=line.at + timedelta(seconds=float(line.said.get("delay", 0))),
    )


def _step(execution: Execution, line: Line) -> None:
    """Learn from a line of the workflow's log: an event of the execution's history."""
    execution.has_history = True
    details = line.said.get("details") or {}
    match line.said.get("type"):
        case "SucceedStateEntered" | "FailStateEntered":
            execution.end = details.get("name", "")
        case "ExecutionFailed":
            ended = OrderExecution.failed(
                execution.arn, details.get("error", ""), details.get("cause", "")
            )
            execution.end = ended.end or execution.end or FailureEnd.FAILED
            if ended.error and ended.error != execution.end:
                execution.error = ended.error
        case "ExecutionTimedOut" | "ExecutionAborted":
            execution.end, execution.error = FailureEnd.FAILED, "States.Timeout"
        case _:
            return
    execution.is_over = True


_RECORDED: dict[str, str] = {
    Status.SENT: SENT,
    Status.REJECTED: REJECTED,
    Status.FAILED: FailureEnd.GAVE_UP,
}


def _word(execution: Execution, line: Line) -> None:
    """Learn from a function's log line; what the workflow's own log says of the end counts more.

    That log may have nothing of an execution that went well; then what is said last counts.
    """
    execution.said.append(line)
    said = line.said
    end = ""
    match said.get("message"):
        case "accepted":
            end = SENT
        case "recorded":
            end = _RECORDED.get(str(said.get("status")), "")
        case "duplicate" | "duplicate says something else":
            end = DUPLICATE
        case "unexpected error":
            execution.error, end = UnexpectedError.__name__, FailureEnd.FAILED
        case "step failed":
            execution.error = str(said.get("error", ""))
            in_doubt = execution.error == SendOutcomeUnknown.__name__
            end = FailureEnd.IN_DOUBT if in_doubt else FailureEnd.DEFERRED
    if end and not execution.is_over:
        execution.end = end
