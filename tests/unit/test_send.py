"""The send step against each answer of SES: what it raises, what the record says after."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
    ReadTimeoutError,
)

from steps.aws import ses
from steps.aws.ledger_table import LedgerTable
from steps.contract import errors, limits
from steps.ledger import rules
from steps.record import record_sent
from steps.send import handler, send
from tests.support.clock import NOW
from tests.support.in_memory_aws import (
    NO_FILES,
    SES,
    STATE,
    TABLE,
    claim,
    claimed_record,
)
from tests.support.lambda_context import lambda_context
from tests.support.sample_mails import NOTIFICATION_ID, email
from tests.support.table_in_memory import MEMORY

if TYPE_CHECKING:
    from steps.contract.state import Receipt, State

pytestmark = pytest.mark.usefixtures("ledger_in_memory")


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
    return {**STATE, "email": email("order.confirmed")}


def hand_over(state: State, owner: str = "me") -> Receipt:
    """Run the step by a call of its own."""
    return send(state, owner, table=TABLE, ses=SES, fetch=NO_FILES, handover_id="this call")


def test_a_mail_is_handed_to_ses_field_by_field(ses_client: FakeSesClient) -> None:
    receipt = hand_over(claimed_state())
    assert (receipt["messageId"], receipt["handoverId"]) == ("message-1", "this call")
    (request,) = ses_client.requests
    assert request["FromEmailAddress"] == "Northwind Home <orders@example.com>"
    assert request["ReplyToAddresses"] == ["hello@shop.example"]
    headers = request["Content"]["Simple"]["Headers"]
    assert {"Name": "Auto-Submitted", "Value": "auto-generated"} in headers
    assert request["ConfigurationSetName"] == "mails"
    assert {"Name": "notificationId", "Value": NOTIFICATION_ID} in request["EmailTags"]
    assert "Raw" not in request["Content"]
    assert MEMORY.records()[0]["status"] == "SENDING"


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
        (refusal("MessageRejected", 400), errors.SenderNotReady, "CLAIMED"),
        (refusal("MessageRejected", 400, "Illegal address"), errors.SendRejected, "CLAIMED"),
        (
            refusal("MessageRejected", 400, "Sending paused for this account. For more ..."),
            errors.SendingPaused,
            "CLAIMED",
        ),
        (refusal("ThrottlingException", 503), errors.SendOutcomeUnknown, "SENDING"),
        (
            refusal("MessageRejected", 400, "Email address is not verified. The following ..."),
            errors.SenderNotReady,
            "CLAIMED",
        ),
        (refusal("BadRequestException", 400), errors.SenderNotReady, "CLAIMED"),
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
        (EndpointConnectionError(endpoint_url="x"), errors.SesUnreachable, "CLAIMED"),
        (ConnectTimeoutError(endpoint_url="x"), errors.SesUnreachable, "CLAIMED"),
        (ProxyConnectionError(proxy_url="x"), errors.SesUnreachable, "CLAIMED"),
        (NoCredentialsError(), errors.SesUnreachable, "CLAIMED"),
        (
            CredentialRetrievalError(provider="x", error_msg="x"),
            errors.SesUnreachable,
            "CLAIMED",
        ),
        (ParamValidationError(report="x"), errors.SendRejected, "CLAIMED"),
    ],
)
def test_after_an_error_of_ses_the_record_says_whether_ses_may_have_the_mail(
    ses_client: FakeSesClient, sdk_error: Exception, error: type[Exception], status: str
) -> None:
    ses_client.error = sdk_error
    state = claimed_state()
    with pytest.raises(error) as raised:
        hand_over(state)
    assert type(raised.value) is error
    assert len(ses_client.requests) == 1
    assert MEMORY.records()[0]["status"] == status


def test_without_the_claim_nothing_is_sent(ses_client: FakeSesClient) -> None:
    state = claimed_state()
    with pytest.raises(errors.ClaimLost):
        hand_over(state, "someone else")
    MEMORY.items.clear()
    with pytest.raises(errors.ClaimLost):
        hand_over(state)
    assert ses_client.requests == []


def test_after_a_call_that_was_not_taken_back_the_next_one_has_its_own_name(
    ses_client: FakeSesClient,
) -> None:
    state = claimed_state()
    MEMORY.put(claimed_record(status="SENDING", sendingAt=1, handoverId="the call before"))
    hand_over(state)
    assert len(ses_client.requests) == 1
    assert MEMORY.records()[0]["handoverId"] == "this call"


def test_a_call_whose_mark_was_written_without_an_answer_goes_on(
    ses_client: FakeSesClient,
) -> None:
    state = claimed_state()
    MEMORY.put(claimed_record(status="SENDING", sendingAt=1, handoverId="this call"))
    hand_over(state)
    assert len(ses_client.requests) == 1


@dataclass(frozen=True)
class Answers(LedgerTable):
    """Has these records in the way of as many writes, one after the other, then takes any."""

    records: list[rules.Record] = field(default_factory=list)
    writes: list[rules.Put | rules.Update] = field(default_factory=list)

    def write(self, request: rules.Put | rules.Update) -> rules.Record | None:
        self.writes.append(request)
        return self.records.pop(0) if self.records else None


def sending(previous: str | None) -> rules.Update:
    return rules.sending(
        notification_id=NOTIFICATION_ID,
        owner="me",
        handover_id="this call",
        previous=previous,
        now=NOW,
    )


def send_at_now(table: LedgerTable) -> Receipt:
    state: State = {**STATE, "email": email("order.confirmed")}
    return send(
        state,
        "me",
        table=table,
        ses=SES,
        fetch=NO_FILES,
        handover_id="this call",
        clock=lambda: NOW,
    )


@pytest.mark.parametrize("status", ["CLAIMED", "SENDING"])
def test_a_call_names_the_one_before_it(ses_client: FakeSesClient, status: str) -> None:
    table = Answers(TABLE.name, [claimed_record(status=status, handoverId="before")])
    receipt = send_at_now(table)
    assert receipt == {
        "messageId": "message-1",
        "sentAt": rules.iso(NOW),
        "handoverId": "this call",
    }
    assert table.writes == [sending(None), sending("before")]
    assert len(ses_client.requests) == 1


def test_a_call_whose_mark_keeps_being_outrun_is_not_made(ses_client: FakeSesClient) -> None:
    calls = [claimed_record(handoverId=f"call-{number}") for number in range(9)]
    table = Answers(TABLE.name, calls)
    with pytest.raises(
        errors.LedgerUnavailable, match=r"^an earlier call's writes came in between"
    ):
        send_at_now(table)
    assert len(table.writes) == limits.SENDING_WRITES
    assert ses_client.requests == []


@pytest.mark.parametrize(
    "record",
    [
        {},
        claimed_record("another", handoverId="this call"),
        *(claimed_record(status=s, handoverId="this call") for s in ("FAILED", "SENT")),
    ],
)
def test_a_record_that_is_not_this_execution_s_claim_stops_the_call(
    ses_client: FakeSesClient, record: rules.Record
) -> None:
    with pytest.raises(errors.ClaimLost, match=r"^another execution owns the notification$"):
        send_at_now(Answers(TABLE.name, [record]))
    assert ses_client.requests == []


def test_a_refusal_is_taken_back_by_its_own_name(ses_client: FakeSesClient) -> None:
    ses_client.error = refusal("TooManyRequestsException", 429)
    table = Answers(TABLE.name)
    with pytest.raises(errors.SendThrottled):
        send_at_now(table)
    taken_back = rules.refused(
        notification_id=NOTIFICATION_ID, owner="me", handover_id="this call", now=NOW
    )
    assert table.writes == [sending(None), taken_back]


@dataclass(frozen=True)
class SilentAfterwards(LedgerTable):
    """Answers the first write alone."""

    writes: list[rules.Put | rules.Update] = field(default_factory=list)

    def write(self, request: rules.Put | rules.Update) -> None:
        self.writes.append(request)
        if len(self.writes) > 1:
            raise errors.LedgerUnavailable("as asked")


def test_a_refusal_that_cannot_be_taken_back_is_a_refusal_still(ses_client: FakeSesClient) -> None:
    ses_client.error = refusal("TooManyRequestsException", 429)
    with pytest.raises(errors.SendThrottled):
        send_at_now(SilentAfterwards(TABLE.name))


def test_the_function_takes_its_settings_and_names_each_of_its_calls(
    ses_client: FakeSesClient, caplog: pytest.LogCaptureFixture
) -> None:
    state = claimed_state()
    event: Any = {"execution": "me", "state": state}
    receipts = []
    for _ in range(2):
        receipts.append(handler(event, lambda_context()))
        MEMORY.put(claimed_record())
    assert [receipt["messageId"] for receipt in receipts] == ["message-1"] * 2
    names = {receipt["handoverId"] for receipt in receipts}
    assert len(names) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)
    assert ses_client.requests[0]["FromEmailAddress"].endswith("<orders@example.com>")
    assert ses_client.requests[0]["ConfigurationSetName"] == "mails"
    # By which `order-mail find` knows the mail.
    said = [vars(line) for line in caplog.records]
    assert [(line["message_id"], line["notification_id"]) for line in said] == [
        ("message-1", NOTIFICATION_ID)
    ] * 2


@dataclass(frozen=True)
class RefusedLate(LedgerTable):
    """Delivers the request that takes SENDING back a second time, while SES works on the next call."""

    late: list[rules.Update] = field(default_factory=list)

    def write(self, request: rules.Put | rules.Update) -> rules.Record | None:
        if isinstance(request, rules.Update) and request.set.get("status") == "CLAIMED":
            self.late.append(request)
        return super().write(request)


def test_a_refusal_that_is_delivered_late_does_not_free_the_claim_of_the_next_call(
    ses_client: FakeSesClient,
) -> None:
    table, state = RefusedLate(TABLE.name), claimed_state()
    ses_client.error = refusal("TooManyRequestsException", 429)
    with pytest.raises(errors.SendThrottled):
        send(state, "me", table=table, ses=SES, fetch=NO_FILES, handover_id="first")
    ses_client.error = None
    receipt = send(state, "me", table=table, ses=SES, fetch=NO_FILES, handover_id="second")
    (late,) = table.late
    TABLE.write(late)
    assert record_sent({**state, "receipt": receipt}, "me", table=TABLE, now=0)["settled"]
    assert MEMORY.records()[0]["status"] == "SENT"
