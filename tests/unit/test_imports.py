"""What a function imports, its cold start pays for: only those that need a heavy package have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.parser",
    "aws_xray_sdk",
    "babel",
    "boto3",
    "dns",
    "email_validator",
    "jinja2",
    "pydantic",
}
NEEDED = {"validate": {"babel", "email_validator", "pydantic"}, "render": {"babel", "jinja2"}}
"""What a function needs of them, where it is not boto3."""

FUNCTIONS = sorted(p.stem for p in Path("steps").glob("*.py") if p.stem != "__init__")

IMPORTED = """
import importlib, json, sys
module = importlib.import_module("steps." + sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""

STARTED = """
import gc, json
import steps
states = [gc.isenabled(), gc.get_freeze_count()]
from steps import validate
validate.handler({"execution": "e", "state": {"message": "{}", "attempt": 1}}, None)
states += [gc.isenabled(), gc.get_freeze_count()]
print(json.dumps(states))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_what_it_needs(function: str) -> None:
    imported = set(json.loads(run(IMPORTED, function)))
    assert imported & HEAVY == NEEDED.get(function, {"boto3"})


def test_the_collector_rests_until_the_first_invocation_is_over() -> None:
    before, frozen_before, after, frozen = json.loads(
        run(STARTED, AWS_LAMBDA_FUNCTION_NAME="email-validate").splitlines()[-1]
    )
    assert (before, frozen_before, after) == (False, 0, True)
    assert frozen > 10_000


def test_elsewhere_the_collector_is_left_alone() -> None:
    assert json.loads(run(STARTED).splitlines()[-1]) == [True, 0, True, 0]


def run(program: str, *arguments: str, **variables: str) -> str:
    environment = {"POWERTOOLS_METRICS_NAMESPACE": "Test"} | variables
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
