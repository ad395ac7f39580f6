"""`order-mail suppression`: what entries and settings mean together."""

from __future__ import annotations

import pytest

from infra.operator.errors import Refused
from infra.operator.suppression import Entry, allow_retry, judged

ENTRY = Entry(
    spelling="as given", reason="BOUNCE", since="2026-11-30T03:00:00+00:00", message_id="1"
)
BOTH = ["BOUNCE", "COMPLAINT"]


@pytest.mark.parametrize(
    ("account", "configuration_set", "heeded", "note"),
    [
        (BOTH, None, True, ""),
        ([], BOTH, True, ""),
        (BOTH, ["COMPLAINT"], False, "sends to the address all the same"),
        (BOTH, [], False, "sends to the address all the same"),
        ([], None, False, "sends to the address all the same"),
    ],
)
def test_the_configuration_set_goes_before_the_account(
    account: list[str], configuration_set: list[str] | None, *, heeded: bool, note: str
) -> None:
    found = judged("0123456789abcdef", [ENTRY], account, configuration_set)
    assert found.heeded is heeded
    assert note in found.note
    assert bool(note) is bool(found.note)


@pytest.mark.parametrize(
    ("account", "configuration_set", "advice"),
    [
        ([], None, "put-account-suppression-attributes"),
        (BOTH, None, "SES tries such an address all the same"),
        ([], BOTH, "SES tries such an address all the same"),
    ],
)
def test_an_address_that_is_on_no_list_may_be_on_that_of_all_accounts(
    account: list[str], configuration_set: list[str] | None, advice: str
) -> None:
    found = judged("0123456789abcdef", [], account, configuration_set)
    assert not found.heeded
    assert "Permanent/Suppressed" in found.note
    assert advice in found.note


@pytest.mark.parametrize("reason", ["Permanent/OnAccountSuppressionList", "Permanent/Suppressed"])
def test_a_mail_that_was_kept_back_may_go_once_its_address_is_off_the_list(reason: str) -> None:
    record = {"status": "BOUNCED", "reason": reason}
    allow_retry(record, judged("0123456789abcdef", [], BOTH, None))
    with pytest.raises(Refused, match="still on the list"):
        allow_retry(record, judged("0123456789abcdef", [ENTRY], BOTH, None))


@pytest.mark.parametrize(
    "record",
    [
        {"status": "BOUNCED", "reason": "Permanent/General"},
        {"status": "DELIVERED"},
    ],
)
def test_no_other_mail_may(record: dict[str, str]) -> None:
    with pytest.raises(Refused, match="did not keep this mail back"):
        allow_retry(record, judged("0123456789abcdef", [], BOTH, None))
