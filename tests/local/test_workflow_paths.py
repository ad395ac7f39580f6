"""Each path of the order workflow again, on a second interpreter: MiniStack's, with deployed functions.

A scenario's failures are set as the emulator's mocked responses, in the format of AWS's Step
Functions Local; every other state runs for real, the table and SES included.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from infra.local.loopback import fetch
from tests.support.scenarios import SCENARIOS, Scenario, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.running_stack import RunningStack


# MiniStack looks a mocked response up once per state, so a failure lasts for all of its retries: what
# passes at a later try runs on moto's interpreter alone.
REPEATED = [
    s
    for s in SCENARIOS
    if not (s.throws and (s.path[-1] == "Sent" or s.name.endswith("second-try")))
]


@pytest.fixture(scope="module")
def _failures_as_asked(stack: RunningStack) -> Iterator[None]:
    machine = stack.name("email-order-workflow")
    config = {
        "StateMachines": {
            machine: {
                "TestCases": {
                    s.name: {task: f"{s.name}/{task}" for task in s.throws} for s in SCENARIOS
                }
            }
        },
        "MockedResponses": {
            f"{s.name}/{task}": {
                str(i): {"Throw": {"Error": error, "Cause": "as asked"}}
                for i, error in enumerate(errors)
            }
            for s in SCENARIOS
            for task, errors in s.throws.items()
        },
    }
    configure(stack, {"stepfunctions._sfn_mock_config": config, "stepfunctions._SFN_WAIT_SCALE": 0})
    # SES's events change records, too, at a moment of their own: what is looked at is the workflow's.
    stack.ses("settings", {"events_lost": 1})
    yield
    stack.ses("settings", {"events_lost": 0})
    configure(stack, {"stepfunctions._sfn_mock_config": {}, "stepfunctions._SFN_WAIT_SCALE": 1})


def configure(stack: RunningStack, settings: dict[str, object]) -> None:
    fetch(f"{stack.settings.aws_url}/_ministack/config", settings, "POST")


@pytest.mark.usefixtures("_failures_as_asked")
@pytest.mark.parametrize("scenario", REPEATED, ids=lambda s: s.name)
def test_path(scenario: Scenario, stack: RunningStack) -> None:
    order_id = f"{scenario.name}-{secrets.token_hex(3)}"
    if record := seeded(scenario, order_id):
        stack.table.put_item(Item=record)

    ended = stack.client("stepfunctions", inject_host_prefix=False).start_sync_execution(
        stateMachineArn=f"{stack.workflow}#{scenario.name}",
        name=order_id,
        input=json.dumps(scenario.request(order_id)),
    )

    assert tuple(stack.path(ended["executionArn"])) == scenario.path
    assert scenario.ended_as_expected(
        ended["status"], ended.get("error", ""), ended.get("cause", "")
    )
    records = [stack.whole(record) for record in stack.records(order_id)]
    for expected in scenario.records or [scenario.record]:
        assert not expected or any(expected.items() <= record.items() for record in records)
