"""What each command asks of AWS: the two managed policies are made of it (`infra/operators.py`).

An ARN is given without `arn:aws`, region and account: `sqs:email-order-dlq-{env}`; `*` is for actions that take
no resource. Source: "Actions, resources, and condition keys for AWS services", Service Authorization Reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from infra.operator.audit import LOG_GROUP
from infra.operator.trail import (
    FEEDBACK_LOG,
    FUNCTION_LOGS,
    PROCESSOR_LOG,
    VALIDATE_LOG,
    WORKFLOW_LOG,
)
from steps.aws.ledger_table import ORDER_ID_INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACKING = "dynamodb:table/email-delivery-tracking-{env}"
REPORTS = "dynamodb:table/email-reports-{env}"
ORDERS_INDEX = f"{TRACKING}/index/{ORDER_ID_INDEX}"
ORDERS_TOPIC = "sns:email-order-events-{env}"
CONFIGURATION_SET = "ses:configuration-set/email-notifications-{env}"


class Need(NamedTuple):
    """Actions, and what they are done to."""

    actions: tuple[str, ...]
    on: tuple[str, ...] = ("*",)


Commands: TypeAlias = "Mapping[str, tuple[Need, ...]]"
"""What commands need, by their names."""


def _log_groups(*bases: str) -> tuple[str, ...]:
    """Name log groups both ways: a call names the group (MiniStack) or what is in it (AWS)."""
    return tuple(f"logs:log-group:{base}-{{env}}{part}" for base in bases for part in ("", ":*"))


AUDIT = (Need(("logs:CreateLogStream", "logs:PutLogEvents"), _log_groups(LOG_GROUP)),)
"""Of every command that changes something."""

SENDING = (
    Need(("ses:GetConfigurationSet",), (CONFIGURATION_SET,)),
    Need(("ses:GetAccount",)),
    Need(("dynamodb:Query",), (REPORTS,)),
)
"""Whether mails go out: `find` and the page show it, too."""

PAUSE = (
    *SENDING,
    *AUDIT,
    Need(("ses:PutConfigurationSetSendingOptions",), (CONFIGURATION_SET,)),
    Need(("dynamodb:PutItem",), (REPORTS,)),
)
"""`pause` and `lift`."""

ORDER_LETTERS = "sqs:email-order-dlq-{env}"
DEAD_LETTERS = (ORDER_LETTERS, "sqs:email-internal-dlq-{env}")
LOOK = (
    *("sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
    *("sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"),
)

DEAD_LOOK = (Need(LOOK, DEAD_LETTERS),)
"""`dead list` and `dead show`; and `find`, which looks into the dead letters."""

DEAD_DROP = (*DEAD_LOOK, *AUDIT, Need(("sqs:DeleteMessage",), DEAD_LETTERS))

DEAD_REDRIVE = (
    *DEAD_DROP,
    Need(
        ("sqs:GetQueueUrl", "sqs:SendMessage"),
        ("sqs:email-order-queue-{env}", "sqs:email-ses-events-queue-{env}"),
    ),
    Need(("lambda:InvokeFunction",), ("lambda:function:email-outcomes-{env}",)),
    # What is too old by then is recorded as rejected.
    Need(("dynamodb:PutItem", "dynamodb:UpdateItem"), (TRACKING,)),
)

BY_ORDER = (
    Need(("dynamodb:Query",), (ORDERS_INDEX,)),
    Need(("dynamodb:GetItem",), (TRACKING,)),
)
"""Finding an order's records, and reading each whole."""

PUBLISH = (Need(("sns:Publish",), (ORDERS_TOPIC,)),)
"""An order event is published: what `resend` and `canary` do."""

FIND = (
    *SENDING,
    *DEAD_LOOK,
    *BY_ORDER,
    Need(("logs:FilterLogEvents",), _log_groups(WORKFLOW_LOG, *FUNCTION_LOGS, FEEDBACK_LOG)),
    Need(
        ("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        ("sqs:email-order-queue-{env}",),
    ),
    Need(("ses:GetSuppressedDestination",)),
)

SUPPRESSION = (
    *AUDIT,
    Need(("ses:GetConfigurationSet",), (CONFIGURATION_SET,)),
    Need(("ses:DeleteSuppressedDestination", "ses:GetAccount", "ses:GetSuppressedDestination")),
)
"""`suppression show` and `suppression remove`; `suppression retry` is a `resend`, too."""

DOCTOR = (
    Need(
        ("ses:GetConfigurationSet", "ses:GetConfigurationSetEventDestinations"),
        (CONFIGURATION_SET,),
    ),
    # Which of the sender's identities there is, an address or a domain, is what it asks.
    Need(("ses:GetEmailIdentity",), ("ses:identity/*",)),
    # Its settings say who sends.
    Need(("lambda:GetFunctionConfiguration",), ("lambda:function:email-send-{env}",)),
    Need(
        ("sns:ListSubscriptionsByTopic",),
        (
            "sns:email-alerts-{env}",
            ORDERS_TOPIC,
            "sns:email-ses-events-{env}",
        ),
    ),
    Need(
        (
            "ce:ListCostAllocationTags",
            "cloudwatch:DescribeAlarms",  # of all alarms, which policies call * (CloudWatch API Reference)
            "lambda:GetAccountSettings",
            "lambda:ListEventSourceMappings",
            "ses:GetAccount",
        )
    ),
)
"""`doctor`; it changes nothing."""

CANARY = (
    *AUDIT,
    *PUBLISH,
    Need(("dynamodb:GetItem",), (TRACKING,)),
    Need(("dynamodb:Query",), (REPORTS,)),
)
"""`canary`, `canary --now`."""

RECONCILE = (
    Need(LOOK, (ORDER_LETTERS,)),
    Need(("dynamodb:Query", "dynamodb:Scan"), (ORDERS_INDEX,)),
    Need(("logs:FilterLogEvents",), _log_groups(PROCESSOR_LOG, VALIDATE_LOG)),
    # Its settings say for how long a mail may be in doubt.
    Need(("lambda:GetFunctionConfiguration",), ("lambda:function:email-reconciliation-{env}",)),
)

RESEND = (*BY_ORDER, *SENDING, *AUDIT, *PUBLISH)

ERASE = (
    *BY_ORDER,
    *DEAD_DROP,
    Need(("dynamodb:Scan", "dynamodb:UpdateItem"), (TRACKING,)),
    # The suppression list is the account's.
    Need(("ses:GetSuppressedDestination", "ses:DeleteSuppressedDestination")),
)

PAGE = (
    *SENDING,
    Need(("cloudwatch:DescribeAlarms",)),
    Need(("sqs:GetQueueAttributes", "sqs:GetQueueUrl"), DEAD_LETTERS),
)
"""The first screen of `page`; the rest of it needs what the commands need."""

SUPPORT: Commands = {
    "canary": CANARY,
    "find": FIND,
    "reconcile": RECONCILE,
    "resend": RESEND,
    "suppression": (*SUPPRESSION, *RESEND),
    "dead list": DEAD_LOOK,
    "dead show": DEAD_LOOK,
    "page": PAGE,
}
"""The commands of the support desk, by name."""

OPERATOR: Commands = {
    **SUPPORT,
    "pause": PAUSE,
    "lift": PAUSE,
    "doctor": DOCTOR,
    "dead redrive": DEAD_REDRIVE,
    "dead drop": DEAD_DROP,
    "erase": ERASE,
}
"""All commands."""
