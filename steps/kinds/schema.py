"""The JSON Schema of the order event, for shops: `python -m steps.kinds.schema` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from steps import kinds

SCHEMA = Path(__file__).with_name("order_event.schema.json")


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the order event as published: one alternative per kind."""
    events = [kinds.kind(name).event for name in kinds.names()]
    references, definitions = models_json_schema([(event, "validation") for event in events])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Order event",
        "description": "The body of a message to the order events topic. Unknown fields are ignored.",
        "oneOf": [references[event, "validation"] for event in events],
        **definitions,
    }


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
