"""Stack `ses-configuration-{env}`: how SES sends for us, and where it reports what became of a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ses as ses

from infra.config import KeyUse
from infra.nag import acknowledge
from infra.stack import colon_arn, removal_policy, service
from infra.topic import let_nobody_else_publish, topic

if TYPE_CHECKING:
    from constructs import Construct

    from infra.config import Config
    from infra.stack import StackOptions


class SesStack(Stack):
    """The configuration set, its event topic, and the customer-managed key where one is asked for.

    The sender's identity is not made here: it belongs to the shop's domain, which was verified before
    and outlives any deployment.
    """

    def __init__(
        self, scope: Construct, id_: str, *, config: Config, **options: Unpack[StackOptions]
    ) -> None:
        super().__init__(scope, id_, **options)
        key = None
        if config.customer_managed_key is not KeyUse.FALSE:
            key = _customer_managed_key(self, config)
        self._key = key if config.customer_managed_key is KeyUse.TRUE else None
        if key and not self._key:
            # The stacks that still import it are deployed after this one.
            self.export_value(key.key_arn)

        self.events = topic(
            self, "events", "email-ses-events", config=config, key=self._key, publisher="SES"
        )
        self.configuration_set = ses.ConfigurationSet(
            self,
            "configuration-set",
            configuration_set_name=config.name("email-notifications"),
            tls_policy=ses.ConfigurationSetTlsPolicy.REQUIRE
            if config.require_tls
            else ses.ConfigurationSetTlsPolicy.OPTIONAL,
            reputation_metrics=True,
            suppression_reasons=ses.SuppressionReasons.BOUNCES_AND_COMPLAINTS,
        )
        self.configuration_set.add_event_destination(
            "events",
            destination=ses.EventDestination.sns_topic(self.events),
            events=[
                ses.EmailSendingEvent.SEND,
                ses.EmailSendingEvent.DELIVERY,
                ses.EmailSendingEvent.DELIVERY_DELAY,
                ses.EmailSendingEvent.BOUNCE,
                ses.EmailSendingEvent.COMPLAINT,
                ses.EmailSendingEvent.REJECT,
                ses.EmailSendingEvent.RENDERING_FAILURE,
            ],
        )
        self._deny_events_of_anybody_else()

    def key(self, scope: Construct) -> kms.IKey | None:
        """Return the customer-managed key as another stack may have it: to use, and not to open.

        CDK lets any SNS of any account decrypt with a key of whose policy it disposes, where a topic
        delivers to a queue under it.
        """
        return kms.Key.from_key_arn(scope, "key", self._key.key_arn) if self._key else None

    @property
    def configuration_set_arn(self) -> str:
        """The ARN by which policies know the configuration set."""
        return self.format_arn(
            service="ses",
            resource="configuration-set",
            resource_name=self.configuration_set.configuration_set_name,
        )

    def _deny_events_of_anybody_else(self) -> None:
        """Let nobody publish events but SES on behalf of our configuration set.

        The event destination brings the permission that AWS documents ("Set up an Amazon SNS event destination
        for event publishing", SES Developer Guide). It is no fence: a principal of this account needs the
        permission of its own policy alone. So what comes from elsewhere is denied. A caller cannot set
        `aws:SourceArn`, only services do, and where it is missing a negated condition holds ("AWS global
        condition context keys", IAM User Guide). The permission asks for the same ARN, so this denies nothing
        that it allows.
        """
        let_nobody_else_publish(
            self.events,
            {"StringNotEquals": {"aws:SourceArn": self.configuration_set_arn}},
            principal=iam.StarPrincipal(),  # services, too
        )


def _customer_managed_key(scope: Construct, config: Config) -> kms.Key:
    """Make the key. It shares the fate of the table under it, which nobody could read without it."""
    key = kms.Key(
        scope,
        "key",
        alias=config.key_alias,
        description="Order mails: table, queues, topics, logs",
        enable_key_rotation=True,
        removal_policy=removal_policy(keep=config.keeps_data),
        pending_window=Duration.days(30),
    )
    for name in ("sns", "ses", "cloudwatch"):
        key.grant_encrypt_decrypt(service(scope, name))
    # CloudWatch Logs names the log group instead of a source.
    groups = colon_arn(scope, "logs", "log-group", "*")
    key.grant_encrypt_decrypt(
        iam.ServicePrincipal(
            f"logs.{Stack.of(scope).region}.amazonaws.com",
            conditions={"StringLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
    )
    acknowledge(
        key, {"parliament-RESOURCE_STAR": "In a key's policy the resource is the key itself."}
    )
    return key
