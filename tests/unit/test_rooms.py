"""The house: no circles, nothing imports upwards, no Lambda function imports another."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from statemachines.order_workflow import Steps
from tests.support.rooms import (
    FLOORS,
    arrows,
    lambda_functions,
    modules,
    room,
)


def test_no_modules_import_each_other_in_a_circle() -> None:
    # A package's __init__ that hands names on would be a circle with what it holds, and is seen, too.
    TopologicalSorter(modules()).prepare()


def test_nothing_imports_upwards() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    rooms = {room(module) for module in modules()} - {""}
    assert rooms == floor.keys(), "a new room has a floor"
    assert [(a, b) for a, b in arrows() if floor[a] >= floor[b]] == []


@pytest.mark.parametrize("function", sorted(lambda_functions()))
def test_a_lambda_function_imports_no_other(function: str) -> None:
    assert modules()[function] & lambda_functions() == set()


@pytest.mark.parametrize("function", sorted(lambda_functions()))
def test_a_file_at_the_top_of_steps_is_a_lambda_function(function: str) -> None:
    source = Path(*function.split(".")).with_suffix(".py").read_text()
    assert "\ndef handler(event: " in source


def test_every_step_of_the_workflow_is_one() -> None:
    assert {f"steps.{name}" for name in Steps.names()} <= lambda_functions()
