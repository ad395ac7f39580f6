"""What every stack of the app hands on to CDK's own `Stack`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from aws_cdk import RemovalPolicy

if TYPE_CHECKING:
    from aws_cdk import Environment, IStackSynthesizer


class StackOptions(TypedDict):
    """Where a stack is deployed to, and with whose credentials (None: the bootstrap roles')."""

    env: Environment
    synthesizer: IStackSynthesizer | None


def removal_policy(*, keep: bool) -> RemovalPolicy:
    """Return the policy of what holds customers' data, or of the key to it.

    What is kept is kept at every end but one: a first deployment that fails takes it away again, so that
    the next finds its name free (AWS CloudFormation User Guide, "DeletionPolicy", RetainExceptOnCreate).
    """
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY
