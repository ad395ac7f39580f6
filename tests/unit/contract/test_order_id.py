"""An order id that may be someone's address is shown nowhere, and alike wherever something is shown."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.contract.order_id import shown
from steps.contract.text import identifier
from steps.dispatch import execution_name


@given(st.text(min_size=1))
def test_what_is_shown_is_the_id_or_a_hash(order_id: str) -> None:
    kept = identifier(order_id)
    harmless = kept.isascii() and kept != "" and all(c.isalnum() or c in "-_.#/" for c in kept)
    assert (shown(order_id) == kept) is harmless
    assert shown(order_id) == shown(kept)
    assert shown(order_id).isascii()


@pytest.mark.parametrize(
    "order_id", ["jo@example.com", " jo@example.com\n", "\u200eA-1", "Jo Doe", "注文"]
)
def test_an_execution_is_named_by_what_is_shown(order_id: str) -> None:
    name = execution_name(json.dumps({"orderId": order_id}), "0123456789", 1)
    assert name == f"{shown(order_id)}-01234567-1"


def test_what_else_is_in_a_message_does_not_hide_its_order() -> None:
    message = '{"orderId": "A-1", "note": ' + "9" * 5000 + "}"
    assert execution_name(message, "0123456789", 1) == "A-1-01234567-1"


def test_no_function_logs_an_order_id_in_another_way() -> None:
    logged = [
        ast.unparse(keyword.value)
        for file in Path("steps").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("logger.")
        for keyword in call.keywords
        if keyword.arg == "order_id"
    ]
    assert len(logged) >= 2
    assert all("shown(" in value for value in logged), logged
