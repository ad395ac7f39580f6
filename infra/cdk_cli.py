"""What the CDK CLI does to the settings: it overwrites `CDK_DEFAULT_ACCOUNT` and `CDK_DEFAULT_REGION`.

It takes both from the AWS credentials and the region they come with, whatever the variables held
(AWS CDK Developer Guide, "Configure environments to use with the AWS CDK"). Someone who has set them
means them; so a contradiction ends the synth, instead of a deployment to another place.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

from infra.setting import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

CLI_MARK = "CDK_CLI_VERSION"
"""The CLI gives this variable to the app that it starts."""

CHOSEN_BY = {
    "CDK_DEFAULT_REGION": "AWS_REGION or AWS_PROFILE",
    "CDK_DEFAULT_ACCOUNT": "AWS_PROFILE",
}
"""What the CLI overwrites, and the variable by which one chooses it instead."""


def check_not_overwritten(environ: Mapping[str, str] = os.environ) -> None:
    """Stop where the CLI has overwritten a setting with something else.

    Raises:
        ConfigError: the line names both values, and the variable that decides.
    """
    if CLI_MARK not in environ:
        return
    given = _cli_environment()
    for variable, chosen_by in CHOSEN_BY.items():
        meant, taken = given.get(variable), environ.get(variable)
        if meant and meant != taken:
            raise ConfigError(
                f'{variable} is "{meant}", but the CDK CLI takes "{taken}" from your AWS credentials: '
                f"choose it by {chosen_by}, and leave {variable} unset"
            )


def _cli_environment() -> Mapping[str, str]:
    """Return the environment in which the CLI was started: it is the nearest process above without its mark."""
    for process in psutil.Process().parents():
        try:
            environment: Mapping[str, str] = process.environ()
        except psutil.Error:
            return {}
        if CLI_MARK not in environment:
            return environment
    return {}
