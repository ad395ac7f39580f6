"""What is read of a message before anybody has validated it."""

from __future__ import annotations

import pytest

from steps.contract.message import field


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ('{"orderId": "A"}', "A"),
        ('\ufeff{"orderId": "A"}', "A"),
        ('{"orderId": "A", "n": ' + "9" * 5000 + "}", "A"),
        ('{"orderId": ""}', ""),
        ('{"orderId": 7}', ""),
        ('{"orderId": ["A"]}', ""),
        ("{}", ""),
        ("[]", ""),
        ('"orderId"', ""),
        ("7", ""),
        ("nonsense", ""),
        ("", ""),
        ("[" * 100_000, ""),
    ],
)
def test_a_text_is_read_and_nothing_else(message: str, read: str) -> None:
    assert field(message, "orderId") == read
