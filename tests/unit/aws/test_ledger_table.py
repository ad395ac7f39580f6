"""What the tracking table answers: what passes by itself, and what is a bug of ours."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from steps.aws.ledger_table import ledger_errors
from steps.contract import errors


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
