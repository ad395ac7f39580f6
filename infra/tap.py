"""Stack `TapStack{env}`: the orchestrator. It needs all the others, so deploying it deploys them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch

if TYPE_CHECKING:
    from constructs import Construct

    from infra.config import Config


class TapStack(Stack):
    """What spans the other stacks: the operators' dashboards."""

    def __init__(self, scope: Construct, id_: str, *, config: Config, **kwargs: Any) -> None:
        super().__init__(scope, id_, **kwargs)
        cloudwatch.Dashboard(
            self,
            "notifications",
            dashboard_name=config.name("email-notifications"),
            default_interval=Duration.days(1),
            widgets=[
                [
                    cloudwatch.GraphWidget(
                        title="Mails and outcomes",
                        width=24,
                        left=[
                            cloudwatch.Metric(
                                namespace="EmailNotification",
                                metric_name=name,
                                statistic="Sum",
                                period=Duration.minutes(5),
                            )
                            for name in (
                                "EmailSent",
                                "EmailDuplicate",
                                "EmailRejected",
                                "EmailFailed",
                                "EmailInDoubt",
                            )
                        ],
                    )
                ]
            ],
        )
