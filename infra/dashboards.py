"""The two dashboards: rows of widgets, in the order in which an operator asks questions."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.alarms import LAMBDA, SES, SNS, SQS, STATES, alarm_arn, alarms
from infra.machine import machine_arn
from infra.outcomes import BASE as OUTCOMES
from statemachines.order_workflow import Steps
from steps.contract.metrics import Metric
from steps.reports import reputation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from infra.config import Config

FUNCTIONS = (
    "email-processor",
    *(f"email-{step.name}" for step in fields(Steps)),
    "email-feedback",
    "email-overdue",
    "email-rejections",
)
"""Whose errors and times are drawn, in every environment."""

NOTIFICATIONS_HELP = """\
**Is anything wrong?** Each red alarm's description says what it means and what to do first.
**Mails wait** (queue depth grows, nothing is sent): SES paused, quota used up or sender unverified; they \
go out by themselves afterwards. **Orders are rejected**: the alert names the commonest reason; mend it, then \
the shop publishes the orders again. **Mails bounce**: look at what the addresses have in common. \
**Dead letters**: read their `reason`, mend the cause, move them back (infra/operator/README.md)."""

COSTS_HELP = """\
**Above budget?** Look at the largest service. SES grows with the mails sent: compare them with the \
orders; a cheaper plan may fit (the report's `plans`). Anything else that grows faster than the mails \
retries or logs too much. One day's report: `aws dynamodb get-item --table-name {table} --key \
'{{"kind":{{"S":"cost"}},"date":{{"S":"2026-11-24"}}}}'`"""

ORANGE, RED = "#ff7f0e", "#d62728"
HOUR, DAY = Duration.hours(1), Duration.days(1)
WHOLE, HALF, QUARTER = 24, 12, 6
"""Widths. CloudWatch's grid has 24 columns."""


def notifications(scope: Construct, config: Config) -> cloudwatch.Dashboard:
    """Make `email-notifications-{env}`, or `email-notifications-{env}-{region}`."""
    return cloudwatch.Dashboard(
        scope,
        "notifications",
        dashboard_name=config.account_wide_name("email-notifications"),
        default_interval=DAY,
        widgets=[
            _is_anything_wrong(scope, config),
            _do_mails_arrive(config),
            _do_too_many_bounce_or_complain(config),
            _what_was_not_sent(config),
            _does_the_workflow_fail(scope, config),
            *([_is_the_shop_told(config)] if config.outcome_events else []),
            _are_functions_slow(config),
        ],
    )


def costs(scope: Construct, config: Config) -> cloudwatch.Dashboard:
    """Make `email-costs-{env}`, or `email-costs-{env}-{region}`."""
    return cloudwatch.Dashboard(
        scope,
        "costs",
        dashboard_name=config.account_wide_name("email-costs"),
        default_interval=Duration.days(35),
        widgets=[
            [
                cloudwatch.TextWidget(
                    markdown=COSTS_HELP.format(table=config.name("email-reports")),
                    width=WHOLE,
                    height=3,
                )
            ],
            _are_we_within_the_budget(config),
            _what_costs_most_and_where_will_it_end(config),
            [
                _graph(
                    "Mails sent a day",
                    [_own_metric(config, Metric.SENT).with_(period=DAY)],
                    width=WHOLE,
                )
            ],
        ],
    )


# --- rows of email-notifications ------------------------------------------------------------------


def _is_anything_wrong(scope: Construct, config: Config) -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.TextWidget(markdown=NOTIFICATIONS_HELP, width=HALF, height=4),
        cloudwatch.AlarmStatusWidget(
            title="Is anything wrong?",
            width=HALF,
            height=4,
            alarms=[
                cloudwatch.Alarm.from_alarm_arn(
                    scope, alarm.name, alarm_arn(scope, config.name(alarm.name))
                )
                for alarm in alarms(config)
            ],
        ),
    ]


def _do_mails_arrive(config: Config) -> list[cloudwatch.IWidget]:
    sent, delivered = _own_metric(config, Metric.SENT), _own_metric(config, Metric.DELIVERED)
    rate = cloudwatch.MathExpression(
        expression="100 * delivered / sent",
        using_metrics={"delivered": delivered, "sent": sent},
        label="delivery rate, an hour",
        period=HOUR,
    )
    return [
        _graph("Are mails going out, and arriving?", [sent, delivered], width=HALF),
        _graph("Delivered, % of sent", [rate], width=HALF),
    ]


def _do_too_many_bounce_or_complain(config: Config) -> list[cloudwatch.IWidget]:
    return [
        _rate(config, "bounce", _own_metric(config, Metric.BOUNCED)),
        _rate(config, "complaint", _own_metric(config, Metric.COMPLAINT)),
    ]


def _rate(config: Config, kind: str, events: cloudwatch.Metric) -> cloudwatch.GraphWidget:
    """Draw our own rate and SES's, and the thresholds that SES judges the account by."""
    warn, critical = (100 * threshold for threshold in reputation.THRESHOLDS[kind])
    own = cloudwatch.MathExpression(
        expression="100 * events / sent",
        using_metrics={"events": events, "sent": _own_metric(config, Metric.SENT)},
        label=f"{kind} rate, an hour",
        period=HOUR,
    )
    account = cloudwatch.MathExpression(
        expression="100 * account",
        using_metrics={"account": _metric(SES, f"Reputation.{kind.capitalize()}Rate", "Average")},
        label="as SES sees the account",
        period=HOUR,
    )
    return _graph(
        f"Too many {kind}s? (% of the mails sent)",
        [own, account],
        lines=[(warn, "SES reviews", ORANGE), (critical, "SES may pause", RED)],
        width=HALF,
    )


def _what_was_not_sent(config: Config) -> list[cloudwatch.IWidget]:
    def queue(base: str, name: str, label: str) -> cloudwatch.Metric:
        return _metric(SQS, name, "Maximum", label, QueueName=config.name(base))

    visible = "ApproximateNumberOfMessagesVisible"

    def waiting(title: str, base: str) -> cloudwatch.GraphWidget:
        return _graph(
            title,
            [
                queue(base, visible, "to take up"),
                queue(base, "ApproximateNumberOfMessagesNotVisible", "waiting"),
            ],
            right=[queue(base, "ApproximateAgeOfOldestMessage", "oldest, s")],
            width=QUARTER,
        )

    not_sent = (Metric.DUPLICATE, Metric.REJECTED, Metric.FAILED, Metric.IN_DOUBT)
    return [
        _graph(
            "What was not sent, or not for sure?",
            [_own_metric(config, name) for name in not_sent],
            width=QUARTER,
        ),
        waiting("Do orders wait?", "email-order-queue"),
        waiting("Do SES's events wait?", "email-ses-events-queue"),
        _graph(
            "Dead letters",
            [
                queue("email-order-dlq", visible, "orders"),
                queue("email-internal-dlq", visible, "SES events, schedules, alerts"),
            ],
            width=QUARTER,
        ),
    ]


def _does_the_workflow_fail(scope: Construct, config: Config) -> list[cloudwatch.IWidget]:
    arn = machine_arn(scope, config.name("email-order-workflow"))

    def executions(name: str, label: str, statistic: str = "Sum") -> cloudwatch.Metric:
        return _metric(STATES, name, statistic, label, StateMachineArn=arn)

    return [
        _graph(
            "Order workflow (a failed execution waits and comes back)",
            [executions("ExecutionsStarted", "started"), executions("ExecutionsFailed", "failed")],
            right=[
                executions("ExecutionTime", "median, ms", "p50"),
                executions("ExecutionTime", "p99, ms", "p99"),
            ],
            width=HALF,
        ),
        _per_function(config, "Lambda errors (a throttled send is one)", "Errors", "Sum"),
    ]


def _is_the_shop_told(config: Config) -> list[cloudwatch.IWidget]:
    name = config.name(OUTCOMES)

    def messages(metric: str, label: str) -> cloudwatch.Metric:
        return _metric(SNS, metric, "Sum", label, TopicName=name)

    behind = cloudwatch.MathExpression(
        expression="age / 1000",
        using_metrics={"age": _metric(LAMBDA, "IteratorAge", "Maximum", FunctionName=name)},
        label="behind, s",
        period=Duration.minutes(5),
    )
    return [
        _graph(
            "Do outcomes reach the shop?",
            [
                messages("NumberOfMessagesPublished", "told"),
                messages("NumberOfNotificationsFailed", "not taken by a subscriber"),
            ],
            right=[behind],
            width=HALF,
        ),
        _graph(
            "Is telling them slow, or failing?",
            [_metric(LAMBDA, "Errors", "Sum", "errors", FunctionName=name)],
            right=[_metric(LAMBDA, "Duration", "p99", "p99, ms", FunctionName=name)],
            width=HALF,
        ),
    ]


def _are_functions_slow(config: Config) -> list[cloudwatch.IWidget]:
    return [
        _per_function(config, "Lambda duration, p99, ms", "Duration", "p99"),
        _per_function(config, "Lambda throttles", "Throttles", "Sum"),
    ]


def _per_function(config: Config, title: str, name: str, statistic: str) -> cloudwatch.GraphWidget:
    return _graph(
        title,
        [
            _metric(LAMBDA, name, statistic, base, FunctionName=config.name(base))
            for base in FUNCTIONS
        ],
        width=HALF,
    )


# --- rows of email-costs --------------------------------------------------------------------------


def _are_we_within_the_budget(config: Config) -> list[cloudwatch.IWidget]:
    total = _metric(config.metrics_namespace, Metric.TOTAL_COST, "Maximum", "total").with_(
        period=DAY
    )
    per_mail = _metric(
        config.metrics_namespace, Metric.COST_PER_EMAIL, "Maximum", "per mail"
    ).with_(period=DAY)
    return [
        _graph(
            "Are we within the budget? (USD, month to date)",
            [total],
            lines=[(float(config.cost_budget), "budget", RED)],
            width=HALF,
        ),
        _graph("What does a mail cost? (USD)", [per_mail], width=HALF),
    ]


def _what_costs_most_and_where_will_it_end(config: Config) -> list[cloudwatch.IWidget]:
    def query(
        title: str, view: cloudwatch.LogQueryVisualizationType, *lines: str
    ) -> cloudwatch.LogQueryWidget:
        return cloudwatch.LogQueryWidget(
            title=title,
            log_group_names=[f"/aws/lambda/{config.name('cost-monitoring')}"],
            query_lines=list(lines),
            view=view,
            width=HALF,
            height=7,
        )

    return [
        query(
            "Which service? (USD, month to date, the days that Cost Explorer has)",
            cloudwatch.LogQueryVisualizationType.BAR,
            'filter message = "service cost"',
            "stats latest(usd) by aws_service",
        ),
        query(
            "Where will the month end?",
            cloudwatch.LogQueryVisualizationType.TABLE,
            'filter message = "cost report"',
            "fields day, total, estimated_from, forecast, budget",
            "sort @timestamp desc",
            "limit 31",
        ),
    ]


# --- what the rows are made of --------------------------------------------------------------------


def _own_metric(config: Config, name: Metric) -> cloudwatch.Metric:
    return _metric(config.metrics_namespace, name, "Sum", name.removeprefix("Email").lower())


def _metric(
    namespace: str, name: str, statistic: str, label: str | None = None, **dimensions: str
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map=dimensions or None,
        statistic=statistic,
        period=Duration.minutes(5),
        label=label,
    )


def _graph(
    title: str,
    left: Sequence[cloudwatch.IMetric],
    *,
    width: int,
    right: Sequence[cloudwatch.IMetric] | None = None,
    lines: Sequence[tuple[float, str, str]] = (),
) -> cloudwatch.GraphWidget:
    """Draw `left` and `right` on an axis each, above horizontal `lines` of (value, label, colour)."""
    return cloudwatch.GraphWidget(
        title=title,
        width=width,
        height=6,
        left=left,
        right=right,
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        right_y_axis=cloudwatch.YAxisProps(min=0, show_units=False) if right else None,
        left_annotations=[
            cloudwatch.HorizontalAnnotation(value=value, label=label, color=colour)
            for value, label, colour in lines
        ],
    )
