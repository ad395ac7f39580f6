"""Deployments that between them turn every switch both ways, each in a region of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.templates import Template, Templates, synth

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "prod": {"CDK_DEFAULT_REGION": "us-east-1"},
    "prod with a key and pausing": {
        "CDK_DEFAULT_REGION": "eu-central-1",
        "CUSTOMER_MANAGED_KEY": "true",
        "AUTO_PAUSE_SENDING": "true",
        "ATTACHMENTS_PREFIX": "s3://shop-documents/mails/",
    },
    "dev with a key, without canaries": {
        "CDK_DEFAULT_REGION": "ap-southeast-1",
        "ENVIRONMENT_SUFFIX": "dev",
        "CUSTOMER_MANAGED_KEY": "true",
        "CANARY_MINUTES": "0",
    },
    "dev with pausing, without outcomes, canaries and traces": {
        "CDK_DEFAULT_REGION": "sa-east-1",
        "ENVIRONMENT_SUFFIX": "dev",
        "AUTO_PAUSE_SENDING": "true",
        "OUTCOME_EVENTS": "false",
        "CANARY_MINUTES": "0",
        "TRACING_RATE": "0",
    },
    "prod, large, with a key, without outcomes": {
        "CDK_DEFAULT_REGION": "us-west-2",
        "MAILS_A_DAY": "1000000",
        "CUSTOMER_MANAGED_KEY": "true",
        "OUTCOME_EVENTS": "false",
    },
}
"""Any two switches meet in all four ways."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A cloud assembly: what `cdk synth` writes for one choice of settings."""

    name: str
    region: str
    folder: Path
    templates: Templates

    @classmethod
    def of(cls, name: str, folder: Path) -> Deployment:
        """Synthesise the deployment `name` of `SETTINGS` into `folder`."""
        settings = SETTINGS[name]
        out = folder / name.replace(" ", "-") / "out"
        out.parent.mkdir(parents=True)
        return cls(
            name=name,
            region=settings["CDK_DEFAULT_REGION"],
            folder=out,
            templates=synth(out, **settings),
        )

    @property
    def files(self) -> dict[Path, Template]:
        """The templates by their files."""
        return {
            self.folder / f"{stack}.template.json": self.templates[stack]
            for stack in self.templates
        }

    def path(self, stack: str, logical_id: str) -> str:
        """Return the construct path of a resource: `email-notifications/email-order-queue/Resource`."""
        metadata = self.templates[stack]["Resources"][logical_id]["Metadata"]
        return without_environment(metadata["aws:cdk:path"])

    def acknowledgments(self) -> dict[tuple[str, str], str]:
        """Return every reason by construct path and rule (`checkov-CKV_AWS_117`)."""
        found = {}
        for stack in self.templates:
            metadata = json.loads((self.folder / f"{stack}.metadata.json").read_text())
            for path, entries in metadata.items():
                for entry in entries:
                    if entry["type"] == "aws:cdk:acknowledged-rules":
                        for id_, reason in entry["data"].items():
                            rule = id_.split("::", 1)[1]
                            found[without_environment(path.strip("/")), rule] = reason
        return found

    def nag_report(self) -> list[dict[str, Any]]:
        """Return what each pack of cdk-nag reported."""
        report = json.loads((self.folder / "validation-report.json").read_text())
        packs: list[dict[str, Any]] = report["pluginReports"]
        return packs


def without_environment(path: str) -> str:
    """Return a construct path with the stack's name as it is in every environment."""
    stack, *rest = path.split("/")
    for environment in ("prod", "dev"):
        stack = stack.removesuffix(environment).removesuffix("-")
    return "/".join([stack, *rest])
