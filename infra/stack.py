"""What every stack of the app hands on to CDK's own `Stack`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from aws_cdk import Environment, IStackSynthesizer


class StackOptions(TypedDict):
    """Where a stack is deployed to, and with whose credentials (None: the bootstrap roles')."""

    env: Environment
    synthesizer: IStackSynthesizer | None
