"""DynamoDB's units, by the examples and rules of its Developer Guide."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local import capacity

KEY = ["id"]


def item(**texts: str) -> dict[str, Any]:
    return {name: {"S": text} for name, text in texts.items()}


def index(*names: str, kind: str = "INCLUDE") -> dict[str, Any]:
    keys = [{"AttributeName": "order", "KeyType": "HASH"}]
    projection: dict[str, Any] = {"ProjectionType": kind}
    if kind == "INCLUDE":
        projection["NonKeyAttributes"] = list(names)
    return {"IndexName": "ByOrder", "KeySchema": keys, "Projection": projection}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "shirt"}, 5),
        ({"S": "Größe"}, 7),
        ({"N": "27"}, 2),
        ({"N": "123"}, 3),
        ({"N": "-123"}, 4),
        ({"N": "1000"}, 2),
        ({"N": "0.0015"}, 2),
        ({"B": "AAECAw=="}, 4),
        ({"NULL": True}, 1),
        ({"BOOL": False}, 1),
        ({"SS": ["ab", "c"]}, 3),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"BOOL": True}]}, 3 + 1 + 2 + 1 + 1),
        ({"M": {}}, 3),
        ({"M": {"ab": {"S": "c"}}}, 3 + 1 + 2 + 1),
    ],
)
def test_an_attribute_is_as_long_as_its_name_and_its_value(value: Any, size: int) -> None:
    assert capacity.item_bytes({"name": value}) == len("name") + size


@pytest.mark.parametrize(
    ("size", "consistent", "units"),
    [
        (0, True, 1),  # what is not there
        (3500, True, 1),
        (4096, True, 1),
        (8192, True, 2),
        (8192, False, 1),
        (3500, False, 0.5),
        (10_240, True, 3),
    ],
)
def test_a_read_covers_four_kilobytes(size: int, consistent: bool, units: float) -> None:  # noqa: FBT001
    assert capacity.read_units(size, consistent=consistent) == units


@pytest.mark.parametrize(("size", "units"), [(500, 1), (1024, 1), (1025, 2), (2048, 2), (3584, 4)])
def test_a_write_covers_one_kilobyte(size: int, units: int) -> None:
    made = item(id="x" * (size - 2))
    assert capacity.write_units(None, made) == units
    assert capacity.write_units(made, None) == units


def test_an_update_takes_the_larger_item_and_a_refused_one_what_is_there() -> None:
    small, large = item(id="1"), item(id="1", text="x" * 1500)
    assert capacity.write_units(small, large) == capacity.write_units(large, small) == 2
    assert capacity.write_units(large, large) == 2
    assert capacity.write_units(None, None) == 1


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        # "Write capacity units": the five cases, and the sixth.
        (None, item(id="1", order="a"), 1),
        (item(id="1", order="a"), item(id="1", order="b"), 2),
        (item(id="1", order="a"), item(id="1"), 1),
        (item(id="1"), item(id="1", other="x"), 0),
        (item(id="1", order="a", status="x"), item(id="1", order="a", status="y"), 1),
        (item(id="1", order="a"), item(id="1", order="a", other="y"), 0),
        (item(id="1", order="a"), None, 1),
    ],
)
def test_an_index_is_written_where_its_entry_changes(before: Any, after: Any, units: int) -> None:
    assert capacity.index_units(index("status"), KEY, before, after) == units


def test_an_index_has_its_key_the_table_s_and_what_it_projects() -> None:
    whole = item(id="1", order="a", status="x", other="y")
    assert capacity.index_entry(index("status"), KEY, whole) == item(id="1", order="a", status="x")
    assert capacity.index_entry(index(kind="KEYS_ONLY"), KEY, whole) == item(id="1", order="a")
    assert capacity.index_entry(index(kind="ALL"), KEY, whole) == whole
    assert capacity.index_entry(index("status"), KEY, item(id="1")) is None
