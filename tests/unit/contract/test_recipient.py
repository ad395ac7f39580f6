"""SES's mailbox simulator: its addresses are known, and mails to it count nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from steps.contract.handler import count, step_handler
from steps.contract.metrics import Metric
from steps.contract.recipient import is_simulated, recipient
from tests.support.lambda_context import lambda_context

if TYPE_CHECKING:
    from steps.contract.state import State, StepEvent

SIMULATED, REAL = "success+canary@simulator.amazonses.com", "customer@example.com"


@pytest.mark.parametrize(
    ("address", "simulated"),
    [
        ("success@simulator.amazonses.com", True),
        ('"a@b"@simulator.amazonses.com', True),
        ("complaint+any.label@Simulator.AmazonSES.com", True),
        ("bounce@simulator.amazonses.com.example", False),
        ("simulator.amazonses.com@example.com", False),
        ("", False),
    ],
)
def test_the_simulator_s_addresses_are_known(address: str, *, simulated: bool) -> None:
    assert is_simulated(address) is simulated


def states(address: str) -> list[dict[str, Any]]:
    """Return the workflow's state before Render, after it, after a rejection, and where Validate failed."""
    rejection = {"orderId": "A", "customerEmail": address, "event": "{}", "reasons": []}
    return [
        {"order": {"customerEmail": address}},
        {"email": {"to": address}, "error": {"Error": "x"}},
        {"rejection": rejection},
        {"message": json.dumps({"customerEmail": address}), "error": {"Error": "x"}},
    ]


@pytest.mark.parametrize("number", range(4))
def test_whatever_a_step_counts_of_a_simulated_mail_is_dropped(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @step_handler
    def handler(_event: StepEvent, _context: object) -> None:
        for metric in Metric:
            count(metric)

    for address, lines in ((SIMULATED, 0), (REAL, 1)):
        state: State = states(address)[number]  # type: ignore[assignment]
        assert recipient(state) == address
        handler({"execution": "arn:1", "state": state}, lambda_context("r"))
        written = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
        assert len(written) == lines


def test_a_state_without_an_address_is_counted() -> None:
    assert recipient({"attempt": 1, "lastReceive": False, "message": "x"}) == ""
