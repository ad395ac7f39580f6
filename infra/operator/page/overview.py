"""What the first screen shows besides whether mails go out: dead letters that wait, and alarms that are red."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.operator import letters
from steps.ledger.rules import iso

if TYPE_CHECKING:
    from infra.operator.aws import Deployment


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm that is red: its name, what it is about and what to do first, since when (ISO 8601 UTC)."""

    name: str
    says: str
    since: str


def waiting(deployment: Deployment) -> dict[str, int]:
    """Return how many letters are in each of the dead-letter queues, about."""
    return {base: letters.waiting(deployment, base) for base in letters.QUEUES}


def alarms(deployment: Deployment) -> list[Alarm]:
    """Return the environment's alarms that are red, the newest first."""
    pages = deployment.client("cloudwatch").get_paginator("describe_alarms")
    red = [
        alarm
        for page in pages.paginate(AlarmNamePrefix="email-", StateValue="ALARM")
        for alarm in page["MetricAlarms"]
        if alarm["AlarmName"].endswith(deployment.name(""))
    ]
    red.sort(key=lambda alarm: alarm["StateUpdatedTimestamp"], reverse=True)
    return [
        Alarm(
            name=alarm["AlarmName"],
            says=alarm.get("AlarmDescription", ""),
            since=iso(alarm["StateUpdatedTimestamp"].timestamp()),
        )
        for alarm in red
    ]
