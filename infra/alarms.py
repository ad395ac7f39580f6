"""The ten alarms: what each watches, what it means and what to do first.

Each watches one metric, so that all ten fit CloudWatch's always-free ten alarm metrics. The order
workflow's ExecutionsFailed and its steps' Errors are not watched: an execution that fails because SES
throttles is how a mail waits, see `statemachines/order_workflow.py`. What was given up is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.stack import colon_arn
from steps.contract import limits
from steps.contract.metrics import Metric
from steps.reports import reputation
from steps.reports.rejections import BURST_REJECTIONS, BURST_SPAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from infra.config import Config

SES = "AWS/SES"
SNS = "AWS/SNS"
SQS = "AWS/SQS"
LAMBDA = "AWS/Lambda"
STATES = "AWS/States"

_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
_FROM = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_FINE = cloudwatch.TreatMissingData.NOT_BREACHING
_STAYS = cloudwatch.TreatMissingData.IGNORE
"""Not measured is not mended: SQS stops measuring an unused queue after six hours, costs come daily."""

REJECTIONS = "email-rejections"
"""The alarm, and the function that it calls instead of the topic: the text of an alarm is always the same."""


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm. It goes off when `periods` periods of `minutes` in a row (or `of` so many) breach."""

    name: str
    namespace: str
    metric: str
    statistic: str
    minutes: int
    comparison: cloudwatch.ComparisonOperator
    threshold: float
    missing: cloudwatch.TreatMissingData
    description: str
    periods: int = 1
    of: int | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)


def alarms(config: Config) -> list[AlarmSpec]:
    """Return all alarms of an environment."""
    return [
        _rate("bounce", "First: look for what the bounced orders' addresses have in common."),
        _rate("complaint", "First: find out whether someone else sends from this account."),
        _no_mail_out(config),
        _queue_age(config),
        _dispatcher_errors(config),
        _given_up(config),
        _rejections(config),
        _dead_letters(
            config,
            "email-dead-letters",
            "email-order-dlq",
            (
                "Events are in the order queue's dead letters; they stay there for two weeks. First: "
                "read the attribute `reason` of the messages; mend the cause; then move them back: "
                "infra/operator/README.md has the command."
            ),
        ),
        _dead_letters(
            config,
            "email-internal-dead-letters",
            "email-internal-dlq",
            (
                "A call of ours that is no order failed for good: an SES event could not be folded into "
                "the tracking table, so statuses and rates lag behind; or something scheduled did not run, "
                "so nobody watches cost or reputation, rejected orders, delayed mails or canaries; or the shop "
                "was not told of an outcome; or SES events or outcomes have waited for 15 minutes, and "
                "nothing is lost yet. First: read a letter, which tells the one from the other: "
                "infra/operator/README.md says how, and what to do then."
            ),
        ),
        _cost_budget(config),
    ]


def _rate(kind: str, advice: str) -> AlarmSpec:
    warn, _ = reputation.THRESHOLDS[kind]
    return AlarmSpec(
        name=f"email-{kind}-rate",
        namespace=SES,
        metric=f"Reputation.{kind.capitalize()}Rate",
        statistic="Average",
        minutes=60,
        comparison=_ABOVE,
        threshold=warn,
        missing=_STAYS,
        description=(
            f"SES sees a {kind} rate above {warn:.1%} and may review or pause the whole account. "
            f"{advice} Where few mails are sent one event may be enough: the hourly check "
            "(bounce-rate-check) tells the counts and its verdict."
        ),
    )


def _no_mail_out(config: Config) -> AlarmSpec:
    return AlarmSpec(
        name="email-no-mail-out",
        namespace=config.metrics_namespace,
        metric=Metric.SENT,
        statistic="Sum",
        minutes=15,
        periods=2,
        comparison=_BELOW,
        threshold=1,
        # The dispatcher counts 0 for an order that has to wait, so no data means no orders.
        missing=_STAYS,
        description=(
            "Orders came in for half an hour and no mail went out; they wait on the queue. First: "
            "is SES paused, the quota used up or the sender unverified (aws sesv2 get-account)? "
            "Then: the reasons in the log of the dispatcher."
        ),
    )


def _queue_age(config: Config) -> AlarmSpec:
    return AlarmSpec(
        name="email-queue-age",
        namespace=SQS,
        metric="ApproximateAgeOfOldestMessage",
        dimensions={"QueueName": config.name("email-order-queue")},
        statistic="Maximum",
        minutes=5,
        periods=3,
        comparison=_ABOVE,
        threshold=15 * 60,
        missing=_FINE,
        description=(
            "An order has waited for 15 minutes without being taken up (waiting for SES does not "
            "count). First: is the dispatcher's event source mapping enabled? Then: do more orders "
            "come in than SES's send rate and DISPATCHER_CONCURRENCY allow?"
        ),
    )


def _dispatcher_errors(config: Config) -> AlarmSpec:
    return AlarmSpec(
        name="email-lambda-errors",
        namespace=LAMBDA,
        metric="Errors",
        dimensions={"FunctionName": config.name("email-processor")},
        statistic="Sum",
        minutes=5,
        periods=2,
        of=3,
        comparison=_FROM,
        threshold=1,
        missing=_FINE,
        description=(
            "The dispatcher crashed or timed out repeatedly; its batches come back after "
            f"{limits.QUEUE_VISIBILITY // 60} minutes. First: its log. A step's errors are "
            "retried and are not counted here."
        ),
    )


def _given_up(config: Config) -> AlarmSpec:
    return AlarmSpec(
        name="email-workflow-failures",
        namespace=config.metrics_namespace,
        metric=Metric.FAILED,
        statistic="Sum",
        minutes=5,
        comparison=_FROM,
        threshold=1,
        missing=_FINE,
        description=(
            "The order workflow gave an order up: its mail was not sent, the event is in the "
            "dead-letter queue with its reason and execution. First: open that execution."
        ),
    )


def _rejections(config: Config) -> AlarmSpec:
    return AlarmSpec(
        name=REJECTIONS,
        namespace=config.metrics_namespace,
        metric=Metric.REJECTED,
        statistic="Sum",
        minutes=BURST_SPAN // timedelta(minutes=1),
        comparison=_FROM,
        threshold=BURST_REJECTIONS,
        missing=_FINE,
        description=(
            f"{BURST_REJECTIONS} or more orders were rejected within 5 minutes: their events are invalid, or "
            "SES refuses our mails for good. They get no mail and no dead letter. First: read the alert of "
            f"{config.name(REJECTIONS)}, which names the commonest reason. Then: mend it, and let the "
            "shop publish the orders again. Without an alert: infra/operator/README.md, "
            '"Rejected orders".'
        ),
    )


def _cost_budget(config: Config) -> AlarmSpec:
    return AlarmSpec(
        name="email-cost-budget",
        namespace=config.metrics_namespace,
        metric=Metric.TOTAL_COST,
        statistic="Maximum",
        minutes=24 * 60,
        comparison=_ABOVE,
        threshold=float(config.cost_budget),
        missing=_STAYS,
        description=(
            f"The month's cost is above the budget of USD {config.cost_budget} "
            "(COST_BUDGET_THRESHOLD). First: read the cost analysis' own alert, which names the "
            "largest service and what changed."
        ),
    )


def _dead_letters(config: Config, name: str, queue_name: str, description: str) -> AlarmSpec:
    return AlarmSpec(
        name=name,
        namespace=SQS,
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": config.name(queue_name)},
        statistic="Maximum",
        minutes=5,
        comparison=_FROM,
        threshold=1,
        missing=_STAYS,
        description=description,
    )


def alarm_arn(scope: Construct, name: str) -> str:
    """Return the ARN of this account's alarm `name`, which may hold wildcards."""
    return colon_arn(scope, "cloudwatch", "alarm", name)


def metric(spec: AlarmSpec) -> cloudwatch.Metric:
    """Return the metric that an alarm watches."""
    return cloudwatch.Metric(
        namespace=spec.namespace,
        metric_name=spec.metric,
        dimensions_map=dict(spec.dimensions) or None,
        statistic=spec.statistic,
        period=Duration.minutes(spec.minutes),
    )
