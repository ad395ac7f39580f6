"""The JSON Schema for shops: it takes the kinds' samples, and nothing that lacks a required field."""

import json

import jsonschema
import pytest

from steps import kinds
from steps.kinds.schema import SCHEMA, schema


@pytest.mark.parametrize("name", kinds.samples())
def test_the_schema_takes_a_sample_and_requires_its_kind_s_fields(name: str) -> None:
    order_event, sample = schema(), kinds.sample(name)
    jsonschema.validate(sample, order_event)
    required = kinds.kind(sample["eventType"]).event.model_json_schema()["required"]
    for field in {*required, "orderId"} - {"eventType"}:
        without = {key: value for key, value in sample.items() if key != field}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(without, order_event)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sample | {"eventType": "order.lost"}, order_event)


def test_the_schema_in_the_repository_is_up_to_date() -> None:
    assert json.loads(SCHEMA.read_text()) == schema()
