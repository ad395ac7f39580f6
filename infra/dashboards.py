"""The two dashboards: widgets in the order in which an operator asks questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.alarms import LAMBDA, SES, SQS, STATES, alarms
from steps.contract.metrics import NAMESPACE
from steps.reports import reputation

if TYPE_CHECKING:
    from constructs import Construct

    from infra.config import Config

FUNCTIONS = (
    "email-processor",
    "email-validate",
    "email-dedup",
    "email-render",
    "email-send",
    "email-record",
    "email-feedback",
)

NOTIFICATIONS_HELP = """\
**Is anything wrong?** Each red alarm's description says what it means and what to do first.
**Mails wait** (queue depth grows, nothing is sent): SES paused, quota used up or sender unverified; they \
go out by themselves afterwards. **Mails bounce**: look at what the addresses have in common. \
**Dead letters**: read their `reason`, mend the cause, redrive the queue."""

COSTS_HELP = """\
**Above budget?** Look at the largest service. SES grows with the mails sent: compare them with the \
orders; a cheaper plan may fit (the report's `plans`). Anything else that grows faster than the mails \
retries or logs too much. One day's report: `aws dynamodb get-item --table-name {table} --key \
'{{"kind":{{"S":"cost"}},"date":{{"S":"2026-11-24"}}}}'`"""


def notifications(scope: Construct, config: Config, monitoring_arn: str) -> cloudwatch.Dashboard:
    """Make `email-notifications-{env}`; alarms' ARNs begin with `monitoring_arn`."""
    sent, delivered = _ours("EmailSent"), _ours("EmailDelivered")
    bounced, complained = _ours("EmailBounced"), _ours("EmailComplaint")
    queue = config.name("email-order-queue")
    machine = f"arn:aws:states:{config.region}:{config.account}:stateMachine:" + config.name(
        "email-order-workflow"
    )

    def states(name: str, label: str, statistic: str = "Sum") -> cloudwatch.Metric:
        return _metric(STATES, name, statistic, label, StateMachineArn=machine)

    def orders(name: str, label: str) -> cloudwatch.Metric:
        return _metric(SQS, name, "Maximum", label, QueueName=queue)

    def per_function(name: str, statistic: str) -> list[cloudwatch.IMetric]:
        return [
            _metric(LAMBDA, name, statistic, base, FunctionName=config.name(base))
            for base in FUNCTIONS
        ]

    def rate(kind: str, events: cloudwatch.Metric) -> cloudwatch.GraphWidget:
        warn, critical = (100 * threshold for threshold in reputation.THRESHOLDS[kind])
        return _graph(
            f"Too many {kind}s? (% of the mails sent)",
            [
                cloudwatch.MathExpression(
                    expression="100 * events / sent",
                    using_metrics={"events": events, "sent": sent},
                    label=f"{kind} rate, an hour",
                    period=Duration.hours(1),
                ),
                cloudwatch.MathExpression(
                    expression="100 * account",
                    using_metrics={
                        "account": _metric(SES, f"Reputation.{kind.capitalize()}Rate", "Average")
                    },
                    label="as SES sees the account",
                    period=Duration.hours(1),
                ),
            ],
            lines=[(warn, "SES reviews", "#ff7f0e"), (critical, "SES may pause", "#d62728")],
            width=12,
        )

    return cloudwatch.Dashboard(
        scope,
        "notifications",
        dashboard_name=config.name("email-notifications"),
        default_interval=Duration.days(1),
        widgets=[
            [
                cloudwatch.TextWidget(markdown=NOTIFICATIONS_HELP, width=12, height=4),
                cloudwatch.AlarmStatusWidget(
                    title="Is anything wrong?",
                    width=12,
                    height=4,
                    alarms=[
                        cloudwatch.Alarm.from_alarm_arn(
                            scope, watched.name, f"{monitoring_arn}{config.name(watched.name)}"
                        )
                        for watched in alarms(config)
                    ],
                ),
            ],
            [
                _graph("Are mails going out, and arriving?", [sent, delivered], width=12),
                _graph(
                    "Delivered, % of sent",
                    [
                        cloudwatch.MathExpression(
                            expression="100 * delivered / sent",
                            using_metrics={"delivered": delivered, "sent": sent},
                            label="delivery rate, an hour",
                            period=Duration.hours(1),
                        )
                    ],
                    width=12,
                ),
            ],
            [rate("bounce", bounced), rate("complaint", complained)],
            [
                _graph(
                    "What was not sent, or not for sure?",
                    [
                        _ours(name)
                        for name in ("EmailDuplicate", "EmailRejected", "EmailFailed", "EmailInDoubt")
                    ],
                    width=8,
                ),
                _graph(
                    "Do orders wait?",
                    [
                        orders(f"ApproximateNumberOfMessages{which}", label)
                        for which, label in (("Visible", "to take up"), ("NotVisible", "waiting"))
                    ],
                    right=[orders("ApproximateAgeOfOldestMessage", "oldest, s")],
                    width=8,
                ),
                _graph(
                    "Dead letters",
                    [
                        _metric(
                            SQS,
                            "ApproximateNumberOfMessagesVisible",
                            "Maximum",
                            label,
                            QueueName=config.name(name),
                        )
                        for name, label in (
                            ("email-order-dlq", "orders"),
                            ("email-feedback-dlq", "SES events"),
                            ("email-watch-dlq", "schedules"),
                        )
                    ],
                    width=8,
                ),
            ],
            [
                _graph(
                    "Order workflow (a failed execution waits and comes back)",
                    [states("ExecutionsStarted", "started"), states("ExecutionsFailed", "failed")],
                    right=[
                        states("ExecutionTime", "median, ms", "p50"),
                        states("ExecutionTime", "p99, ms", "p99"),
                    ],
                    width=12,
                ),
                _graph("Lambda errors (a throttled send is one)", per_function("Errors", "Sum"), width=12),
            ],
            [
                _graph("Lambda duration, p99, ms", per_function("Duration", "p99"), width=12),
                _graph("Lambda throttles", per_function("Throttles", "Sum"), width=12),
            ],
        ],
    )  # fmt: skip


def costs(scope: Construct, config: Config) -> cloudwatch.Dashboard:
    """Make `email-costs-{env}`."""
    day = Duration.days(1)
    logs = [f"/aws/lambda/{config.name('cost-monitoring')}"]

    def query(title: str, view: cloudwatch.LogQueryVisualizationType, *lines: str) -> Any:
        return cloudwatch.LogQueryWidget(
            title=title,
            log_group_names=logs,
            query_lines=list(lines),
            view=view,
            width=12,
            height=7,
        )

    return cloudwatch.Dashboard(
        scope,
        "costs",
        dashboard_name=config.name("email-costs"),
        default_interval=Duration.days(35),
        widgets=[
            [
                cloudwatch.TextWidget(
                    markdown=COSTS_HELP.format(table=config.name("email-reports")),
                    width=24,
                    height=3,
                )
            ],
            [
                _graph(
                    "Are we within the budget? (USD, month to date)",
                    [_metric(NAMESPACE, "TotalCost", "Maximum", "total").with_(period=day)],
                    lines=[(float(config.cost_budget), "budget", "#d62728")],
                    width=12,
                ),
                _graph(
                    "What does a mail cost? (USD)",
                    [_metric(NAMESPACE, "CostPerEmail", "Maximum", "per mail").with_(period=day)],
                    width=12,
                ),
            ],
            [
                query(
                    "Which service? (USD, month to date)",
                    cloudwatch.LogQueryVisualizationType.BAR,
                    'filter message = "service cost"',
                    "stats latest(usd) by aws_service",
                ),
                query(
                    "Where will the month end?",
                    cloudwatch.LogQueryVisualizationType.TABLE,
                    'filter message = "cost report"',
                    "fields day, total, forecast, budget",
                    "sort @timestamp desc",
                    "limit 31",
                ),
            ],
            [_graph("Mails sent a day", [_ours("EmailSent").with_(period=day)], width=24)],
        ],
    )


def _ours(name: str) -> cloudwatch.Metric:
    return _metric(NAMESPACE, name, "Sum", name.removeprefix("Email").lower())


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
    left: list[Any],
    *,
    width: int,
    right: list[Any] | None = None,
    lines: list[tuple[float, str, str]] | None = None,
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        width=width,
        height=6,
        left=left,
        right=right,
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        right_y_axis=cloudwatch.YAxisProps(min=0, show_units=False) if right else None,
        left_annotations=[
            cloudwatch.HorizontalAnnotation(value=value, label=label, color=color)
            for value, label, color in lines or ()
        ],
    )
