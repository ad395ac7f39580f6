"""The laptop's SES without sockets: shapes, account, mail, dice."""

import json
import random
from base64 import b64encode
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.ses import events, mime
from infra.local.ses.account import DAY, Send, SesAccount, SesError, TokenBucket
from infra.local.ses.mime import Email, compose
from infra.local.ses.settings import SesSettings, faults, schedule
from infra.local.ses.upstream import ConfigurationSet

EXAMPLES = Path(__file__).parents[1] / "events" / "ses"
NOW = datetime(2026, 11, 20, 9, 15, 2, 118_000, UTC)
SUBJECT = "Your order ORDER123456"


def request(to: str = "customer@example.com", **changes: Any) -> dict[str, Any]:
    return {
        "FromEmailAddress": "Shop <orders@shop.example>",
        "Destination": {"ToAddresses": [to]},
        "ReplyToAddresses": ["help@shop.example"],
        "ConfigurationSetName": "email-notifications-dev",
        "EmailTags": [{"Name": "notificationId", "Value": "4f1d8c2b9e"}],
        "Content": {
            "Simple": {
                "Subject": {"Data": SUBJECT},
                "Body": {"Text": {"Data": "Grüße"}, "Html": {"Data": "<p>Grüße</p>"}},
            }
        },
    } | changes


def composed(asked: dict[str, Any]) -> Email:
    return compose(asked, message_id=events.new_id(NOW), region="us-east-1", now=NOW)


def accepted(to: str = "customer@example.com", **changes: Any) -> events.Accepted:
    return events.Accepted(
        message_id=events.new_id(NOW),
        at=NOW,
        email=composed(request(to, **changes)),
        identity_arn="arn:aws:ses:us-east-1:123456789012:identity/shop.example",
        account="123456789012",
        source_ip="127.0.0.1",
        caller="email-send-dev",
    )


# --- events ---------------------------------------------------------------------------------------


def shape(value: Any) -> Any:
    """Keys and types of a JSON value."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def _outcome(to: str, suppressed: str | None = None, *, delayed: bool = False) -> Callable[[], Any]:
    def made() -> dict[str, Any]:
        reasons = {to: suppressed} if suppressed else {}
        planned, _ = events.outcome(accepted(to), reasons, delayed=delayed)
        return {event.payload["eventType"]: event.payload for event in planned}

    return made


def _by_hand(kind: str) -> Callable[[], Any]:
    return lambda: {"by hand": events.make(accepted(), kind, NOW, {}).payload}


@pytest.mark.parametrize(
    ("example", "made", "event"),
    [
        ("send", _outcome("customer@example.com"), "Send"),
        ("delivery", _outcome("customer@example.com"), "Delivery"),
        ("delivery-delay", _outcome("customer@example.com", delayed=True), "DeliveryDelay"),
        ("bounce-permanent", _outcome("bounce+7@simulator.amazonses.com"), "Bounce"),
        ("bounce-permanent", _outcome("suppressionlist@simulator.amazonses.com"), "Bounce"),
        ("bounce-transient", _outcome("ooto@simulator.amazonses.com"), "Bounce"),
        ("bounce-suppressed", _outcome("customer@example.com", "BOUNCE"), "Bounce"),
        ("complaint", _outcome("Complaint@Simulator.AmazonSES.com"), "Complaint"),
        ("complaint-suppressed", _outcome("customer@example.com", "COMPLAINT"), "Complaint"),
        ("reject", _by_hand("REJECT"), "by hand"),
        ("rendering-failure", _by_hand("Rendering Failure"), "by hand"),
    ],
)
def test_events_have_the_shape_of_the_examples(
    example: str, made: Callable[[], dict[str, Any]], event: str
) -> None:
    wanted = json.loads((EXAMPLES / f"{example}.json").read_text())
    payload = json.loads(json.dumps(made()[event]))
    assert shape(payload) == shape(wanted)
    assert payload["eventType"] == wanted["eventType"]


def test_each_example_is_compared() -> None:
    assert {p.stem for p in EXAMPLES.glob("*.json")} == {
        "send", "delivery", "delivery-delay", "bounce-permanent", "bounce-transient",
        "bounce-suppressed", "complaint", "complaint-suppressed", "reject", "rendering-failure",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("to", "suppressed", "wanted", "in_inbox"),
    [
        ("someone@example.com", None, ["Send", "Delivery"], True),
        ("success@simulator.amazonses.com", None, ["Send", "Delivery"], True),
        ("bounce@simulator.amazonses.com", None, ["Send", "Bounce"], False),
        ("complaint+a@simulator.amazonses.com", None, ["Send", "Delivery", "Complaint"], True),
        ("ooto@simulator.amazonses.com", None, ["Send", "Delivery", "Bounce"], True),
        ("suppressionlist+a@simulator.amazonses.com", None, ["Send", "Bounce"], False),
        ("someone@example.com", "BOUNCE", ["Send", "Bounce"], False),
        ("someone@example.com", "COMPLAINT", ["Send", "Complaint"], False),
    ],
)
def test_outcomes(to: str, suppressed: str | None, wanted: list[str], *, in_inbox: bool) -> None:
    reasons = {to: suppressed} if suppressed else {}
    planned, inbox = events.outcome(accepted(to), reasons, delayed=False)
    assert [event.payload["eventType"] for event in planned] == wanted
    assert inbox == ((to,) if in_inbox else ())


def test_a_full_mailbox_bounces_softly_and_the_simulators_are_never_full() -> None:
    planned, inbox = events.outcome(accepted(), {}, delayed=False, full=True)
    assert [event.payload["eventType"] for event in planned] == ["Send", "Bounce"]
    assert planned[-1].detail["bounceType"] == "Transient"
    assert planned[-1].detail["bouncedRecipients"][0]["status"] == "5.2.2"
    assert inbox == ()
    simulated = "success@simulator.amazonses.com"
    assert events.outcome(accepted(simulated), {}, delayed=False, full=True)[1] == (simulated,)


def test_a_virus_is_rejected_after_the_send() -> None:
    virus = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    content = {"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": virus}}}}
    planned, inbox = events.outcome(accepted(Content=content), {}, delayed=False)
    assert [event.payload["eventType"] for event in planned] == ["Send", "Reject"]
    assert inbox == ()


def test_only_enabled_topics_that_ask_for_the_kind_get_it() -> None:
    def to(topic: str, *, enabled: bool) -> dict[str, Any]:
        types = ["SEND", "BOUNCE"]
        sns = {"TopicArn": topic}
        return {"Enabled": enabled, "MatchingEventTypes": types, "SnsDestination": sns}

    config_set = ConfigurationSet(
        sending_enabled=True,
        suppressed_reasons=None,
        destinations=[to("on", enabled=True), to("off", enabled=False)],
    )
    assert config_set.topics("BOUNCE") == ["on"]
    assert config_set.topics("DELIVERY") == []


# --- account --------------------------------------------------------------------------------------


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


SEND = Send(
    sender="orders@shop.example",
    recipients=("customer@example.com",),
    config_set="set",
    sending_enabled=True,
    sender_verified=True,
    unverified_recipients=(),
)


def refusal(settings: SesSettings, send: Send = SEND) -> SesError:
    account = SesAccount(settings, "us-east-1", Clock())
    with pytest.raises(SesError) as caught:
        account.admit(send)
    return caught.value


@pytest.mark.parametrize(
    ("settings", "changes", "code"),
    [
        ({"paused": True}, {}, "SendingPausedException"),
        ({}, {"sending_enabled": False}, "SendingPausedException"),
        ({"suspended": True}, {}, "AccountSuspendedException"),
        ({"sender_verified": False}, {}, "MessageRejected"),
        ({}, {"sender_verified": False}, "MessageRejected"),
        ({"sandbox": True}, {"unverified_recipients": ("a@b.example",)}, "MessageRejected"),
        ({"mail_from_verified": False}, {}, "MailFromDomainNotVerifiedException"),
        ({"daily_quota": 0}, {}, "LimitExceededException"),
    ],
)
def test_refusals_are_those_of_the_service_model(
    settings: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    error = refusal(SesSettings(**settings), replace(SEND, **changes))
    assert error.code == code
    model = botocore.session.get_session().get_service_model("sesv2")
    statuses = {
        shape.name: shape.metadata["error"]["httpStatusCode"]
        for shape in model.operation_model("SendEmail").error_shapes
    }
    assert error.status == statuses[code]
    assert SesError("TooManyRequestsException", "").status == statuses["TooManyRequestsException"]
    assert SesError("NotFoundException", "").status == statuses["NotFoundException"]


@given(
    rate=st.floats(0.5, 100),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 3)), max_size=80),
)
def test_the_rate_is_never_exceeded_beyond_one_burst(
    rate: float, steps: list[tuple[float, int]]
) -> None:
    bucket, now, taken = TokenBucket(rate, 0.0), 0.0, 0
    for pause, count in steps:
        now += pause
        before = taken
        taken += count if bucket.take(count, now) else 0
        assert taken <= max(rate, 2) + rate * now + 2 + 1e-6  # a mail to three may overdraw by 2
        assert taken in {before, before + count}


@pytest.mark.parametrize("rate", [1, 14, 50])
def test_the_rate_is_attained_under_double_load(rate: float) -> None:
    bucket = TokenBucket(rate, 0.0)
    offered = [number / (2 * rate) for number in range(int(2 * rate * 60))]
    taken = sum(bucket.take(1, now) for now in offered)
    assert rate * 60 <= taken <= rate * 60 + max(rate, 2)


def test_one_action_a_second_is_admitted() -> None:
    clock = Clock()
    account = SesAccount(SesSettings(), "us-east-1", clock)
    account.admit_action()
    for seconds, admitted in ((0.25, False), (0.74, False), (0.01, True), (5, True), (0.25, False)):
        clock.now += seconds
        with nullcontext() if admitted else pytest.raises(SesError, match="Rate exceeded"):
            account.admit_action()


def test_the_quota_rolls_and_the_simulator_does_not_count() -> None:
    clock = Clock()
    account = SesAccount(SesSettings(daily_quota=1), "us-east-1", clock)
    account.admit(SEND)
    account.admit(replace(SEND, recipients=("bounce@simulator.amazonses.com",)))
    assert account.describe()["SendQuota"]["SentLast24Hours"] == 1.0
    with pytest.raises(SesError, match="Daily message quota exceeded"):
        account.admit(SEND)
    clock.now += DAY
    account.admit(SEND)


def test_the_sandbox_lowers_rate_and_quota() -> None:
    quota = SesAccount(SesSettings(sandbox=True), "us-east-1", Clock()).describe()["SendQuota"]
    assert (quota["MaxSendRate"], quota["Max24HourSend"]) == (1, 200)


def test_suppression_heeds_the_reasons_of_configuration_set_or_account() -> None:
    account = SesAccount(SesSettings(), "us-east-1", Clock())
    account.suppress("Old@example.com", "BOUNCE")
    assert account.suppression_of(("old@example.com",), None) == {"old@example.com": "BOUNCE"}
    assert account.suppression_of(("old@example.com",), []) == {}
    account.suppressed_reasons = ["COMPLAINT"]
    assert account.suppression_of(("old@example.com",), None) == {}
    assert account.suppression_of(("old@example.com",), ["BOUNCE"]) == {"old@example.com": "BOUNCE"}


# --- mail -----------------------------------------------------------------------------------------


def test_the_wire_holds_the_mail_as_ses_builds_it() -> None:
    asked = request(
        Content={
            "Simple": {
                "Subject": {"Data": "Bestellung ✓ Grüße"},
                "Body": {"Text": {"Data": "Grüße"}, "Html": {"Data": "<p>Grüße</p>"}},
                "Headers": [{"Name": "X-Entity-Ref-ID", "Value": "4f1d8c2b9e"}],
            }
        },
        Destination={"ToAddresses": ["a@example.com"], "BccAddresses": ["secret@example.com"]},
    )
    email = composed(asked)
    mail = message_from_bytes(email.wire, policy=policy.default)
    assert mail["Subject"] == "Bestellung ✓ Grüße"
    assert mail["Message-ID"].endswith("-000000@email.amazonses.com>")
    assert (mail["Reply-To"], mail["X-Entity-Ref-ID"]) == ("help@shop.example", "4f1d8c2b9e")
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert [part.get_content().strip() for part in mail.iter_parts()] == ["Grüße", "<p>Grüße</p>"]
    assert email.wire.count(b"MIME-Version") == 1
    assert b"boundary*" not in email.wire
    assert b"secret@" not in email.wire
    assert b"4f1d8c2b9e" not in email.wire.replace(b"X-Entity-Ref-ID: 4f1d8c2b9e", b"")
    assert email.recipients == ("a@example.com", "secret@example.com")
    assert b"\n" not in email.wire.replace(b"\r\n", b"")


def test_an_attachment_arrives_as_it_was() -> None:
    content = bytes(range(256)) * 100
    asked = request()
    asked["Content"]["Simple"]["Attachments"] = [
        {
            "FileName": name,
            "ContentType": "application/pdf",
            "ContentDisposition": "ATTACHMENT",
            "ContentTransferEncoding": "BASE64",
            "RawContent": b64encode(content).decode(),
        }
        for name in ("Rechnung-4711.pdf", "請求書 (2026).pdf")
    ]
    mail = message_from_bytes(composed(asked).wire, policy=policy.SMTP)
    assert mail.get_content_type() == "multipart/mixed"
    assert [part.get_filename() for part in mail.iter_attachments()] == [
        "Rechnung-4711.pdf",
        "請求書 (2026).pdf",
    ]
    for part in mail.iter_attachments():
        assert part.get_content_type() == "application/pdf"
        assert part.get_content() == content
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body
        assert "Grüße" in body.get_content()


def test_a_mail_has_a_size_and_a_virus_is_found_in_a_file_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mime, "MAX_BYTES", 10_000)
    asked = request()
    file = {"FileName": "a.pdf", "ContentTransferEncoding": "BASE64"}
    simple = asked["Content"]["Simple"]
    simple["Attachments"] = [file | {"RawContent": b64encode(b"x" * 8_000).decode()}]
    with pytest.raises(SesError, match="Message length is more than"):
        composed(asked)
    eicar = b"X5O!P%@AP EICAR-STANDARD-ANTIVIRUS-TEST-FILE!"
    simple["Attachments"] = [file | {"RawContent": b64encode(eicar).decode()}]
    assert composed(asked).infected


def _simple(**changes: Any) -> dict[str, Any]:
    parts = {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}
    return {"Content": {"Simple": parts | changes}}


@pytest.mark.parametrize(
    "changes",
    [
        {"Content": {}},
        {"Destination": {}},
        {"Destination": {"ToAddresses": [f"a{n}@example.com" for n in range(51)]}},
        {"Destination": {"ToAddresses": ["no address"]}},
        {"FromEmailAddress": "Jürgen <a@shop.example>"},
        {"FromEmailAddress": "a@shop.example\r\nBcc: b@shop.example"},
        {"EmailTags": [{"Name": "to", "Value": "a@b.example"}]},
        _simple(Subject={"Data": "x\r\nBcc: b@example.com"}),
        _simple(Headers=[{"Name": "X-A", "Value": "1\r\nBcc: b@example.com"}]),
        _simple(Headers=[{"Name": "Message-ID", "Value": "<a@b>"}]),
        _simple(Headers=[{"Name": f"X-{n}", "Value": "1"} for n in range(16)]),
        _simple(Body={}),
        *(
            _simple(Attachments=[{"FileName": "a.pdf", "RawContent": "YQ=="} | wrong])
            for wrong in (
                *({"FileName": "a.exe"}, {"FileName": "a.JS"}, {"FileName": f"{'a' * 252}.pdf"}),
                *({"FileName": "a\r\nBcc: b@example.com"}, {"FileName": ""}),
                *({"RawContent": "no Base64"}, {"RawContent": "w7w="}),
                *({"ContentTransferEncoding": "GZIP"}, {"ContentType": "application/x\r\nBcc: b"}),
            )
        ),
        _simple(Attachments=[{"RawContent": "YQ=="}]),
        _simple(Attachments=[{"FileName": "a.pdf"}]),
        {"Content": {"Raw": {"Data": "RnJvbTogYUBiLmV4YW1wbGU="}}},
        {"Content": {"Template": {"TemplateName": "t"}}},
    ],
)
def test_what_ses_cannot_send_is_a_bad_request(changes: dict[str, Any]) -> None:
    with pytest.raises(SesError) as caught:
        composed(request(**changes))
    assert caught.value.code == "BadRequestException"


# --- dice -----------------------------------------------------------------------------------------


def dice_of(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - must be repeatable


def test_one_fault_does_not_move_another() -> None:
    alone = [faults(SesSettings(drop_answer=0.3), dice_of(n)).drop_answer for n in range(200)]
    both = SesSettings(drop_answer=0.3, throttle=0.5, slow=0.5)
    assert [faults(both, dice_of(n)).drop_answer for n in range(200)] == alone
    assert 30 <= sum(alone) <= 90


def test_schedules_lose_repeat_shuffle_and_delay() -> None:
    natural = [0.0, 0.1, 0.2]
    dice = dice_of(1)
    assert schedule(SesSettings(), dice, natural) == [[0.0], [0.1], [0.2]]
    assert schedule(SesSettings(events_lost=1), dice, natural) == [[], [], []]
    twice = schedule(SesSettings(events_repeated=1), dice, natural)
    assert [len(delays) for delays in twice] == [2, 2, 2]
    orders = [schedule(SesSettings(events_shuffled=1), dice_of(n), natural) for n in range(20)]
    assert len({str(order) for order in orders}) > 1
    assert all(sorted(order) == [[0.0], [0.1], [0.2]] for order in orders)
    late = schedule(SesSettings(events_late_min=5, events_late_max=6), dice, natural)
    assert all(5 <= delay <= 6.2 for delays in late for delay in delays)
