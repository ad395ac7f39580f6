"""The house: no circles, nothing imports upwards, no Lambda function imports another."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from statemachines.order_workflow import Steps
from tests.support.rooms import FLOORS, arrows, lambda_functions, modules, room


def test_no_modules_import_each_other_in_a_circle() -> None:
    # A package's __init__ that hands names on would be a circle with what it holds, and is seen, too.
    TopologicalSorter(modules()).prepare()


def test_nothing_imports_upwards() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    rooms = {room(module) for module in modules()} - {""}
    assert rooms == floor.keys(), "a new room has a floor"
    upwards = [(high, low) for high, low in arrows() if floor[high] >= floor[low]]
    assert upwards == []


@pytest.mark.parametrize("function", sorted(lambda_functions()))
def test_a_lambda_function_imports_no_other(function: str) -> None:
    assert modules()[function] & lambda_functions() == set()


@pytest.mark.parametrize("function", sorted(lambda_functions()))
def test_a_file_at_the_top_of_steps_is_a_lambda_function(function: str) -> None:
    source = Path(*function.split(".")).with_suffix(".py").read_text()
    assert re.search(r"^def handler\(_?event: ", source, re.MULTILINE)


def test_every_step_of_the_workflow_is_a_lambda_function() -> None:
    assert {f"steps.{name}" for name in Steps.names()} <= lambda_functions()


def test_a_unit_test_in_a_room_is_named_after_the_module_that_it_tests() -> None:
    for test in Path("tests/unit").glob("*/test_*.py"):
        tested = Path("steps", test.parent.name, test.name.removeprefix("test_"))
        assert tested.exists() or tested.stem == test.parent.name, f"{test} tests no {tested}"
