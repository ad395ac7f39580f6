"""A canary is told from every other order by its id and its recipient together."""

from __future__ import annotations

import pytest

from steps.contract.canary import is_canary

SIMULATED = "success+canary-x@simulator.amazonses.com"


@pytest.mark.parametrize(
    ("order_id", "recipient", "canary"),
    [
        ("CANARY-20261130T031500Z", SIMULATED, True),
        ("CANARY-20261130T031500Z", "customer@example.com", False),
        ("DEMO-1", SIMULATED, False),
        ("MY-CANARY-1", SIMULATED, False),
        ("canary-1", SIMULATED, False),
        ("CANARY-1", "", False),
    ],
)
def test_a_shop_s_own_order_is_no_canary(order_id: str, recipient: str, *, canary: bool) -> None:
    assert is_canary(order_id, recipient) is canary
