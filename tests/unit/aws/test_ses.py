"""The From field is one line of ASCII that is read as the name again; what GetAccount says of sending."""

from collections.abc import Iterator
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from botocore.stub import Stubber

from steps.aws import ses
from steps.aws.ses import SendingAccount, from_field, sending_account
from steps.contract.errors import SesUnavailable
from tests.support.in_memory_aws import set_environment


@pytest.mark.parametrize(
    "name",
    [
        "Shop",
        'Ann "Q" O\'Neil, Ltd.',
        "Bücher & Mehr",
        "日本のとても長い名前のお店" * 4,
        "متجر",
        "a@b",
        "🫖",
    ],
)
def test_the_from_field_is_read_as_the_name_and_address_that_it_was_made_of(name: str) -> None:
    field = from_field(name, "orders@shop.example")
    assert field.isascii()
    assert field.splitlines() == [field]
    assert all(len(word) <= 75 for word in field.split())
    shown, address = parseaddr(field)
    assert (str(make_header(decode_header(shown))), address) == (name, "orders@shop.example")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    set_environment(monkeypatch)
    client = ses.sesv2.__wrapped__()
    monkeypatch.setattr(ses, "sesv2", lambda: client)
    with Stubber(client) as stub:
        yield stub


@pytest.mark.parametrize(
    ("daily", "left"), [(200.0, 150.0), (50.0, 0.0), (0.0, -50.0), (-1.0, float("inf"))]
)
def test_get_account_says_how_much_is_left(stub: Stubber, daily: float, left: float) -> None:
    quota = {"Max24HourSend": daily, "MaxSendRate": 14.0, "SentLast24Hours": 50.0}
    stub.add_response("get_account", {"SendQuota": quota, "SendingEnabled": True})
    account = sending_account()
    assert account == SendingAccount(rate=14, quota_left=left, enabled=True)
    assert account.sends == (left > 0)
    assert not account.paused


@pytest.mark.parametrize(
    ("status", "paused"), [("HEALTHY", False), ("PROBATION", False), ("SHUTDOWN", True)]
)
def test_an_account_that_ses_shut_down_is_paused_whatever_else_it_says(
    stub: Stubber, status: str, *, paused: bool
) -> None:
    quota = {"Max24HourSend": 200.0, "MaxSendRate": 14.0, "SentLast24Hours": 0.0}
    answer = {"SendQuota": quota, "SendingEnabled": True, "EnforcementStatus": status}
    stub.add_response("get_account", answer)
    account = sending_account()
    assert (account.paused, account.sends) == (paused, not paused)


def test_a_throttled_get_account_says_that_ses_does_not_tell(stub: Stubber) -> None:
    stub.add_client_error("get_account", "TooManyRequestsException", http_status_code=429)
    with pytest.raises(SesUnavailable, match="TooManyRequestsException"):
        sending_account()


@pytest.mark.parametrize(("rate", "enabled"), [(0, True), (-1, True), (14, False)])
def test_an_account_without_a_rate_sends_nothing(rate: float, *, enabled: bool) -> None:
    account = SendingAccount(rate=rate, quota_left=1, enabled=enabled)
    assert account.paused
    assert not account.sends
