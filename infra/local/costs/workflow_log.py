"""What an Express workflow's log takes: its events as Step Functions writes them to CloudWatch Logs.

The laptop's AWS logs none. So each event of an execution's history is written here as AWS writes it: compact
JSON of `id`, `type`, `details`, `redrive_count`, `previous_event_id`, `event_timestamp` and `execution_arn`,
every number a string. Without execution data, `details` has no input, output or parameters (Step Functions
Developer Guide, "Logging in CloudWatch Logs").
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG_EVENT_OVERHEAD = 26
"""Bytes that CloudWatch Logs counts for each event beside its text (PutLogEvents, API Reference)."""

_DATA = {
    f"{data}{suffix}" for data in ("input", "output", "parameters") for suffix in ("", "Details")
}
_ERRORS = ("Failed", "TimedOut", "Aborted")
"""What ends the type of an event that is logged at level ERROR, too (same page, "Log levels")."""

UUID_LENGTH = 36


def log_bytes(history: Iterable[dict[str, Any]], execution: str, *, level: str = "ALL") -> int:
    """Return the bytes that an execution's events take; `execution` is its ARN on the laptop."""
    if level == "OFF":
        return 0
    return sum(
        len(line(event, express_arn(execution)).encode()) + LOG_EVENT_OVERHEAD
        for event in history
        if level == "ALL" or event["type"].endswith(_ERRORS)
    )


def line(event: dict[str, Any], execution_arn: str) -> str:
    """Return the line that AWS logs for an event of GetExecutionHistory."""
    (details,) = [value for name, value in event.items() if name.endswith("EventDetails")] or [{}]
    written = {
        "id": str(event["id"]),
        "type": event["type"],
        "details": {name: str(value) for name, value in details.items() if name not in _DATA},
        "redrive_count": "0",
        "previous_event_id": str(event.get("previousEventId", 0)),
        "event_timestamp": str(int(event["timestamp"].timestamp() * 1000)),
        "execution_arn": execution_arn,
    }
    return json.dumps(written, separators=(",", ":"))


def express_arn(execution: str) -> str:
    """Return the ARN that AWS gives the execution: `express` for `execution`, and a UUID at its end."""
    arn = execution.replace(":execution:", ":express:")
    return arn if arn.count(":") > execution.count(":") else f"{arn}:{'0' * UUID_LENGTH}"
