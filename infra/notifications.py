"""Stack `email-notifications-{env}`: from the order event to the mail and its record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn

from infra.config import KeyUse
from infra.function import Functions
from infra.machine import machine
from infra.nag import acknowledge, acknowledge_versions
from infra.outcomes import Outcomes
from infra.queue import Redrive, queue
from infra.schedule import Schedules
from infra.table import grant_table, number, only_attributes, string, table
from infra.topic import topic
from statemachines.order_workflow import TIMEOUTS, Steps, order_workflow
from steps.aws.ledger_table import ORDER_ID_INDEX, OVERDUE_INDEX
from steps.aws.pace import PACE_KEY
from steps.contract import limits
from steps.contract.attachments import s3_object
from steps.dedup import DedupSettings
from steps.dispatch import DispatchSettings
from steps.feedback import FeedbackSettings
from steps.ledger import rules
from steps.overdue import OverdueSettings
from steps.record import RecordSettings
from steps.send import SendSettings

if TYPE_CHECKING:
    from constructs import Construct

    from infra.bundling import Bundle
    from infra.config import Config
    from infra.ses import SesStack
    from infra.stack import StackOptions
    from steps.contract.settings import FunctionSettings


TRACKING = "email-delivery-tracking"

NO_DESTINATION = {
    "Serverless-LambdaEventSourceMappingDestination": (
        "SQS sources have none: what fails stays on the queue, then goes to its dead letters."
    )
}


class NotificationsStack(Stack):
    """Topic, queue, dispatcher, order workflow, tracking table; and who may do what to which."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: Config,
        bundle: Bundle,
        ses: SesStack,
        **options: Unpack[StackOptions],
    ) -> None:
        super().__init__(scope, id_, **options)
        self._config = config
        self._key = ses.key(self)

        # By its name: those who use it are made before it is.
        self.table = dynamodb.TableV2.from_table_name(self, "tracking-name", config.name(TRACKING))
        self.dead_letters = self._queue("email-order-dlq")
        self.queue = self._queue(
            "email-order-queue",
            Redrive(self.dead_letters, limits.QUEUE_VISIBILITY, limits.QUEUE_REDRIVE_RECEIVES),
        )
        self.internal_dead_letters = self._queue("email-internal-dlq")
        self.orders = self._orders_topic()

        functions = Functions(scope=self, config=config, bundle=bundle, key=self._key)
        steps = self._steps(functions, ses)
        self.workflow = machine(
            self,
            "email-order-workflow",
            order_workflow(self, steps),
            type_=sfn.StateMachineType.EXPRESS,
            timeout=limits.MACHINE_TIMEOUT,
            functions=vars(steps).values(),
            config=config,
            key=self._key,
            log_level=config.workflow_log_level,
        )
        self.dispatcher = self._dispatcher(functions)
        self._feedback(functions, ses)
        self._overdue(functions)
        outcomes = self._outcomes(functions) if config.outcome_events else None
        tracking = self._tracking_table()
        if outcomes:
            outcomes.follow(tracking)

        CfnOutput(self, "OrderEventsTopic", value=self.orders.topic_arn)
        CfnOutput(self, "TrackingTable", value=self.table.table_name)
        CfnOutput(self, "OrderWorkflow", value=self.workflow.state_machine_arn)

    def _steps(self, functions: Functions, ses: SesStack) -> Steps:
        """Make the order workflow's functions: what each is told, and what each may do."""
        config, table = self._config, self.table.table_name

        def step(name: str, settings: FunctionSettings | None = None) -> lambda_.Function:
            return functions.make(
                f"email-{name}",
                name,
                timeout=TIMEOUTS[name],
                environment=settings.to_env() if settings else None,
            )

        steps = Steps(
            validate=step("validate"),
            dedup=step(
                "dedup",
                DedupSettings(tracking_table=table, in_doubt_grace_seconds=config.in_doubt_grace),
            ),
            render=step("render"),
            send=step(
                "send",
                SendSettings(
                    tracking_table=table,
                    sender=config.sender,
                    configuration_set=ses.configuration_set.configuration_set_name,
                    attachments_prefix=config.attachments_prefix,
                    attachment_types=",".join(config.attachment_types),
                ),
            ),
            record=step("record", RecordSettings(tracking_table=table)),
        )
        self._grant_ledger(steps.dedup, "dynamodb:PutItem", "dynamodb:UpdateItem")
        self._grant_ledger(steps.send, "dynamodb:UpdateItem")
        self._grant_ledger(steps.record, "dynamodb:PutItem", "dynamodb:UpdateItem")
        self._grant_send(steps.send, ses)
        self._grant_attachments(steps.send)
        return steps

    def _dispatcher(self, functions: Functions) -> lambda_.Function:
        """Make the function that runs the order queue's messages through the workflow."""
        dispatcher = functions.make(
            "email-processor",
            "dispatch",
            timeout=limits.DISPATCHER_TIMEOUT,
            environment=DispatchSettings(
                order_workflow=self.workflow.state_machine_arn,
                order_queue=self.queue.queue_url,
                dead_letter_queue=self.dead_letters.queue_url,
                tracking_table=self.table.table_name,
                tracing_rate=self._config.tracing_rate,
                dispatcher_concurrency=self._config.dispatcher_concurrency,
            ).to_env(),
        )
        self._grant_dispatching(dispatcher)
        self._grant_retired_key(dispatcher)
        self.workflow.grant_start_sync_execution(dispatcher)
        self.dead_letters.grant(dispatcher, "sqs:SendMessage")
        dispatcher.add_event_source(
            event_sources.SqsEventSource(
                self.queue,
                batch_size=limits.DISPATCHER_BATCH,
                max_batching_window=Duration.seconds(self._config.dispatcher_window),
                max_concurrency=self._config.dispatcher_concurrency,
                report_batch_item_failures=True,
            )
        )
        acknowledge(dispatcher, NO_DESTINATION)
        return dispatcher

    def _outcomes(self, functions: Functions) -> Outcomes:
        outcomes = Outcomes(
            self,
            config=self._config,
            functions=functions,
            table=self.table,
            dead_letters=self.internal_dead_letters,
            key=self._key,
        )
        self._grant_retired_key(outcomes.function)
        return outcomes

    def _tracking_table(self) -> dynamodb.TableV2:
        """Make the table, after all else that the stack holds but what reads its stream.

        A first deployment that fails is rolled back, and a protected table could not be. So whatever may
        fail comes before it.
        """
        before = self.node.children
        tracking = table(
            self,
            "tracking",
            TRACKING,
            config=self._config,
            key=self._key,
            partition_key="notificationId",
            keep=self._config.keeps_data,
            stream=self._config.outcome_events,
        )
        tracking.node.add_dependency(*before)
        # Each projected attribute that changes costs a write to the index, so only what is asked for.
        tracking.add_global_secondary_index(
            index_name=ORDER_ID_INDEX,
            partition_key=string("orderId"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["status", "timestamp", "customerEmail", "eventType"],
        )
        # Sparse: only delayed mails have these attributes, so only they are in it.
        tracking.add_global_secondary_index(
            index_name=OVERDUE_INDEX,
            partition_key=string("overdue"),
            sort_key=number("overdueAt"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        return tracking

    def _queue(self, base: str, redrive: Redrive | None = None) -> sqs.Queue:
        return queue(self, base, config=self._config, key=self._key, redrive=redrive)

    def _orders_topic(self) -> sns.Topic:
        orders = topic(self, "orders", "email-order-events", config=self._config, key=self._key)
        orders.add_subscription(
            subscriptions.SqsSubscription(
                self.queue, raw_message_delivery=True, dead_letter_queue=self.dead_letters
            )
        )
        return orders

    def _grant_ledger(
        self,
        function: lambda_.IFunction,
        *actions: str,
        conditions: dict[str, Any] | None = None,
    ) -> None:
        """Let a step do `actions` on the tracking table."""
        grant_table(function, self.table, *actions, key=self._key, conditions=conditions)

    def _grant_query(self, function: lambda_.IFunction, index: str) -> None:
        """Let a function ask one index of the tracking table."""
        function.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["dynamodb:Query"], resources=[f"{self.table.table_arn}/index/{index}"]
            )
        )

    def _grant_send(self, send: lambda_.IFunction, ses: SesStack) -> None:
        """Let the step send as the shop's sender alone, through its configuration set alone."""
        identities = self.format_arn(service="ses", resource="identity", resource_name="*")
        send.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["ses:SendEmail"],
                resources=[identities, ses.configuration_set_arn],
                conditions={"StringEquals": {"ses:FromAddress": self._config.sender}},
            )
        )
        acknowledge(
            send.role or send,
            {
                f"AwsSolutions-IAM5[Resource::{identities}]": (
                    "In the sandbox SES asks for the recipient's identity, too; the sender is the condition's."
                )
            },
        )

    def _grant_attachments(self, send: lambda_.IFunction) -> None:
        """Let the step read the objects that may be attached, and no other; none where there is no prefix."""
        if not self._config.attachments_prefix:
            return
        bucket, prefix = s3_object(self._config.attachments_prefix)
        objects = self.format_arn(
            service="s3", region="", account="", resource=bucket, resource_name=f"{prefix}*"
        )
        send.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[objects])
        )
        acknowledge(
            send.role or send,
            {f"AwsSolutions-IAM5[Resource::{objects}]": "Which objects there are, orders say."},
        )
        if send.role:
            # For the policies of a bucket or a key that another account owns.
            CfnOutput(self, "AttachmentsReader", value=send.role.role_arn)

    def _grant_dispatching(self, dispatcher: lambda_.IFunction) -> None:
        """Let the dispatcher ask for the send rate, and keep its items: the pace, and attempts.

        They lie beside the records, of which it may touch none.
        """
        own = {"dynamodb:LeadingKeys": [PACE_KEY, f"{rules.ATTEMPTS_PREFIX}*"]}
        self._grant_ledger(
            dispatcher,
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            conditions={"ForAllValues:StringLike": own},
        )
        dispatcher.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(actions=["ses:GetAccount"], resources=["*"])
        )
        acknowledge(
            dispatcher.role or dispatcher,
            {"AwsSolutions-IAM5[Resource::*]": "GetAccount takes no resource."},
        )

    def _grant_retired_key(self, reader: lambda_.IFunction) -> None:
        """Let the reader of a queue or a stream read what is from before a key retires.

        By the key's alias, since nothing imports it.
        """
        if self._config.customer_managed_key is not KeyUse.RETIRING:
            return
        keys = self.format_arn(service="kms", resource="key", resource_name="*")
        reader.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[keys],
                conditions={
                    "ForAnyValue:StringEquals": {"kms:ResourceAliases": self._config.key_alias}
                },
            )
        )
        acknowledge(
            reader.role or reader,
            {f"AwsSolutions-IAM5[Resource::{keys}]": "Its alias, the condition, names the key."},
        )

    def _feedback(self, functions: Functions, ses: SesStack) -> None:
        """Make the queue of SES's events and the function that folds them in."""
        feedback = functions.make(
            "email-feedback",
            "feedback",
            timeout=limits.FEEDBACK_TIMEOUT,
            environment=FeedbackSettings(
                tracking_table=self.table.table_name,
                configuration_set=ses.configuration_set.configuration_set_name,
                dead_letter_queue=self.internal_dead_letters.queue_url,
            ).to_env(),
        )
        self._grant_ledger(feedback, "dynamodb:UpdateItem")
        # A rejected event's record holds a customer's order.
        self._grant_ledger(
            feedback,
            "dynamodb:GetItem",
            conditions=only_attributes(rules.FOLDED),
        )
        self._grant_retired_key(feedback)
        self.internal_dead_letters.grant(feedback, "sqs:SendMessage")
        self._take(self._ses_events(ses), feedback)

    def _ses_events(self, ses: SesStack) -> sqs.Queue:
        events = self._queue(
            "email-ses-events-queue",
            Redrive(
                self.internal_dead_letters,
                limits.SES_EVENTS_VISIBILITY,
                limits.SES_EVENTS_REDRIVE_RECEIVES,
            ),
        )
        ses.events.add_subscription(
            subscriptions.SqsSubscription(
                events, raw_message_delivery=True, dead_letter_queue=self.internal_dead_letters
            )
        )
        return events

    def _take(self, events: sqs.Queue, feedback: lambda_.Function) -> None:
        """Have Lambda call the function with SES's events; CDK's own source lets it hide messages, too."""
        events.grant(feedback, "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
        mapping = lambda_.EventSourceMapping(
            self,
            "ses-events",
            target=feedback,
            event_source_arn=events.queue_arn,
            batch_size=limits.FEEDBACK_BATCH,
            max_batching_window=Duration.seconds(limits.FEEDBACK_WINDOW),
            # What waits after an outage must not take the account's functions from the orders. A limit has
            # Lambda poll an idle queue five times at once; without one it may be twice.
            max_concurrency=self._config.feedback_concurrency,
            report_batch_item_failures=True,
        )
        acknowledge(mapping, NO_DESTINATION)

    def _overdue(self, functions: Functions) -> None:
        """Make the function that writes off delayed mails, and run it every hour."""
        base = "email-overdue"
        overdue = functions.make(
            base,
            "overdue",
            timeout=limits.OVERDUE_TIMEOUT,
            environment=OverdueSettings(tracking_table=self.table.table_name).to_env(),
            dead_letters=self.internal_dead_letters,
        )
        self._grant_ledger(overdue, "dynamodb:UpdateItem")
        self._grant_query(overdue, OVERDUE_INDEX)
        schedules = Schedules(
            scope=self, config=self._config, key=self._key, dead_letters=self.internal_dead_letters
        )
        role = schedules.make(
            base,
            scheduler.ScheduleExpression.rate(Duration.hours(1)),
            partial(targets.LambdaInvoke, overdue),
        )
        acknowledge_versions(role, overdue)
