"""What the CDK CLI overwrites: a real CLI, and settings that contradict the place it deploys to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infra.bundling import ROOT

if TYPE_CHECKING:
    from pathlib import Path

APP = f"""\
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from infra.cdk_cli import check_not_overwritten
from infra.setting import ConfigError
try:
    check_not_overwritten()
except ConfigError as error:
    sys.exit(str(error))
sys.exit("CONSISTENT " + os.environ["CDK_DEFAULT_REGION"])
"""
"""Ends before the synth in either case, and says what it found."""


def cdk_synth(folder: Path, **variables: str) -> str:
    """Return what the app says when the CLI runs it with these variables and no AWS credentials."""
    (folder / "app.py").write_text(APP)
    (folder / "cdk.json").write_text(json.dumps({"app": f"{sys.executable} app.py"}))
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "CDK_"))}
    quiet = {"CDK_DISABLE_CLI_TELEMETRY": "1", "AWS_EC2_METADATA_DISABLED": "true"}
    run = subprocess.run(
        ["cdk", "synth", "--no-notices", "--no-version-reporting"],
        cwd=folder,
        env=inherited | quiet | {"HOME": str(folder)} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return run.stdout + run.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"CDK_DEFAULT_REGION": "eu-central-1"},
            (
                'CDK_DEFAULT_REGION is "eu-central-1", but the CDK CLI takes "us-east-1" from your AWS '
                "credentials: choose it by AWS_REGION or AWS_PROFILE, and leave CDK_DEFAULT_REGION unset"
            ),
        ),
        (
            {"CDK_DEFAULT_REGION": "eu-central-1", "AWS_REGION": "eu-central-1"},
            "CONSISTENT eu-central-1",
        ),
        ({"AWS_REGION": "eu-west-3"}, "CONSISTENT eu-west-3"),
    ],
    ids=["contradicted", "agreed", "not-set"],
)
def test_a_setting_that_the_cli_contradicts_stops_the_synth(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    assert said in cdk_synth(tmp_path, **variables)
