"""The JSON Schema for shops: it takes the kinds' samples, and nothing that lacks a required field."""

import json

import pytest
from jsonschema import Draft202012Validator

from steps import kinds
from steps.kinds.schema import SCHEMA, schema

VALIDATOR = Draft202012Validator(schema())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("name", kinds.samples())
def test_the_schema_takes_a_sample_and_requires_its_kind_s_fields(name: str) -> None:
    sample = kinds.sample(name)
    VALIDATOR.validate(sample)
    required = kinds.kind(sample["eventType"]).event.model_json_schema()["required"]
    for field in {*required, "orderId"} - {"eventType"}:
        without = {key: value for key, value in sample.items() if key != field}
        assert not VALIDATOR.is_valid(without), field
    assert not VALIDATOR.is_valid(sample | {"eventType": "order.lost"})


def test_the_schema_in_the_repository_is_up_to_date() -> None:
    assert json.loads(SCHEMA.read_text()) == schema()
