"""The synthesised app, once for all: every stack's template, with cdk-nag's verdict on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.app import build
from infra.bundling import AWS_LAMBDA, Bundle
from infra.config import Config

AWS = {
    "CDK_DEFAULT_ACCOUNT": "123456789012",
    "CDK_DEFAULT_REGION": "us-east-1",
    "VERIFIED_DOMAIN": "shop.example",
    "NOTIFICATION_EMAILS": "ops@shop.example",
    "ENVIRONMENT_SUFFIX": "prod",
}

Templates = dict[str, dict[str, Any]]


def synth(out: Path, **settings: str) -> Templates:
    """Synthesise into `out`; findings of cdk-nag raise. Returns each stack's template by its name."""
    context = json.loads(Path("cdk.json").read_text())
    app = App(outdir=str(out), context=context["context"])
    directory = out.parent / "bundle"
    directory.mkdir(exist_ok=True)
    (directory / "steps.txt").write_text("stands in for the bundle, which has a test of its own")
    bundle = Bundle(directory=directory, target=AWS_LAMBDA)
    build(app, Config.from_environment(AWS | settings, local=False), bundle)
    assembly = app.synth()
    return {s.stack_name: s.template for s in assembly.stacks}


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a production deployment."""
    return synth(tmp_path_factory.mktemp("synth") / "out")


@pytest.fixture(scope="session")
def template_files(tmp_path_factory: pytest.TempPathFactory, templates: Templates) -> list[Path]:
    """The same templates as files."""
    folder = tmp_path_factory.mktemp("templates")
    files = []
    for name, template in templates.items():
        file = folder / f"{name}.template.json"
        file.write_text(json.dumps(template))
        files.append(file)
    return files


def resources(template: dict[str, Any], type_: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == type_
    }
