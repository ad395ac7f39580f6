"""Whether the app that is deployed to the local stack is the one that would be deployed now.

Synthesising it takes longer than all that a running stack has to do, and CDK would find nothing to change.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from infra.config import Config
from infra.local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.programs import Plan

SOURCES = ("cdk.json", "pyproject.toml", "infra", "statemachines", "steps")
NO_SOURCES = ("node_modules", "__pycache__")
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def fingerprint(root: Path = ROOT) -> str:
    """Return what an app's templates and assets are made of: its files and its settings, as a SHA-256."""
    digest = hashlib.sha256(sys.version.encode())  # whose wheels and bytecode the bundle has
    for file in _sources(root):
        digest.update(f"{file.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    for setting in Config.rows().settings():
        digest.update(f"{setting.variable}={setting.text(os.environ)}\0".encode())
    if brand := Config.from_environment(os.environ, local=True).brand_file:
        digest.update((root / brand).read_bytes())
    return digest.hexdigest()


def is_up_to_date(plan: Plan) -> bool:
    """Whether the last deployment was of the same app, and all its stacks are still there."""
    note, made = _note(plan), plan.settings.state_dir / "cdk.out" / "manifest.json"
    if not note.exists() or not made.exists() or note.read_text() != fingerprint():
        return False
    formation = boto3.client("cloudformation", **plan.settings.client)
    there = {
        stack["StackName"]
        for stack in formation.describe_stacks()["Stacks"]
        if stack["StackStatus"] in DONE
    }
    stacks = {
        artifact.get("properties", {}).get("stackName", name)
        for name, artifact in json.loads(made.read_text())["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    return stacks <= there


def forget(plan: Plan) -> None:
    """Begin a deployment: until it is through, nothing is up to date."""
    _note(plan).unlink(missing_ok=True)


def remember(plan: Plan, of: str) -> None:
    """End a deployment of the app with the fingerprint `of`."""
    note = _note(plan)
    note.touch(mode=0o600)
    note.write_text(of)


def _note(plan: Plan) -> Path:
    return plan.settings.state_dir / "deployed"


def _sources(root: Path) -> Iterator[Path]:
    for name in SOURCES:
        top = root / name
        if top.is_file():
            yield top
            continue
        for folder, folders, files in os.walk(top):
            folders[:] = sorted(name for name in folders if name not in NO_SOURCES)
            yield from (Path(folder, file) for file in sorted(files))
