"""A test mail to oneself: what it is, that the ledger never hears of it, what is said where SES refuses."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import NoCredentialsError, NoRegionError, ReadTimeoutError

from infra import mail
from infra.local import send_test
from infra.local.send_test import SendTestError, asked, events, main
from steps import kinds
from steps.aws import ses
from steps.ledger import ses_events
from tests.support.in_memory_aws import SENDER
from tests.unit.test_send import FakeSesClient, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT_ONCE = cache(mail.build)
"""No test here changes what mails are built from."""

TO_ME = ("--to", "me@shop.example", "--kind", "order.shipped", "--locale", "de")


class Client(FakeSesClient):
    """SES, in a region."""

    meta = type("Meta", (), {"region_name": "eu-central-1"})


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(mail, "build", BUILT_ONCE)
    monkeypatch.setattr(ses, "sesv2", lambda: client)
    monkeypatch.setattr(send_test, "sesv2", lambda: client)
    monkeypatch.setenv("VERIFIED_DOMAIN", "orders@shop.example")
    return client


def told(arguments: Sequence[str] = TO_ME) -> str:
    """Return what is said where the mail is not sent."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, str)  # Which exits with 1.
    return caught.value.code


def test_the_sample_goes_to_the_address_in_the_language_and_says_that_it_is_a_test(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    main(TO_ME)
    (request,) = client.requests
    assert request["Destination"] == {"ToAddresses": ["me@shop.example"]}
    assert "orders@shop.example" in request["FromEmailAddress"]
    simple = request["Content"]["Simple"]
    assert simple["Subject"]["Data"] == "Ihre Bestellung NW-20418 ist unterwegs"
    headers = {h["Name"]: h["Value"] for h in simple["Headers"]}
    assert headers["X-Order-Mail-Test"] == "order.shipped"
    printed = capsys.readouterr().out
    assert "message id message-1" in printed
    assert "eu-central-1" in printed


def test_the_ledger_takes_no_event_of_it_even_from_its_own_configuration_set(
    client: Client,
) -> None:
    main(TO_ME)
    (request,) = client.requests
    assert "ConfigurationSetName" not in request
    tags = {tag["Name"]: [tag["Value"]] for tag in request["EmailTags"]}
    assert tags == {"orderMailTest": ["true"]}
    message = {
        "eventType": "Delivery",
        "mail": {
            "messageId": "message-1",
            "timestamp": "2026-10-09T15:30:00.000Z",
            "tags": tags | {"ses:configuration-set": ["mails"]},
        },
        "delivery": {"timestamp": "2026-10-09T15:30:01.000Z"},
    }
    event = ses_events.parse(json.dumps(message))
    assert event is None or event.notification_id is None


def test_two_tests_are_two_conversations(client: Client) -> None:
    main(TO_ME)
    main(TO_ME)
    threads = [
        {h["Name"]: h["Value"] for h in r["Content"]["Simple"]["Headers"]} for r in client.requests
    ]
    assert threads[0]["References"] != threads[1]["References"]


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize("sample", ["order.confirmed", "order.refunded-part", "order.shipped-long"])
def test_boto3_takes_what_is_asked_of_ses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sample: str
) -> None:
    monkeypatch.setenv("VERIFIED_DOMAIN", SENDER)
    main(("--to", "me@shop.example", "--kind", sample))
    assert "us-east-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "TO is missing"),
        (("--to", "", "--kind", "order.shipped", "--locale", ""), "TO is missing"),
        (("--to", "me@shop.example", "--kind", ""), "KIND is missing; there are: "),
        (("--to", "me@shop.example", "--kind", "order.shiped"), "KIND=order.shiped is no sample"),
    ],
)
def test_what_is_missing_is_said_with_how_it_is_typed(arguments: Sequence[str], said: str) -> None:
    with pytest.raises(SendTestError) as caught:
        asked(arguments)
    assert said in str(caught.value)
    assert "make send-test TO=me@shop.example KIND=order.shipped" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "me", "--kind", "order.shipped"), "TO=me is not an e-mail address"),
        ((*TO_ME[:4], "--locale", "x_"), "LOCALE=x_ is not a BCP 47 language tag"),
    ],
)
def test_a_wrong_value_is_said_by_the_name_that_was_typed(
    client: Client, arguments: Sequence[str], said: str
) -> None:
    assert said in told(arguments)
    assert client.requests == []


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:4566"])
def test_the_sender_must_be_given_but_for_the_local_stack(
    client: Client, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.delenv("VERIFIED_DOMAIN")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if endpoint:
        main(TO_ME)
        assert len(client.requests) == 1
    else:
        assert "VERIFIED_DOMAIN is not set" in told()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            refusal("MessageRejected", 400, "Email address is not verified. eu-west-1: me@…"),
            ("MessageRejected: Email address is not verified. eu-west-1", "me@shop.example`"),
        ),
        (refusal("AccessDeniedException", 403, "not allowed"), ("ses:SendEmail",)),
        (refusal("SendingPausedException", 400, "Sending paused for this account"), ("doctor",)),
        (refusal("ExpiredTokenException", 403, "expired"), ("aws sso login",)),
        (NoCredentialsError(), ("AWS_PROFILE",)),
        (NoRegionError(), ("AWS_REGION",)),
        (ReadTimeoutError(endpoint_url="x"), ("SES may have the mail all the same",)),
        (refusal("Whatever", 400, "in words of its own"), ("Whatever: in words of its own",)),
    ],
)
def test_a_refusal_is_told_in_ses_s_words_with_what_to_do(
    client: Client, error: Exception, said: Sequence[str]
) -> None:
    client.error = error
    for words in ("not sent: ", *said):
        assert words in told()


def test_every_sample_and_what_strains_a_kind_can_be_sent() -> None:
    assert {"order.shipped", "order.shipped-part", "order.shipped-long"} <= events().keys()


def test_what_a_sample_attaches_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    event = kinds.sample("order.shipped") | {"attachments": [{"uri": "s3://nobodys/invoice.pdf"}]}
    monkeypatch.setattr(send_test, "samples", lambda: {"order.shipped": event})
    assert "order.shipped-long" in events()
    assert not any("attachments" in event for event in events().values())
