"""The send step against each answer of SES: what it raises, what the record says after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions
import pytest

from steps.aws import ses as ses_door
from steps.aws.ledger_table import dynamodb
from steps.aws.ses import sesv2
from steps.aws.workflow import stepfunctions
from steps.contract import errors
from steps.ledger import rules
from steps.send import send
from tests.support.in_memory_aws import SES, TABLE, table_items
from tests.support.sample_mails import email

if TYPE_CHECKING:
    from steps.contract.state import State

pytestmark = pytest.mark.usefixtures("aws_world")

ID = "b" * 40


class FakeSes:
    """Answers SendEmail with what a test sets."""

    def __init__(self, answer: Exception | None = None) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []

    def send_email(self, **request: Any) -> dict[str, str]:
        self.requests.append(request)
        if self.answer:
            raise self.answer
        return {"MessageId": "message-1"}


def refusal(code: str, status: int, message: str = "x") -> botocore.exceptions.ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return botocore.exceptions.ClientError(answer, "SendEmail")


def claimed() -> State:
    TABLE.write(
        rules.claim(
            notification_id=ID, order_id="1", event_type="e", recipient="r", owner="me", now=1.0
        )
    )
    return {"attempt": 1, "notificationId": ID, "email": email("order.confirmed")}


def test_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    ses = FakeSes()
    monkeypatch.setattr(ses_door, "sesv2", lambda: ses)
    assert send(claimed(), "me", table=TABLE, ses=SES)["messageId"] == "message-1"
    (request,) = ses.requests
    assert request["FromEmailAddress"] == "Northwind Home <orders@example.com>"
    assert request["ReplyToAddresses"] == ["hello@shop.example"]
    headers = request["Content"]["Simple"]["Headers"]
    assert {"Name": "Auto-Submitted", "Value": "auto-generated"} in headers
    assert request["ConfigurationSetName"] == "mails"
    assert {"Name": "notificationId", "Value": ID} in request["EmailTags"]
    assert "Raw" not in request["Content"]
    assert table_items()[0]["status"] == "SENDING"


@pytest.mark.parametrize(
    ("answer", "error", "status"),
    [
        (refusal("TooManyRequestsException", 429), errors.SendThrottled, "CLAIMED"),
        (refusal("ThrottlingException", 400), errors.SendThrottled, "CLAIMED"),
        (refusal("LimitExceededException", 400), errors.QuotaExceeded, "CLAIMED"),
        (refusal("SendingPausedException", 400), errors.SendingPaused, "CLAIMED"),
        (refusal("AccountSuspendedException", 400), errors.SendingPaused, "CLAIMED"),
        (refusal("MailFromDomainNotVerifiedException", 400), errors.SenderNotReady, "CLAIMED"),
        (refusal("NotFoundException", 404), errors.SenderNotReady, "CLAIMED"),
        (refusal("AccessDeniedException", 403), errors.SenderNotReady, "CLAIMED"),
        (refusal("ExpiredTokenException", 403), errors.SenderNotReady, "CLAIMED"),
        (refusal("MessageRejected", 400), errors.SendRejected, "SENDING"),
        (
            refusal("MessageRejected", 400, "Email address is not verified. The following ..."),
            errors.SenderNotReady,
            "CLAIMED",
        ),
        (refusal("BadRequestException", 400), errors.SendRejected, "SENDING"),
        (refusal("InternalFailure", 500), errors.SendOutcomeUnknown, "SENDING"),
        (refusal("ServiceUnavailable", 503), errors.SendOutcomeUnknown, "SENDING"),
        (
            botocore.exceptions.ReadTimeoutError(endpoint_url="x"),
            errors.SendOutcomeUnknown,
            "SENDING",
        ),
        (
            botocore.exceptions.ConnectionClosedError(endpoint_url="x"),
            errors.SendOutcomeUnknown,
            "SENDING",
        ),
    ],
)
def test_refused_or_unknown(
    monkeypatch: pytest.MonkeyPatch, answer: Exception, error: type[Exception], status: str
) -> None:
    ses = FakeSes(answer)
    monkeypatch.setattr(ses_door, "sesv2", lambda: ses)
    state = claimed()
    with pytest.raises(error) as raised:
        send(state, "me", table=TABLE, ses=SES)
    assert type(raised.value) is error
    assert len(ses.requests) == 1
    assert table_items()[0]["status"] == status


def test_without_the_claim_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    ses = FakeSes()
    monkeypatch.setattr(ses_door, "sesv2", lambda: ses)
    state = claimed()
    with pytest.raises(errors.ClaimLost):
        send(state, "someone else", table=TABLE, ses=SES)
    boto3.resource("dynamodb").Table("tracking").delete_item(Key={"notificationId": ID})
    with pytest.raises(errors.ClaimLost):
        send(state, "me", table=TABLE, ses=SES)
    assert ses.requests == []


def test_the_real_client_asks_ses_once_and_a_silent_table_twice() -> None:
    for client, attempts in ((sesv2(), 1), (dynamodb(), 2), (stepfunctions(), 1)):
        assert client.meta.config.retries["total_max_attempts"] == attempts  # type: ignore[attr-defined]
