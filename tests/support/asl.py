"""The generated ASL, read: which state follows a task or its failure, and how a task is retried.

A small reader for the tests that play a workflow step by step: Retry, Catch, Choice, ResultPath. What it
does not know it refuses. The whole language is interpreted elsewhere (moto, MiniStack).
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from steps.aws.workflow import OrderExecution
from steps.contract.state import FailureEnd

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path("statemachines")

StateInput = dict[str, Any]
"""What JSONPath expressions apply to: in the order workflow, a `steps.contract.state.State`."""

Rule = dict[str, Any]
"""A comparison of a Choice, or `And`, `Or`, `Not` of others; at the top also the `Next` state."""


class Retrier(TypedDict, total=False):
    """An entry of Retry; without `MaxAttempts` of 0 it has all of these."""

    ErrorEquals: list[str]
    IntervalSeconds: float
    MaxAttempts: int
    BackoffRate: float


class Catcher(TypedDict):
    """An entry of Catch."""

    ErrorEquals: list[str]
    ResultPath: str | None
    Next: str


class AslState(TypedDict, total=False):
    """A state, as far as the tests read it; which keys it has depends on its type."""

    Type: str
    Next: str
    Default: str
    Choices: list[Rule]
    Retry: list[Retrier]
    Catch: list[Catcher]
    Resource: str
    Parameters: dict[str, str]
    ResultPath: str | None
    TimeoutSeconds: float
    ItemProcessor: Machine


class Machine(TypedDict):
    """A workflow, or what a Map does with an item."""

    StartAt: str
    States: dict[str, AslState]


def machine(name: str) -> Machine:
    """Return the definition of a workflow, such as `cost_analysis`."""
    definition: Machine = json.loads((FOLDER / f"{name}.asl.json").read_text())
    return definition


ORDER_WORKFLOW = machine("order_workflow")
STATES, START_AT = ORDER_WORKFLOW["States"], ORDER_WORKFLOW["StartAt"]


# --- retries --------------------------------------------------------------------------------------


def is_retried(state: str, error: str, tries: int) -> bool:
    """Whether a state is tried again that has failed `tries` times with this error."""
    return tries <= _retrier(state, error)["MaxAttempts"]


def retry_wait(state: str, error: str, tries: int) -> float:
    """Return the seconds before the next try of a state that has failed `tries` times, without jitter."""
    return _wait(_retrier(state, error), tries)


def longest_run(state: AslState) -> float:
    """Return the seconds that a state takes at most: in a task each try times out, and each wait is whole."""
    if state["Type"] != "Task":
        return 0
    retrier = state["Retry"][-1]
    retries = retrier["MaxAttempts"]
    waits = sum(_wait(retrier, tries) for tries in range(1, retries + 1))
    return (1 + retries) * state["TimeoutSeconds"] + waits


def _retrier(state: str, error: str) -> Retrier:
    """Return the Retry entry that decides about an error; the first that matches does."""
    for retrier in STATES[state].get("Retry", []):
        if _matches(retrier["ErrorEquals"], error):
            return retrier
    return {"MaxAttempts": 0}


def _wait(retrier: Retrier, tries: int) -> float:
    return retrier["IntervalSeconds"] * retrier["BackoffRate"] ** (tries - 1)


def _matches(error_equals: list[str], error: str) -> bool:
    return bool({error, "States.ALL"} & set(error_equals))


# --- ways through the order workflow --------------------------------------------------------------


def after(state: str, state_input: StateInput, result: object) -> tuple[str, StateInput]:
    """Return the state that follows a task which returned `result`, and what that state gets."""
    output = _with_result(STATES[state]["ResultPath"], state_input, result)
    return _follow(STATES[state]["Next"], output), output


def after_failure(state: str, state_input: StateInput, error: str) -> tuple[str, StateInput]:
    """Return the state that follows a task which failed for good, and what that state gets."""
    for catcher in STATES[state]["Catch"]:
        if _matches(catcher["ErrorEquals"], error):
            failure = {"Error": error, "Cause": ""}
            output = _with_result(catcher["ResultPath"], state_input, failure)
            return _follow(catcher["Next"], output), output
    raise AssertionError(f"{state} does not catch {error}")


def ended(arn: str, state: str, state_input: StateInput) -> OrderExecution | None:
    """Return how an execution ended that has come to this state; None while there is a task to run."""
    match STATES[state]["Type"]:
        case "Succeed":
            return OrderExecution(arn=arn, status="SUCCEEDED", output=state_input)
        case "Fail":
            error = state_input["error"]["Error"]
            return OrderExecution(arn=arn, status="FAILED", end=FailureEnd(state), error=error)
    return None


def called_state(function_arn: str, outcome: str | None) -> str:
    """Return the state that calls this function for this outcome."""
    (name,) = (
        name
        for name, state in STATES.items()
        if state.get("Resource") == function_arn and state["Parameters"].get("outcome") == outcome
    )
    return name


def longest_path(machine: Machine, seconds: Callable[[AslState], float]) -> float:
    """Return the seconds of the longest path through a machine, failures and what follows them included.

    A path comes to no state twice.
    """

    def from_state(name: str, before: frozenset[str]) -> float:
        state, so_far = machine["States"][name], before | {name}
        following = (from_state(one, so_far) for one in successors(state) - so_far)
        return seconds(state) + max(following, default=0)

    return from_state(machine["StartAt"], frozenset())


def successors(state: AslState) -> set[str]:
    """Return the states to which a state may lead, by its failure too."""
    chosen = {choice["Next"] for choice in state.get("Choices", [])}
    caught = {catcher["Next"] for catcher in state.get("Catch", [])}
    return chosen | caught | {state[key] for key in ("Next", "Default") if key in state}


def _follow(name: str, state_input: StateInput) -> str:
    """Return the first state from `name` on that is no Choice."""
    while STATES[name]["Type"] == "Choice":
        choices = STATES[name]["Choices"]
        chosen = (choice["Next"] for choice in choices if _holds(choice, state_input))
        name = next(chosen, STATES[name]["Default"])
    return name


def _with_result(path: str | None, state_input: StateInput, result: Any) -> StateInput:
    match path:
        case None:
            return state_input
        case "$":
            return dict(result)
    return state_input | {path.removeprefix("$."): result}


def _holds(rule: Rule, state_input: StateInput) -> bool:
    match rule:
        case {"And": parts}:
            return all(_holds(part, state_input) for part in parts)
        case {"Or": parts}:
            return any(_holds(part, state_input) for part in parts)
        case {"Not": part}:
            return not _holds(part, state_input)
    return _compares(rule, state_input)


def _compares(rule: Rule, state_input: StateInput) -> bool:
    variable: Any = state_input
    for key in rule["Variable"].removeprefix("$.").split("."):
        if rule.get("IsPresent") and key not in variable:
            return False
        variable = variable[key]
    match rule:
        case {"IsPresent": True}:
            return True
        case {"StringEquals": expected} | {"BooleanEquals": expected}:
            return bool(variable == expected)
        case {"StringMatches": pattern}:
            return fnmatchcase(variable, pattern)
        case {"NumericGreaterThanEquals": least}:
            return bool(variable >= least)
    raise AssertionError(f"the reader does not know {rule}")
