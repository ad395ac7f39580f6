"""The JSON Schema of the outcome event, for shops: `python -m steps.contract.outcome_schema` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config

from steps.contract import outcome_event
from steps.contract.outcome_event import OutcomeData, OutcomeEvent

SCHEMA = Path(__file__).with_name("outcome_event.schema.json")


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of what the outcomes topic carries."""
    for shape in (OutcomeData, OutcomeEvent):
        with_config(ConfigDict(use_attribute_docstrings=True))(shape)
    made = TypeAdapter(OutcomeEvent).json_schema()
    for moment in (
        made["properties"]["time"],
        made["$defs"]["OutcomeData"]["properties"]["occurredAt"],
    ):
        moment["format"] = "date-time"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": outcome_event.DATASCHEMA,
        **made,
    }


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
