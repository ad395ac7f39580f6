"""Stack `cost-monitoring-{env}`: the scheduled reports, the rejections, the canary, the alarms, the alerts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_stepfunctions as sfn

from infra.alarms import REJECTIONS, alarm_arn, alarms, metric
from infra.function import Functions
from infra.machine import machine
from infra.nag import acknowledge, acknowledge_versions
from infra.schedule import Schedules
from infra.stack import colon_arn
from infra.table import grant_table, only_attributes, table
from infra.topic import let_nobody_else_publish, topic
from statemachines.bounce_rate_check import bounce_rate_check
from statemachines.cost_analysis import cost_analysis
from statemachines.reconciliation import reconciliation
from statemachines.scheduled_report import ScheduledReport
from steps.aws.ledger_table import ORDER_ID_INDEX
from steps.bounce_rate import BounceRateSettings
from steps.canary import CanarySettings
from steps.contract import limits
from steps.cost_monitoring import CostSettings
from steps.ledger import unfinished
from steps.pause import PauseSettings
from steps.reconciliation import ReconciliationSettings
from steps.rejections import RejectionsSettings
from steps.reports import canary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_cdk import aws_dynamodb as dynamodb
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_sqs as sqs
    from constructs import Construct

    from infra.bundling import Bundle
    from infra.config import Config
    from infra.ses import SesStack
    from infra.stack import StackOptions
    from steps.contract.settings import FunctionSettings


class MonitoringStack(Stack):
    """Watches what the other stacks do. They do not know of it."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: Config,
        bundle: Bundle,
        ses: SesStack,
        tracking: dynamodb.ITable,
        dead_letters: sqs.IQueue,
        **options: Unpack[StackOptions],
    ) -> None:
        super().__init__(scope, id_, **options)
        self._config = config
        self._key = ses.key(self)
        self._configuration_set = ses.configuration_set.configuration_set_name
        self._configuration_set_arn = ses.configuration_set_arn

        self.alerts = self._alerts_topic()
        self._reports = table(
            self,
            "reports",
            "email-reports",
            config=config,
            key=self._key,
            partition_key="kind",
            sort_key="date",
        )
        self._schedules = Schedules(
            scope=self, config=config, key=self._key, dead_letters=dead_letters
        )
        functions = Functions(scope=self, config=config, bundle=bundle, key=self._key)
        cost_analysis, bounce_rate_check = (
            self._cost_analysis(functions),
            self._bounce_rate_check(functions),
        )
        rejections = self._rejections(functions, dead_letters)
        canaries = (
            [self._canary(functions, tracking, dead_letters)] if config.canary_minutes else []
        )
        reconciling = self._reconciliation(functions, tracking)
        self._allow_alerts(cost_analysis, bounce_rate_check, reconciling, rejections, *canaries)
        self._make_alarms(rejections)
        CfnOutput(self, "AlertsTopic", value=self.alerts.topic_arn)

    def _cost_analysis(self, functions: Functions) -> sfn.StateMachine:
        function = self._reporting(
            functions,
            "cost-monitoring",
            "cost_monitoring",
            grants=("ce:GetCostAndUsage", "cloudwatch:GetMetricStatistics", "ses:GetAccount"),
            settings=CostSettings(
                reports_table=self._reports.table_name,
                system=self._config.name("order-mail"),
                region=self._config.region,
                metrics_namespace=self._config.metrics_namespace,
                budget=self._config.cost_budget,
                dashboard_url=self._dashboard_url("email-costs"),
            ),
        )
        name = "cost-analysis"
        workflow = self._workflow(name, cost_analysis(self._report(name, function)), [function])
        # Cost Explorer has most of yesterday by then.
        self._schedules.make(
            name,
            scheduler.ScheduleExpression.cron(minute="15", hour="6"),
            partial(targets.StepFunctionsStartExecution, workflow),
        )
        return workflow

    def _bounce_rate_check(self, functions: Functions) -> sfn.StateMachine:
        function = self._reporting(
            functions,
            "email-bounce-rate",
            "bounce_rate",
            grants=("cloudwatch:GetMetricStatistics", "ses:GetAccount"),
            settings=BounceRateSettings(
                reports_table=self._reports.table_name,
                configuration_set=self._configuration_set,
                metrics_namespace=self._config.metrics_namespace,
                auto_pause=self._config.auto_pause_sending,
                dashboard_url=self._dashboard_url("email-notifications"),
            ),
        )
        pause = self._pause(functions) if self._config.auto_pause_sending else None
        name = "bounce-rate-check"
        workflow = self._workflow(
            name,
            bounce_rate_check(self._report(name, function), pause=pause),
            [function, *([pause] if pause else [])],
        )
        self._schedules.make(
            name,
            scheduler.ScheduleExpression.rate(Duration.hours(1)),
            partial(targets.StepFunctionsStartExecution, workflow),
        )
        return workflow

    def _reconciliation(self, functions: Functions, tracking: dynamodb.ITable) -> sfn.StateMachine:
        """Make the nightly search for mails that are stuck, which reads of all records."""
        function = self._reporting(
            functions,
            "email-reconciliation",
            "reconciliation",
            grants=("cloudwatch:GetMetricStatistics",),
            settings=ReconciliationSettings(
                tracking_table=tracking.table_name,
                reports_table=self._reports.table_name,
                metrics_namespace=self._config.metrics_namespace,
                in_doubt_grace_seconds=self._config.in_doubt_grace,
                environment_suffix=self._config.env,
            ),
            timeout=limits.RECONCILIATION_TIMEOUT,
        )
        # No address. A request that names no attributes asks for all of them.
        function.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["dynamodb:Scan"],
                resources=[f"{tracking.table_arn}/index/{ORDER_ID_INDEX}"],
                conditions={
                    "ForAllValues:StringEquals": {
                        "dynamodb:Attributes": ["notificationId", *unfinished.READ]
                    },
                    "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
                },
            )
        )
        name = "reconciliation"
        report = self._report(name, function, task_timeout=limits.RECONCILIATION_TASK_TIMEOUT)
        workflow = self._workflow(
            name,
            reconciliation(report),
            [function],
            timeout=limits.RECONCILIATION_MACHINE_TIMEOUT,
        )
        # Few mails go out, and yesterday's metrics are complete.
        self._schedules.make(
            name,
            scheduler.ScheduleExpression.cron(minute="30", hour="4"),
            partial(targets.StepFunctionsStartExecution, workflow),
        )
        return workflow

    def _rejections(self, functions: Functions, dead_letters: sqs.IQueue) -> lambda_.Function:
        """Make the function that tells why orders are rejected: every hour, and when its alarm goes off."""
        groups = {
            step: f"/aws/lambda/{self._config.name(f'email-{step}')}"
            for step in ("validate", "send")
        }
        function = self._reporting(
            functions,
            REJECTIONS,
            "rejections",
            grants=("cloudwatch:GetMetricStatistics",),
            settings=RejectionsSettings(
                reports_table=self._reports.table_name,
                metrics_namespace=self._config.metrics_namespace,
                validate_log_group=groups["validate"],
                send_log_group=groups["send"],
                alerts_topic=self.alerts.topic_arn,
                dashboard_url=self._dashboard_url("email-notifications"),
            ),
            timeout=limits.REJECTIONS_TIMEOUT,
            dead_letters=dead_letters,
        )
        self._grant_log_search(function, groups.values())
        self.alerts.grant_publish(function)
        role = self._schedules.make(
            REJECTIONS,
            scheduler.ScheduleExpression.rate(Duration.hours(1)),
            partial(targets.LambdaInvoke, function),
        )
        acknowledge_versions(role, function)
        return function

    def _canary(
        self, functions: Functions, tracking: dynamodb.ITable, dead_letters: sqs.IQueue
    ) -> lambda_.Function:
        """Make the function that publishes canaries, and looks after them."""
        base = "email-canary"
        orders = self.format_arn(service="sns", resource=self._config.name("email-order-events"))
        function = functions.make(
            base,
            "canary",
            timeout=limits.CANARY_TIMEOUT,
            environment=CanarySettings(
                environment=self._config.env,
                orders_topic=orders,
                tracking_table=tracking.table_name,
                reports_table=self._reports.table_name,
                alerts_topic=self.alerts.topic_arn,
                dashboard_url=self._dashboard_url("email-notifications"),
            ).to_env(),
            dead_letters=dead_letters,
        )
        function.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=["sns:Publish"], resources=[orders])
        )
        self.alerts.grant_publish(function)
        # Other orders' records hold customers' data.
        grant_table(
            function,
            tracking,
            "dynamodb:GetItem",
            key=self._key,
            conditions=only_attributes(canary.READ),
        )
        self._grant_reports(function)
        role = self._schedules.make(
            base,
            scheduler.ScheduleExpression.rate(Duration.minutes(self._config.canary_minutes)),
            partial(
                targets.LambdaInvoke,
                function,
                input=scheduler.ScheduleTargetInput.from_object(
                    {"scheduledTime": scheduler.ContextAttribute.scheduled_time}
                ),
            ),
        )
        acknowledge_versions(role, function)
        return function

    def _grant_log_search(self, function: lambda_.Function, names: Iterable[str]) -> None:
        """Let a function look for lines in log groups, which policies call by an ARN that ends in `:*`."""
        arns = [colon_arn(self, "logs", "log-group", name) for name in names]
        streams = [f"{arn}:*" for arn in arns]
        function.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=["logs:FilterLogEvents"], resources=[*arns, *streams])
        )
        acknowledge(
            function.role or function,
            {
                f"AwsSolutions-IAM5[Resource::{arn}]": "A log group's ARN in policies: its streams."
                for arn in streams
            },
        )

    def _report(
        self,
        name: str,
        function: lambda_.IFunction,
        *,
        task_timeout: int = limits.REPORT_TASK_TIMEOUT,
    ) -> ScheduledReport:
        return ScheduledReport(
            scope=self,
            name=name,
            function=function,
            alerts=self.alerts,
            task_timeout=task_timeout,
        )

    def _dashboard_url(self, dashboard: str) -> str:
        region = self._config.region
        return (
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#dashboards/dashboard/{self._config.account_wide_name(dashboard)}"
        )

    def _alerts_topic(self) -> sns.Topic:
        alerts = topic(
            self,
            "alerts",
            "email-alerts",
            config=self._config,
            key=self._key,
            publisher="CloudWatch",
        )
        for address in self._config.alert_emails:
            subscription = alerts.add_subscription(subscriptions.EmailSubscription(address))
            acknowledge(
                subscription,
                {
                    "Serverless-SNSRedrivePolicy": "An address that takes no mail needs a person, not a queue."
                },
            )
        return alerts

    def _allow_alerts(self, *publishers: sfn.StateMachine | lambda_.Function) -> None:
        """Let this account's alarms publish, and none of its principals but the roles of `publishers`."""
        self.alerts.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.alerts.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": self.account},
                    "ArnLike": {"aws:SourceArn": alarm_arn(self, self._config.name("email-*"))},
                },
            )
        )
        roles = [publisher.role.role_arn for publisher in publishers if publisher.role]
        let_nobody_else_publish(
            self.alerts,
            {
                "ArnNotEquals": {"aws:PrincipalArn": roles},
                "Bool": {"aws:PrincipalIsAWSService": "false"},
            },
        )

    def _reporting(
        self,
        functions: Functions,
        base: str,
        handler: str,
        *,
        grants: tuple[str, ...],
        settings: FunctionSettings,
        timeout: int = limits.REPORT_FUNCTION_TIMEOUT,
        dead_letters: sqs.IQueue | None = None,
    ) -> lambda_.Function:
        """Make a function that may ask `grants` (none of which takes a resource) and keep reports."""
        function = functions.make(
            base,
            handler,
            timeout=timeout,
            environment=settings.to_env(),
            dead_letters=dead_letters,
        )
        function.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=list(grants), resources=["*"])
        )
        acknowledge(
            function.role or function,
            {"AwsSolutions-IAM5[Resource::*]": "These read actions take no resource."},
        )
        self._grant_reports(function)
        return function

    def _grant_reports(self, function: lambda_.Function) -> None:
        grant_table(function, self._reports, "dynamodb:PutItem", "dynamodb:Query", key=self._key)

    def _pause(self, functions: Functions) -> lambda_.Function:
        function = functions.make(
            "email-pause",
            "pause",
            timeout=limits.REPORT_FUNCTION_TIMEOUT,
            environment=PauseSettings(
                configuration_set=self._configuration_set, reports_table=self._reports.table_name
            ).to_env(),
        )
        grant_table(function, self._reports, "dynamodb:PutItem", key=self._key)
        function.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["ses:PutConfigurationSetSendingOptions"],
                resources=[self._configuration_set_arn],
            )
        )
        return function

    def _workflow(
        self,
        base: str,
        chain: sfn.IChainable,
        functions: list[lambda_.Function],
        *,
        timeout: int = limits.REPORT_MACHINE_TIMEOUT,
    ) -> sfn.StateMachine:
        workflow = machine(
            self,
            base,
            chain,
            type_=sfn.StateMachineType.STANDARD,
            timeout=timeout,
            functions=functions,
            config=self._config,
            key=self._key,
        )
        if self._key:
            # SNS asks for both of whoever publishes to an encrypted topic.
            self._key.grant(workflow, "kms:Decrypt", "kms:GenerateDataKey")
        return workflow

    def _make_alarms(self, rejections: lambda_.Function) -> None:
        for spec in alarms(self._config):
            alarm = cloudwatch.Alarm(
                self,
                f"{spec.name}-alarm",
                alarm_name=self._config.name(spec.name),
                alarm_description=spec.description,
                metric=metric(spec),
                comparison_operator=spec.comparison,
                threshold=spec.threshold,
                evaluation_periods=spec.of or spec.periods,
                datapoints_to_alarm=spec.periods,
                treat_missing_data=spec.missing,
            )
            action = (
                actions.LambdaAction(rejections)
                if spec.name == REJECTIONS
                else actions.SnsAction(self.alerts)
            )
            alarm.add_alarm_action(action)
