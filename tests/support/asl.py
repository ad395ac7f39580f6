"""What the order workflow does after a failure, read from its generated ASL.

A small reader for the tests that play the workflow step by step: Retry, Catch, and the choices after a
failure. What it does not know it refuses. The whole language is interpreted elsewhere (moto, MiniStack).
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from steps.contract.state import FailureEnd

FOLDER = Path("statemachines")
ORDER_WORKFLOW = FOLDER / "order_workflow.asl.json"


def states_of(machine: str) -> dict[str, Any]:
    """Return the states of a workflow, such as `cost_analysis`."""
    states: dict[str, Any] = json.loads((FOLDER / f"{machine}.asl.json").read_text())["States"]
    return states


STATES = states_of("order_workflow")


def retrier(state: str, error: str) -> dict[str, Any]:
    """Return the Retry entry that decides about an error; the first that matches does."""
    for entry in STATES[state].get("Retry", []):
        if {error, "States.ALL"} & set(entry["ErrorEquals"]):
            return dict(entry)
    return {"MaxAttempts": 0}


def is_retried(state: str, error: str, tries: int) -> bool:
    """Whether a state is tried again that has failed `tries` times with this error."""
    return tries <= int(retrier(state, error)["MaxAttempts"])


def caught_by(state: str, error: str) -> str:
    """Return the state to which an error leads."""
    for entry in STATES[state]["Catch"]:
        if {error, "States.ALL"} & set(entry["ErrorEquals"]):
            return str(entry["Next"])
    raise AssertionError(f"{state} does not catch {error}")


def end_of(state: str, data: dict[str, Any]) -> FailureEnd | None:
    """Return the Fail state in which an execution ends whose state failed with `data["error"]`.

    None where a task comes first, which records that the order is given up or refused.
    """
    name = caught_by(state, data["error"]["Error"])
    while STATES[name]["Type"] == "Choice":
        choices = STATES[name]["Choices"]
        name = next((c["Next"] for c in choices if _holds(c, data)), STATES[name]["Default"])
    return FailureEnd(name) if STATES[name]["Type"] == "Fail" else None


def _holds(rule: dict[str, Any], data: dict[str, Any]) -> bool:
    match rule:
        case {"And": parts}:
            return all(_holds(part, data) for part in parts)
        case {"Or": parts}:
            return any(_holds(part, data) for part in parts)
        case {"Not": part}:
            return not _holds(part, data)
    value: Any = data
    for key in rule["Variable"].removeprefix("$.").split("."):
        value = value[key]
    match rule:
        case {"StringEquals": expected}:
            return bool(value == expected)
        case {"StringMatches": pattern}:
            return fnmatchcase(value, pattern)
        case {"NumericGreaterThanEquals": least}:
            return bool(value >= least)
    raise AssertionError(f"the reader does not know {rule}")
