"""The tracking table without DynamoDB: carries out the ledger's writes on a dictionary, at once.

Condition expressions are compiled once each ("Condition expressions", Amazon DynamoDB Developer Guide).
What the compiler does not know it refuses. `tests/unit/test_table_in_memory.py` holds it against moto's.
"""

from __future__ import annotations

import functools
import operator
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zlib import crc32

from steps.aws.ledger_table import LedgerTable, Page
from steps.ledger.rules import Put, Record, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from steps.ledger.unfinished import Search

    Operand = Callable[[Record, Mapping[str, Any]], Any]
    Condition = Callable[[Record, Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),]|[#:]?\w+)")
_MISSING = object()
_ALWAYS = "attribute_not_exists(never)"
_COMPARATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class TableInMemory(LedgerTable):
    """A tracking table; `items` is its content by notification id. Records are never changed in place.

    A page of a Scan has `page` items, and like DynamoDB's it does not tell whether it is the last.
    """

    items: dict[str, Record] = field(default_factory=dict)
    page: int = 1_000

    def write(self, request: Put | Update) -> Record | None:
        """Make one conditional write; see `LedgerTable.write`."""
        if isinstance(request, Put):
            key: str = request.record["notificationId"]
        else:
            key = request.notification_id
        old = self.items.get(key, {})
        if not compiled(request.condition)(old, request.values):
            return dict(old)
        self.items[key] = written(old, key, request)
        return None

    def read(
        self, notification_id: str, attributes: Sequence[str], *, consistent: bool = True
    ) -> Record:
        """Read these attributes of a record as it is; `{}` where there is none."""
        del consistent
        item = self.items.get(notification_id, {})
        return {name: item[name] for name in attributes if name in item}

    def whole(self, notification_id: str) -> Record:
        """Read a record as it is; `{}` where there is none."""
        return dict(self.items.get(notification_id, {}))

    def find_of_order(self, order_id: str) -> Iterator[Record]:
        """Yield the records of an order."""
        yield from [dict(item) for item in self.records() if item.get("orderId") == order_id]

    def find_overdue(self, now: float) -> Iterator[str]:
        """Yield the notifications of delayed mails that are overdue at `now`."""
        yield from [
            key for key, item in self.items.items() if item.get("overdueAt", now + 1) <= now
        ]

    def scan_segment(
        self, search: Search, segment: int, of: int, start: Mapping[str, str] | None = None
    ) -> Page:
        """Read one page of `page` records of a segment; see `LedgerTable.scan_segment`."""
        after = start["notificationId"] if start else ""
        rest = [
            key
            for key, item in sorted(self.items.items())
            if "orderId" in item and crc32(item["orderId"].encode()) % of == segment and key > after
        ]
        page, matches = rest[: self.page], compiled(search.condition)
        return Page(
            records=[
                self.read(key, search.attributes)
                for key in page
                if matches(self.items[key], search.values)
            ],
            start=dict(self.read(page[-1], ("orderId", "notificationId")))
            if len(page) == self.page
            else None,
        )

    def put(self, record: Record) -> None:
        """Put a record there, whatever there was."""
        self.write(Put(record=record, condition=_ALWAYS, values={}))

    def records(self) -> list[Record]:
        """Return all records."""
        return list(self.items.values())

    def expire(self, now: float) -> None:
        """Delete the records whose `ttl` has passed, as DynamoDB does some day."""
        for key in [k for k, item in self.items.items() if item.get("ttl", now + 1) <= now]:
            del self.items[key]


MEMORY = TableInMemory("tracking")
"""The table of the tests that take the fixture `ledger_in_memory`."""


def written(old: Record, key: str, request: Put | Update) -> Record:
    """Return the item that a write leaves where its condition holds."""
    if isinstance(request, Put):
        return {name: _stored(value) for name, value in request.record.items()}
    new = {**old, "notificationId": key}
    for name, value in request.set.items():
        new[name] = _stored(value)
    for name in request.remove:
        new.pop(name, None)
    for name, members in request.add.items():
        new[name] = {*new.get(name, ()), *members}
    for name in request.counted:
        new[name] = Decimal(new.get(name, 0) + 1)
    return new


def _stored(value: Any) -> Any:
    """Return a value as it comes back from DynamoDB: numbers as Decimal, text without its class."""
    match value:
        case bool() | None | Decimal():
            return value
        case str():
            return str(value)
        case int():
            return Decimal(value)
        case set() | frozenset():
            return {_stored(member) for member in value}
        case list() | tuple():
            return [_stored(member) for member in value]
        case dict():
            return {name: _stored(member) for name, member in value.items()}
    raise TypeError(f"DynamoDB does not take a {type(value).__name__}")


# --- condition expressions ------------------------------------------------------------------------


@functools.cache
def compiled(expression: str) -> Condition:
    """Compile a condition expression into a predicate of an item (`{}`: none) and the values.

    `#name` stands for the attribute of that name, `:value` for the value of that name.
    """
    tokens = _TOKEN.findall(expression)
    if "".join(tokens) != re.sub(r"\s", "", expression):
        raise ValueError(f"cannot read the condition {expression!r}")
    rest = _Tokens(tokens)
    condition = _any_of(rest)
    if rest.peek():
        raise ValueError(f"{rest.peek()!r} is one too many in {expression!r}")
    return condition


class _Tokens:
    def __init__(self, tokens: list[str]) -> None:
        self._rest = tokens[::-1]

    def peek(self, ahead: int = 1) -> str:
        return self._rest[-ahead] if len(self._rest) >= ahead else ""

    def take(self, expected: str = "") -> str:
        token = self._rest.pop()
        if expected and token.upper() != expected:
            raise ValueError(f"{expected} was expected, not {token}")
        return token

    def took(self, word: str) -> bool:
        if self.peek().upper() != word:
            return False
        self.take()
        return True


def _any_of(tokens: _Tokens) -> Condition:
    parts = [_all_of(tokens)]
    while tokens.took("OR"):
        parts.append(_all_of(tokens))
    return parts[0] if len(parts) == 1 else lambda i, v: any(part(i, v) for part in parts)


def _all_of(tokens: _Tokens) -> Condition:
    parts = [_one(tokens)]
    while tokens.took("AND"):
        parts.append(_one(tokens))
    return parts[0] if len(parts) == 1 else lambda i, v: all(part(i, v) for part in parts)


def _one(tokens: _Tokens) -> Condition:
    if tokens.took("NOT"):
        denied = _one(tokens)
        return lambda i, v: not denied(i, v)
    if tokens.took("("):
        inner = _any_of(tokens)
        tokens.take(")")
        return inner
    if tokens.peek(2) == "(" and tokens.peek() in _FUNCTIONS:
        function = _FUNCTIONS[tokens.take()]
        tokens.take("(")
        operands = list(_operands(tokens))
        return function(*operands)
    left = _operand(tokens)
    if tokens.took("IN"):
        tokens.take("(")
        members = list(_operands(tokens))
        return lambda i, v: any(_equal(left(i, v), member(i, v)) for member in members)
    return _comparison(left, tokens.take(), _operand(tokens))


def _operands(tokens: _Tokens) -> Iterator[Operand]:
    yield _operand(tokens)
    while tokens.took(","):
        yield _operand(tokens)
    tokens.take(")")


def _operand(tokens: _Tokens) -> Operand:
    word = tokens.take()
    if word == "size":
        tokens.take("(")
        sized = _operand(tokens)
        tokens.take(")")
        return lambda i, v: _size(sized(i, v))
    name = word.lstrip("#:")
    if word.startswith(":"):
        return lambda _, v: v[name]
    return lambda i, _: i.get(name, _MISSING)


def _comparison(left: Operand, comparator: str, right: Operand) -> Condition:
    compare = _COMPARATORS[comparator]
    if comparator == "=":
        return lambda i, v: _equal(left(i, v), right(i, v))
    if comparator == "<>":
        return lambda i, v: not _equal(left(i, v), right(i, v))

    def ordered(item: Record, values: Mapping[str, Any]) -> bool:
        a, b = left(item, values), right(item, values)
        return _same_type(a, b) and compare(a, b)

    return ordered


def _equal(a: Any, b: Any) -> bool:
    return a is not _MISSING and b is not _MISSING and bool(a == b)


def _same_type(a: Any, b: Any) -> bool:
    return any(isinstance(a, kind) and isinstance(b, kind) for kind in (str, int | Decimal))


def _size(value: Any) -> Any:
    return _MISSING if value is _MISSING or isinstance(value, int | Decimal) else len(value)


def _contains(whole: Operand, part: Operand) -> Condition:
    def contains(item: Record, values: Mapping[str, Any]) -> bool:
        found, sought = whole(item, values), part(item, values)
        if isinstance(found, str):
            return isinstance(sought, str) and sought in found
        return found is not _MISSING and isinstance(found, set | list) and sought in found

    return contains


def _begins_with(whole: Operand, part: Operand) -> Condition:
    def begins_with(item: Record, values: Mapping[str, Any]) -> bool:
        found, sought = whole(item, values), part(item, values)
        return isinstance(found, str) and isinstance(sought, str) and found.startswith(sought)

    return begins_with


_FUNCTIONS: dict[str, Callable[..., Condition]] = {
    "attribute_exists": lambda path: lambda i, v: path(i, v) is not _MISSING,
    "attribute_not_exists": lambda path: lambda i, v: path(i, v) is _MISSING,
    "begins_with": _begins_with,
    "contains": _contains,
}
