"""Stack `TapStack{env}`: the orchestrator. It needs all the others, so deploying it deploys them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from aws_cdk import Stack

from infra import dashboards
from infra.operators import Operators

if TYPE_CHECKING:
    from constructs import Construct

    from infra.config import Config
    from infra.ses import SesStack
    from infra.stack import StackOptions


class TapStack(Stack):
    """What spans the other stacks: the operators' dashboards, policies and audit log."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: Config,
        ses: SesStack,
        **options: Unpack[StackOptions],
    ) -> None:
        super().__init__(scope, id_, **options)
        Operators(self, config=config, key=ses.key(self))
        dashboards.notifications(self, config)
        dashboards.costs(self, config)
