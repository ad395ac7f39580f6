"""Outcomes for the shop: the tracking table's stream, the function that reads it, the topic that it tells."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import jsii
from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.nag import acknowledge
from infra.topic import let_nobody_else_publish, topic
from steps.contract import limits
from steps.ledger.outcomes import TOLD
from steps.outcomes import OutcomesSettings

if TYPE_CHECKING:
    from aws_cdk import aws_dynamodb as dynamodb
    from aws_cdk import aws_sqs as sqs

    from infra.config import Config
    from infra.function import Functions

BASE = "email-outcomes"
"""The name of the topic and of the function."""

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


class Outcomes(Construct):
    """The topic `email-outcomes-{env}` and the function of that name; `follow` a table's stream with them."""

    def __init__(
        self,
        scope: Construct,
        *,
        config: Config,
        functions: Functions,
        table: dynamodb.ITable,
        dead_letters: sqs.Queue,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, "outcomes")
        self._dead_letters = dead_letters
        self.topic = topic(self, "topic", BASE, config=config, key=key)
        self.function = functions.make(
            BASE,
            "outcomes",
            timeout=limits.OUTCOMES_TIMEOUT,
            environment=OutcomesSettings(
                outcomes_topic=self.topic.topic_arn,
                dead_letter_queue=dead_letters.queue_url,
                release=release(),
            ).to_env(),
        )
        self.role: iam.IRole = self.function.role  # type: ignore[assignment]
        self._grant(table, key)
        # Let a shop believe what it is told.
        let_nobody_else_publish(
            self.topic, {"ArnNotEquals": {"aws:PrincipalArn": self.role.role_arn}}
        )
        CfnOutput(scope, "OutcomesTopic", value=self.topic.topic_arn)

    def follow(self, table: dynamodb.TableV2) -> None:
        """Have Lambda call the function with the changes that a shop may be told of."""
        # Outside of this construct, all of which comes before the table.
        lambda_.EventSourceMapping(
            Stack.of(self),
            "outcomes-stream",
            target=self.function,
            event_source_arn=table.table_stream_arn,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=limits.OUTCOME_BATCH,
            max_batching_window=Duration.seconds(limits.OUTCOME_WINDOW),
            filters=[
                lambda_.FilterCriteria.filter(
                    {"dynamodb": {"NewImage": {"status": {"S": [*map(str, TOLD)]}}}}
                )
            ],
            report_batch_item_failures=True,
            bisect_batch_on_error=True,
            retry_attempts=limits.OUTCOME_RETRIES,
            max_record_age=Duration.seconds(limits.OUTCOME_MAX_AGE),
            on_failure=_Letters(self._dead_letters),
        )

    def _grant(self, table: dynamodb.ITable, key: kms.IKey | None) -> None:
        streams = f"{table.table_arn}/stream/*"
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                ],
                resources=[streams],
            )
        )
        self.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["dynamodb:ListStreams"], resources=["*"])
        )
        acknowledge(
            self.role,
            {
                f"AwsSolutions-IAM5[Resource::{streams}]": (
                    "The stream's name is the moment at which it was made."
                ),
                "AwsSolutions-IAM5[Resource::*]": "ListStreams takes no resource.",
            },
        )
        self.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["sns:Publish"], resources=[self.topic.topic_arn])
        )
        self._dead_letters.grant(self.function, "sqs:SendMessage")
        if key:
            # The stream's key; and SNS and SQS ask for both of whoever sends to what is encrypted.
            key.grant(self.role, "kms:Decrypt", "kms:GenerateDataKey")


@jsii.implements(lambda_.IEventSourceDlq)
class _Letters:
    """A queue that takes the letters of a stream; CDK's own lets the function ask for its attributes, too."""

    def __init__(self, queue: sqs.IQueue) -> None:
        self._queue = queue

    def bind(
        self, _target: lambda_.IEventSourceMapping, _target_handler: lambda_.IFunction
    ) -> lambda_.DlqDestinationConfig:
        return lambda_.DlqDestinationConfig(destination=self._queue.queue_arn)


def release() -> str:
    """Return the release that is deployed."""
    version: str = tomllib.loads(_PROJECT.read_text("utf-8"))["project"]["version"]
    return version
