"""The one factory for schedules: a role of its own, few retries, and dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler

from infra.stack import service

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sqs as sqs
    from constructs import Construct

    from infra.config import Config


@dataclass(frozen=True, kw_only=True)
class Schedules:
    """Makes the schedules of one stack. What cannot be started goes to `dead_letters`."""

    scope: Construct
    config: Config
    dead_letters: sqs.IQueue
    key: kms.IKey | None = None

    def make(
        self,
        base: str,
        when: scheduler.ScheduleExpression,
        target: Callable[..., scheduler.IScheduleTarget],
    ) -> iam.Role:
        """Start `target`, a target's class bound to what it starts, by the schedule `base`-`env`.

        Return the role in which it is started.
        """
        role = iam.Role(
            self.scope,
            f"{base}-schedule-role",
            assumed_by=service(self.scope, "scheduler"),
        )
        if self.key:
            self.key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")
        scheduler.Schedule(
            self.scope,
            f"{base}-schedule",
            schedule_name=self.config.name(base),
            schedule=when,
            target=target(
                role=role,
                # The next run comes by itself; a late one would only come beside it.
                retry_attempts=3,
                max_event_age=Duration.minutes(30),
                dead_letter_queue=self.dead_letters,
            ),
        )
        return role
