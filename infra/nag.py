"""cdk-nag at every synth, and the one way to acknowledge a finding: with its exact id and a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, App, Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import IConstruct


def check(app: App) -> None:
    """Let the AwsSolutions and Serverless rule packs look at the app; a finding stops the synth."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))


def acknowledge(construct: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept findings (`rule[finding]`, without the pack's prefix) on a construct, with reasons."""
    Validations.of(construct).acknowledge(
        *(
            Acknowledgment(id=f"{rule.split('-')[0]}::{rule}", reason=reason)
            for rule, reason in findings.items()
        )
    )
