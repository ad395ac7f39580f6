"""The send step against each answer of SES: what it raises, what the record says after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from steps.aws import ses
from steps.contract import errors
from steps.send import send
from tests.support.in_memory_aws import SES, TABLE, claim, table_items, tracking_table
from tests.support.sample_mails import NOTIFICATION_ID, email

if TYPE_CHECKING:
    from steps.contract.state import State

pytestmark = pytest.mark.usefixtures("in_memory_aws")


@dataclass
class FakeSesClient:
    """Stands in for boto3's client: accepts a mail, or fails as a test asks."""

    error: Exception | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)

    def send_email(self, **request: Any) -> dict[str, str]:
        self.requests.append(request)
        if self.error:
            raise self.error
        return {"MessageId": "message-1"}


@pytest.fixture
def ses_client(monkeypatch: pytest.MonkeyPatch) -> FakeSesClient:
    client = FakeSesClient()
    monkeypatch.setattr(ses, "sesv2", lambda: client)
    return client


def refusal(code: str, status: int, message: str = "x") -> ClientError:
    """Return what boto3 raises where SES answers a code with this HTTP status."""
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "SendEmail")


def claimed_state() -> State:
    """Claim the sample notification; return what the send step gets then."""
    TABLE.write(claim())
    return {"attempt": 1, "notificationId": NOTIFICATION_ID, "email": email("order.confirmed")}


def test_a_mail_is_handed_to_ses_field_by_field(ses_client: FakeSesClient) -> None:
    assert send(claimed_state(), "me", table=TABLE, ses=SES)["messageId"] == "message-1"
    (request,) = ses_client.requests
    assert request["FromEmailAddress"] == "Northwind Home <orders@example.com>"
    assert request["ReplyToAddresses"] == ["hello@shop.example"]
    headers = request["Content"]["Simple"]["Headers"]
    assert {"Name": "Auto-Submitted", "Value": "auto-generated"} in headers
    assert request["ConfigurationSetName"] == "mails"
    assert {"Name": "notificationId", "Value": NOTIFICATION_ID} in request["EmailTags"]
    assert "Raw" not in request["Content"]
    assert table_items()[0]["status"] == "SENDING"


@pytest.mark.parametrize(
    ("sdk_error", "error", "status"),
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
            ReadTimeoutError(endpoint_url="x"),
            errors.SendOutcomeUnknown,
            "SENDING",
        ),
        (
            ConnectionClosedError(endpoint_url="x"),
            errors.SendOutcomeUnknown,
            "SENDING",
        ),
    ],
)
def test_after_an_error_of_ses_the_record_says_whether_ses_may_have_the_mail(
    ses_client: FakeSesClient, sdk_error: Exception, error: type[Exception], status: str
) -> None:
    ses_client.error = sdk_error
    state = claimed_state()
    with pytest.raises(error) as raised:
        send(state, "me", table=TABLE, ses=SES)
    assert type(raised.value) is error
    assert len(ses_client.requests) == 1
    assert table_items()[0]["status"] == status


def test_without_the_claim_nothing_is_sent(ses_client: FakeSesClient) -> None:
    state = claimed_state()
    with pytest.raises(errors.ClaimLost):
        send(state, "someone else", table=TABLE, ses=SES)
    tracking_table().delete_item(Key={"notificationId": NOTIFICATION_ID})
    with pytest.raises(errors.ClaimLost):
        send(state, "me", table=TABLE, ses=SES)
    assert ses_client.requests == []
