"""The baseline's code, beside `steps` in its bundle: the five steps' own handlers, one after the other.

What the workflow hands from step to step (`statemachines.order_workflow`) stays in memory here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from steps import dedup, record, render, send, validate
from steps.contract.state import Outcome

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Take an SNS event with one message, and send its mail."""
    execution = context.aws_request_id
    state: Any = {
        "message": event["Records"][0]["Sns"]["Message"],
        "publishedAt": int(time.time()),
        "attempt": 1,
        "lastReceive": False,
    }
    state = validate.handler({"execution": execution, "state": state}, context)
    state["claim"] = dedup.handler({"execution": execution, "state": state}, context)
    state = render.handler({"execution": execution, "state": state}, context)
    state["receipt"] = send.handler({"execution": execution, "state": state}, context)
    record.handler({"execution": execution, "state": state, "outcome": Outcome.SENT}, context)
