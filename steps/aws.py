"""The one door to AWS. SDK errors become ours here, once, and nowhere else is boto3 imported.

Clients are made on first use, so that a step pays for what it calls. What each may cost in time is
set by `steps.limits`; SES is asked once per call, since SendEmail has no idempotency token.
"""

from __future__ import annotations

import functools
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from email.header import Header
from email.utils import formataddr
from typing import TYPE_CHECKING, Any, cast

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from steps import errors, limits
from steps.ledger import Change, Put, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

    from steps.model import Email

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


@functools.cache
def dynamodb() -> DynamoDBClient:
    """Return the client of the tracking table."""
    return boto3.client(
        "dynamodb",
        config=Config(
            connect_timeout=limits.LEDGER_CONNECT_TIMEOUT,
            read_timeout=limits.LEDGER_READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": limits.LEDGER_ATTEMPTS},
        ),
    )


@functools.cache
def sesv2() -> SESV2Client:
    """Return the SES client. It never repeats a request by itself."""
    return boto3.client(
        "sesv2",
        config=Config(
            connect_timeout=limits.SES_CONNECT_TIMEOUT,
            read_timeout=limits.SES_READ_TIMEOUT,
            retries={"total_max_attempts": 1},
        ),
    )


@functools.cache
def stepfunctions() -> SFNClient:
    """Return the client that starts executions: a batch at a time, each once, waiting for its end."""
    return boto3.client(
        "stepfunctions",
        config=Config(
            connect_timeout=2,
            read_timeout=limits.MACHINE_TIMEOUT + 5,
            retries={"total_max_attempts": 1},
            max_pool_connections=limits.DISPATCHER_BATCH,
        ),
    )


@functools.cache
def sqs() -> SQSClient:
    """Return the client of the order queue and its dead letters."""
    return boto3.client(
        "sqs", config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard"})
    )


# --- the ledger -----------------------------------------------------------------------------------


def write(request: Put | Change) -> Record | None:
    """Make one conditional write to the tracking table.

    Returns:
        None where the write was made, else the record that stood in its way. A record that does not
        exist stands in the way as `{}`.

    Raises:
        LedgerUnavailable: the table throttled, answered 5xx or not at all.
    """
    names = {f"#{a}": a for a in ("status", "owner", "ttl") if f"#{a}" in request.condition}
    values = {f":{name}": value for name, value in request.values.items()}
    clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": []}
    if isinstance(request, Change):
        changes = [("SET", "#{0} = :new_{0}", a, v) for a, v in request.set.items()]
        changes += [("ADD", "#{0} :new_{0}", a, v) for a, v in request.add.items()]
        for verb, clause, attribute, value in changes:
            clauses[verb].append(clause.format(attribute))
            names[f"#{attribute}"] = attribute
            values[f":new_{attribute}"] = value
        for attribute in request.remove:
            clauses["REMOVE"].append(f"#{attribute}")
            names[f"#{attribute}"] = attribute
    common: dict[str, Any] = {
        "TableName": os.environ["TRACKING_TABLE"],
        "ConditionExpression": request.condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {name: _serialize(value) for name, value in values.items()},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    try:
        with _ledger_errors():
            if isinstance(request, Put):
                item = {name: _serialize(value) for name, value in request.record.items()}
                dynamodb().put_item(**common, Item=item)
            else:
                dynamodb().update_item(
                    **common,
                    Key={"notificationId": _serialize(request.notification_id)},
                    UpdateExpression=" ".join(
                        f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts
                    ),
                )
    except _ConditionFailed as failed:
        return failed.found
    return None


def read(notification_id: str) -> Record:
    """Read a record, consistently; `{}` where there is none.

    Raises:
        LedgerUnavailable: the table throttled, answered 5xx or not at all.
    """
    with _ledger_errors():
        answer = dynamodb().get_item(
            TableName=os.environ["TRACKING_TABLE"],
            Key={"notificationId": _serialize(notification_id)},
            ConsistentRead=True,
        )
    return {k: _deserialize(v) for k, v in answer.get("Item", {}).items()}


def find_by_message_id(message_id: str) -> str | None:
    """Find the notification that SES knows as `message_id`; the index lags the table a little.

    Raises:
        LedgerUnavailable: the table throttled, answered 5xx or not at all.
    """
    with _ledger_errors():
        answer = dynamodb().query(
            TableName=os.environ["TRACKING_TABLE"],
            IndexName="MessageIdIndex",
            KeyConditionExpression="messageId = :id",
            ExpressionAttributeValues={":id": _serialize(message_id)},
            Limit=1,
        )
    items = answer["Items"]
    return _deserialize(items[0]["notificationId"]) if items else None


def reserve_slots(span: int, *, now: int, latest: int) -> int | None:
    """Move the table's `pace` item, which says from when sending slots are free, by `span`.

    All in epoch milliseconds. A line that is empty starts `now`; else the new slots follow the last.

    Returns:
        The start of the reserved span; None where it would be later than `latest`.

    Raises:
        LedgerUnavailable: the table throttled, answered 5xx or not at all.
    """
    item: dict[str, Any] = {
        "TableName": os.environ["TRACKING_TABLE"],
        "Key": {"notificationId": _serialize("pace")},
        "ReturnValues": "UPDATED_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    clock = {":now": _serialize(now), ":span": _serialize(span), ":latest": _serialize(latest)}
    while True:
        try:
            with _ledger_errors():
                dynamodb().update_item(
                    **item,
                    UpdateExpression="SET freeFrom = :end",
                    ConditionExpression="attribute_not_exists(freeFrom) OR freeFrom <= :now",
                    ExpressionAttributeValues={
                        ":end": _serialize(now + span),
                        ":now": clock[":now"],
                    },
                )
                return now
        except _ConditionFailed:
            pass
        try:
            with _ledger_errors():
                answer = dynamodb().update_item(
                    **item,
                    UpdateExpression="SET freeFrom = freeFrom + :span",
                    ConditionExpression="freeFrom > :now AND freeFrom <= :latest",
                    ExpressionAttributeValues=clock,
                )
                return int(_deserialize(answer["Attributes"]["freeFrom"])) - span
        except _ConditionFailed as failed:
            if failed.found["freeFrom"] > latest:
                return None


_LEDGER_PASSES = {
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
}


class _ConditionFailed(Exception):
    """A write's condition did not hold; `found` is the record that stood in the way."""

    def __init__(self, found: Record) -> None:
        super().__init__()
        self.found = found


@contextmanager
def _ledger_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            item = cast("Any", error.response).get("Item", {})
            raise _ConditionFailed({k: _deserialize(v) for k, v in item.items()}) from error
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code in _LEDGER_PASSES or status >= 500:  # noqa: PLR2004 - HTTP's server errors
            raise errors.LedgerUnavailable(f"DynamoDB answered {code}") from error
        raise errors.UnexpectedError(f"DynamoDB answered {code}") from error
    except BotoCoreError as error:
        raise errors.LedgerUnavailable(f"no answer from DynamoDB ({_name(error)})") from error


# --- SES ------------------------------------------------------------------------------------------

_SES_ERRORS: dict[str, type[errors.OrderMailError]] = {
    "TooManyRequestsException": errors.SendThrottled,
    "ThrottlingException": errors.SendThrottled,
    "Throttling": errors.SendThrottled,
    "LimitExceededException": errors.QuotaExceeded,
    "SendingPausedException": errors.SendingPaused,
    "AccountSuspendedException": errors.SendingPaused,
    "MailFromDomainNotVerifiedException": errors.SenderNotReady,
    "NotFoundException": errors.SenderNotReady,
    "MessageRejected": errors.SendRejected,
    "BadRequestException": errors.SendRejected,
}
"""SES v2 API Reference, SendEmail, Errors; the common errors for throttling and access."""


def send_email(email: Email, *, sender: str, tags: Mapping[str, str]) -> str:
    """Hand one mail to SES v2, once, and return SES's message id.

    Subject, addresses and bodies travel as separate fields of `Content.Simple`; SES builds the MIME,
    so no value can become a header of its own. `sender` is a bare address; the mail names it.

    Raises:
        SendDeferred: one of its kinds; SES did not accept the mail and may later.
        SendRejected: SES will never accept it.
        SendOutcomeUnknown: no answer or a 5xx; the mail may be on its way.
    """
    try:
        answer = sesv2().send_email(
            FromEmailAddress=from_field(email["fromName"], sender),
            ReplyToAddresses=[email["replyTo"]],
            Destination={"ToAddresses": [email["to"]]},
            Content={
                "Simple": {
                    "Subject": {"Data": email["subject"], "Charset": "UTF-8"},
                    "Body": {
                        "Html": {"Data": email["html"], "Charset": "UTF-8"},
                        "Text": {"Data": email["text"], "Charset": "UTF-8"},
                    },
                    "Headers": [{"Name": n, "Value": v} for n, v in email["headers"].items()],
                }
            },
            ConfigurationSetName=os.environ["CONFIGURATION_SET"],
            EmailTags=[{"Name": name, "Value": value} for name, value in tags.items()],
        )
    except ClientError as error:
        raise _ses_error(error) from error
    except BotoCoreError as error:
        raise errors.SendOutcomeUnknown(f"no answer from SES ({type(error).__name__})") from error
    return answer["MessageId"]


def from_field(name: str, address: str) -> str:
    """Write a From field: a name that needs it is quoted (RFC 5322), or encoded (RFC 2047)."""
    if name.isascii():
        return formataddr((name, address))
    # Not formataddr: its encoded words may be longer than the 75 characters that one may have.
    return f"{Header(name, 'utf-8', maxlinelen=75).encode(linesep='')} <{address}>"


@dataclass(frozen=True, kw_only=True)
class SendingAccount:
    """What SES lets the account do: mails a second, mails left of the 24 hour quota, sending at all."""

    rate: float
    quota_left: float
    enabled: bool


def sending_account() -> SendingAccount:
    """Ask SES for the account's send rate, quota and state (GetAccount).

    Raises:
        SesUnavailable: throttled or no answer.
    """
    try:
        answer = sesv2().get_account()
    except (ClientError, BotoCoreError) as error:
        raise errors.SesUnavailable(f"no account ({_name(error)})") from error
    quota = answer["SendQuota"]
    unlimited = quota["Max24HourSend"] < 0
    return SendingAccount(
        rate=quota["MaxSendRate"],
        quota_left=float("inf") if unlimited else quota["Max24HourSend"] - quota["SentLast24Hours"],
        enabled=answer["SendingEnabled"],
    )


def _ses_error(error: ClientError) -> errors.OrderMailError:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code == "MessageRejected" and "not verified" in error.response["Error"]["Message"]:
        # The one case in which the name does not tell: a sender (in the sandbox, a recipient) that
        # is not verified (yet) is "rejected", too, and mends without a change of the mail.
        return errors.SenderNotReady("SES answered that an address is not verified")
    if known := _SES_ERRORS.get(code):
        return known(f"SES answered {code}")
    if status >= 500:  # noqa: PLR2004
        return errors.SendOutcomeUnknown(f"SES answered {status}")
    # Any other 4xx is a request that SES did not act on: credentials, permissions, a quota of the API.
    return errors.SenderNotReady(f"SES answered {code}")


# --- the queue and the workflow -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a synchronous Express execution ended.

    `status`: SUCCEEDED, FAILED or TIMED_OUT; `error` is an error's name, empty after success;
    `output` is the machine's last state, empty after a failure.
    """

    arn: str
    status: str
    error: str
    output: dict[str, Any]


def run_order_workflow(*, name: str, request: str) -> Execution:
    """Start the order workflow with `request` (JSON) and wait for its end.

    StartSyncExecution answers 200 for failed executions, too. It is asked once: a repetition would
    be a second execution.

    Raises:
        WorkflowUnavailable: throttled or no answer.
    """
    try:
        answer = stepfunctions().start_sync_execution(
            stateMachineArn=os.environ["ORDER_WORKFLOW"], name=name, input=request
        )
    except (ClientError, BotoCoreError) as error:
        raise errors.WorkflowUnavailable(f"no execution ({_name(error)})") from error
    status = answer["status"]
    return Execution(
        arn=answer["executionArn"],
        status=status,
        error="States.Timeout" if status == "TIMED_OUT" else answer.get("error", ""),
        output=json.loads(answer.get("output") or "{}") if status == "SUCCEEDED" else {},
    )


def hide(receipt_handle: str, seconds: int) -> None:
    """Let a message of the order queue come back in `seconds` (at most 12 hours).

    Raises:
        QueueUnavailable: it comes back when its visibility time-out ends, instead.
    """
    try:
        sqs().change_message_visibility(
            QueueUrl=os.environ["ORDER_QUEUE"],
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=seconds,
        )
    except (ClientError, BotoCoreError) as error:
        raise errors.QueueUnavailable(f"not hidden ({_name(error)})") from error


def dead_letter(body: str, *, reason: str, execution: str) -> None:
    """Put a message into the order queue's dead letters, with its reason and execution attached.

    Raises:
        QueueUnavailable: the message must stay on the order queue.
    """
    attributes = {"reason": reason, "execution": execution}
    try:
        sqs().send_message(
            QueueUrl=os.environ["DEAD_LETTER_QUEUE"],
            MessageBody=body,
            MessageAttributes={
                k: {"DataType": "String", "StringValue": v} for k, v in attributes.items() if v
            },
        )
    except (ClientError, BotoCoreError) as error:
        raise errors.QueueUnavailable(f"no dead letter ({_name(error)})") from error


def _name(error: Exception) -> str:
    return (
        error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    )
