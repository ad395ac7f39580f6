"""What the tracking table answers: what passes by itself, and what is a bug of ours."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from steps.aws import ledger_table
from steps.aws.ledger_table import ledger_errors
from steps.contract import errors
from steps.ledger import rules
from tests.support.in_memory_aws import TABLE, claimed_record, stored, tracking_table


def answered(code: str, status: int) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "UpdateItem")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (answered("ProvisionedThroughputExceededException", 400), errors.LedgerUnavailable),
        (answered("ThrottlingException", 400), errors.LedgerUnavailable),
        (answered("InternalServerError", 500), errors.LedgerUnavailable),
        # A key that cannot be used just now, and what a deployment has yet to bring.
        (answered("KMSInvalidStateException", 400), errors.LedgerUnavailable),
        (answered("AccessDeniedException", 400), errors.LedgerUnavailable),
        (answered("ResourceNotFoundException", 400), errors.LedgerUnavailable),
        (answered("ResourceInUseException", 400), errors.LedgerUnavailable),
        (answered("ExpiredTokenException", 400), errors.LedgerUnavailable),
        (answered("NobodyHasSeenItYet", 400), errors.LedgerUnavailable),
        (ReadTimeoutError(endpoint_url="x"), errors.LedgerUnavailable),
        # The request itself.
        (answered("ValidationException", 400), errors.UnexpectedError),
        (answered("SerializationException", 400), errors.UnexpectedError),
    ],
)
def test_an_error_is_a_bug_only_where_the_request_is_wrong(
    raised: Exception, error: type[Exception]
) -> None:
    with pytest.raises(error), ledger_errors():
        raise raised


@pytest.mark.usefixtures("in_memory_aws")
def test_the_records_of_an_order_are_found_and_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [claimed_record(notificationId=f"n{number}", reason="x") for number in range(3)]
    for record in (*records, claimed_record(notificationId="other", orderId="ORDER2")):
        tracking_table().put_item(Item=record)
    client, pages = ledger_table.dynamodb(), []
    query, get_item = client.query, client.get_item

    def small_pages(**call: Any) -> Any:
        pages.append(call)
        return query(**call, Limit=2)

    def consistently(**call: Any) -> Any:
        assert call["ConsistentRead"] is True
        return get_item(**call)

    monkeypatch.setattr(client, "query", small_pages)
    monkeypatch.setattr(client, "get_item", consistently)
    found = sorted(TABLE.find_of_order("ORDER1"), key=lambda record: str(record["notificationId"]))
    assert found == [stored(f"n{number}") for number in range(3)]
    assert len(pages) == 2
    assert list(TABLE.find_of_order("ORDER3")) == []


@pytest.mark.usefixtures("in_memory_aws")
def test_what_the_index_still_has_and_the_table_no_more_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracking_table().put_item(Item=claimed_record())
    monkeypatch.setattr(ledger_table.dynamodb(), "get_item", lambda **_call: {})
    assert list(TABLE.find_of_order("ORDER1")) == []


@pytest.mark.usefixtures("in_memory_aws")
def test_a_record_is_erased_through_the_door() -> None:
    """DynamoDB takes each of the expressions, on whatever record, and an empty address."""
    full: dict[str, Any] = {
        "orderId": "jo@example.com",
        "part": {"shipmentId": "P 1"},
        "content": "c",
        "event": "{}",
        "reasons": ["a: b"],
        "resend": {"by": "jo"},
        "events": {"Complaint|Jane Doe|2026#x", "Send|2026#x"},
    }
    for changes in ({}, full, full | {"status": "COMPLAINED", "reason": "Jane Doe"}):
        tracking_table().put_item(Item=claimed_record(**changes))
        (before,) = TABLE.find_of_order(str(changes.get("orderId", "ORDER1")))
        stale = rules.erased(before | {"owner": "another"}, 0)
        assert TABLE.write(stale) == before
        assert TABLE.write(rules.erased(before, 0)) is None
        after = TABLE.whole(before["notificationId"])
        assert after["customerEmail"] == ""
        assert "jo" not in str(after)
        assert "Jane" not in str(after)
        assert TABLE.write(rules.erased(after, 60)) is None
        assert TABLE.whole(before["notificationId"])["erasedAt"] == "1970-01-01T00:00:00Z"
        assert TABLE.write(rules.erased(before, 0)) == TABLE.whole(before["notificationId"])
