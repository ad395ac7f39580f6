"""The simulated table does what moto's DynamoDB does, write by write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from steps.ledger.rules import Put, Update
from steps.ledger.status import Status
from tests.support.in_memory_aws import TABLE, mocked_aws, table_items, tracking_table
from tests.support.table_in_memory import TableInMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn, SearchStrategy

IDS = ("one", "two")
WORDS = st.sampled_from(("a", "ab", "b", Status.SENT, Status.SENDING))
NUMBERS = st.integers(-2, 3)
VALUES: dict[str, SearchStrategy[object]] = {
    "status": WORDS,
    "owner": WORDS,
    "messageId": st.sampled_from(("m1", "m2")),
    "leaseUntil": NUMBERS,
    "ttl": NUMBERS,
    "mixed": WORDS | NUMBERS,
    "reasons": st.lists(WORDS, max_size=2),
}
ATTRIBUTES = tuple(VALUES)
READ = ("notificationId", "events", "status", "owner", "ttl", "reasons")
SHOWN = {"status": "#status", "owner": "#owner", "ttl": "#ttl"}
"""What the ledger's conditions write with a `#`."""


@st.composite
def conditions(draw: DrawFn, depth: int = 2) -> tuple[str, dict[str, object]]:
    """Draw a condition expression and its values."""
    if depth and draw(st.booleans()):
        kind = draw(st.sampled_from(("AND", "OR", "NOT")))
        if kind == "NOT":
            denied, values = draw(comparisons())
            return f"NOT {denied}", values
        left, values = draw(conditions(depth - 1))
        right, more = draw(conditions(depth - 1))
        left, right = (
            re.sub(r":(\w)", rf":{side}\1", e) for side, e in (("l", left), ("r", right))
        )
        both = {f"l{n}": v for n, v in values.items()} | {f"r{n}": v for n, v in more.items()}
        if kind == "AND":  # DynamoDB refuses parentheses that change nothing.
            left, right = (f"({e})" if " OR " in e and e[0] != "(" else e for e in (left, right))
        return f"{left} {kind} {right}", both
    return draw(comparisons())


@st.composite
def comparisons(draw: DrawFn) -> tuple[str, dict[str, object]]:
    attribute = draw(st.sampled_from(ATTRIBUTES))
    name = SHOWN.get(attribute, attribute)
    value = draw(VALUES[attribute])
    kind = draw(
        st.sampled_from(("exists", "absent", "contains", "begins_with", "in", "size", "compare"))
    )
    match kind:
        case "exists":
            return f"attribute_exists({name})", {}
        case "absent":
            return f"attribute_not_exists({name})", {}
        case "contains" | "begins_with":
            subject = "events" if kind == "contains" else name
            return f"{kind}({subject}, :v)", {"v": draw(WORDS)}
        case "in":
            return f"{name} IN (:v, :w)", {"v": value, "w": draw(VALUES[attribute])}
        case "size":
            size = f"size(events) {draw(st.sampled_from(('=', '>', '<=')))} :v"
            # moto breaks where DynamoDB takes the size of nothing for a comparison that fails.
            return f"(attribute_exists(events) AND {size})", {"v": 1}
    comparator = draw(st.sampled_from(("=", "<>", "<", "<=", ">", ">=")))
    if isinstance(value, list):
        comparator = "="
    return f"{name} {comparator} :v", {"v": value}


@st.composite
def writes(draw: DrawFn) -> Put | Update:
    key = draw(st.sampled_from(IDS))
    condition, values = draw(conditions())
    attributes = draw(st.fixed_dictionaries({}, optional=VALUES))
    if draw(st.booleans()):
        record = {"notificationId": key, **attributes}
        return Put(record=record, condition=condition, values=values)
    remove = draw(st.lists(st.sampled_from(ATTRIBUTES), unique=True, max_size=2))
    add = draw(st.frozensets(WORDS, max_size=2))
    return Update(
        notification_id=key,
        condition=condition,
        values=values,
        set=attributes or {"status": "a"},
        remove=tuple(name for name in remove if name not in (attributes or {"status": "a"})),
        add={"events": add} if add else {},
        count=draw(st.sampled_from(((), ("ignored",)))),
    )


@pytest.fixture(scope="module")
def moto() -> Iterator[None]:
    with mocked_aws():
        yield


@pytest.mark.usefixtures("moto")
@settings(max_examples=150, phases=(Phase.generate,), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(writes(), min_size=1, max_size=8))
def test_random_writes_end_as_in_the_real_table(requests: list[Put | Update]) -> None:
    simulated = TableInMemory("simulated")
    for item in table_items():
        tracking_table().delete_item(Key={"notificationId": item["notificationId"]})
    for request in requests:
        if not request.values and isinstance(request, Put):
            continue  # LedgerTable would send an empty map, which none of the rules makes it do.
        try:
            written = TABLE.write(request)
        except TypeError:
            reject()  # moto does not order values of different types; DynamoDB does not match them.
        assert simulated.write(request) == written, request
        for key in IDS:
            assert simulated.read(key, READ) == TABLE.read(key, READ)
    assert sorted(simulated.items.values(), key=str) == sorted(table_items(), key=str)
