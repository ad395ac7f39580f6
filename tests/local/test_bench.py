"""That each part of `make bench` runs, once and with next to nothing: what it measures is not judged here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.bench import __main__ as bench
from tests.bench import one_function
from tests.bench.chain import Whose
from tests.bench.spread import Spread

if TYPE_CHECKING:
    from rich.table import Table

    from infra.local.running_stack import RunningStack


def silent(_: str) -> None:
    pass


def cells(table: Table) -> list[list[Any]]:
    return [[*column.cells] for column in table.columns]


def test_a_ratio_is_of_one_round() -> None:
    # A machine that is four times as slow in the second round.
    assert Spread.of_ratios([10, 40, 10], [5, 20, 5]) == Spread(2, 2, 2)
    assert Spread.of([1, 2, 3, 4, 5]).text() == "3 (2 to 4)"
    assert Spread.of([1.25]).text(2) == "1.25 (1.25 to 1.25)"


def test_imports() -> None:
    table = bench.measure_imports(("render",), rounds=1, progress=silent)
    assert cells(table)[0] == ["render"]


def test_rendering() -> None:
    table = bench.measure_rendering(("ar",), rounds=1, progress=silent)
    assert cells(table)[0] == ["ar"]


@pytest.mark.usefixtures("no_dead_letters")
def test_the_path(stack: RunningStack) -> None:
    path, at_once = bench.measure_path(
        stack, rounds=1, mails=1, bursts=1, orders=2, progress=silent
    )
    assert cells(path)[0] == ["ms until SES accepted it", *(f"ms of CPU: {w}" for w in Whose)]
    assert len(cells(at_once)[0]) == 1 + len(Whose)
    ours = stack.sns.list_topics()["Topics"]
    assert not [topic for topic in ours if one_function.NAME in topic["TopicArn"]]
    functions, iam = stack.client("lambda"), stack.client("iam")
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_function(FunctionName=one_function.NAME)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName=one_function.NAME)
