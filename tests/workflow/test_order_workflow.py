"""Each path of the order workflow, on moto's interpreter, with the real handlers in process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from statemachines.order_workflow import NOT_SENT
from tests.aws_world import table_items, tracking_table
from tests.workflow.moto_interpreter import run
from tests.workflow.scenarios import SCENARIOS, Scenario, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

ASL = Path("statemachines/order_workflow.asl.json")
STATES = json.loads(ASL.read_text())["States"]


@pytest.fixture
def aws_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table, a verified sender, and the functions' environment, all moto's."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        tracking_table(monkeypatch)
        yield


@pytest.mark.usefixtures("aws_world")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_path(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id = f"ORDER-{scenario.name}"
    if found := seeded(scenario, order_id):
        boto3.resource("dynamodb", region_name="us-east-1").Table("tracking").put_item(Item=found)

    ended = run(
        ASL,
        {"message": scenario.message(order_id), "attempt": scenario.attempt},
        scenario.throws,
        monkeypatch,
    )

    assert ended.path == scenario.path
    assert (ended.status, ended.error) == (scenario.status, scenario.error)
    records = table_items()
    if not scenario.record:
        assert all(r["status"] in ("CLAIMED", "SENDING") for r in records)
    else:
        (record,) = records
        assert scenario.record.items() <= record.items()


def test_scenarios_cover_every_state_choice_retry_and_catch() -> None:
    entered = {state for s in SCENARIOS for state in s.path}
    assert entered == set(STATES)
    for name, state in STATES.items():
        successors = [c["Next"] for c in state.get("Choices", [])] + [
            state[k] for k in ("Default", "Next") if k in state
        ]
        successors += [c["Next"] for c in state.get("Catch", [])]
        for successor in successors:
            assert any(
                (name, successor) in zip(s.path, s.path[1:], strict=False) for s in SCENARIOS
            ), f"no scenario goes from {name} to {successor}"
        if "Retry" in state:
            assert any(
                name in s.throws and s.throws[name][0] in state["Retry"][0]["ErrorEquals"]
                for s in SCENARIOS
            ), f"no scenario retries {name}"


def test_send_is_repeated_only_where_ses_certainly_has_nothing() -> None:
    (retry,) = STATES["Send"]["Retry"]
    assert set(retry["ErrorEquals"]) == {
        "SendThrottled",
        "LedgerUnavailable",
        "Lambda.TooManyRequestsException",
    }
    assert set(retry["ErrorEquals"]) <= set(NOT_SENT)


def test_the_order_does_not_travel_with_its_mail() -> None:
    assert STATES["Render"]["ResultPath"] == "$"
