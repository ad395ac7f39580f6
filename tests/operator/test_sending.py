"""`order-mail pause` and `lift`: what they do, what they keep, how they answer and how they end."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.operator import aws
from infra.operator.__main__ import main
from infra.operator.sending import Sending, sending
from tests.operator.test_audit import lines

if TYPE_CHECKING:
    from infra.operator.aws import Deployment


class FakeSes:
    """The configuration set's switch, and the account's."""

    def __init__(self) -> None:
        self.enabled = self.account = True
        self.denied = ""

    def get_configuration_set(self, **asked: str) -> dict[str, Any]:
        assert asked == {"ConfigurationSetName": "email-notifications-dev"}
        return {"SendingOptions": {"SendingEnabled": self.enabled}}

    def get_account(self) -> dict[str, Any]:
        return {"SendingEnabled": self.account}

    def put_configuration_set_sending_options(self, **asked: Any) -> None:
        if self.denied:
            raise ClientError(
                {
                    "Error": {
                        "Code": "AccessDeniedException",
                        "Message": f"User: arn:x is not authorized to perform: {self.denied} on ...",
                    }
                },
                "PutConfigurationSetSendingOptions",
            )
        assert asked.pop("ConfigurationSetName") == "email-notifications-dev"
        self.enabled = asked.pop("SendingEnabled")
        assert asked == {}


@pytest.fixture
def ses(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> FakeSes:
    fake, real = FakeSes(), aws._client
    monkeypatch.setattr(
        aws,
        "_client",
        lambda service, region: fake if service == "sesv2" else real(service, region),
    )
    assert deployment
    return fake


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["order-mail", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_pause_keeps_who_and_why_until_it_is_lifted(
    ses: FakeSes,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sending(deployment) == Sending(paused=False, stopped=False)
    assert run(monkeypatch, "pause", "--yes", "--json", "--reason", "jo@example.com sees red") == 0
    told = json.loads(capsys.readouterr().out)
    paused = sending(deployment)
    assert told == {
        "paused": True,
        "stopped": False,
        "since": paused.since,
        "by": deployment.who,
        "why": "(address) sees red",
    }
    assert not ses.enabled
    assert run(monkeypatch, "lift", "--yes", "--reason", "mended") == 0
    assert capsys.readouterr().out == "Mails go out.\n"
    assert ses.enabled
    assert [(line["what"], line["state"]) for line in lines(deployment)] == [
        ("pause", "begun"),
        ("pause", "done"),
        ("lift", "begun"),
        ("lift", "done"),
    ]


def test_a_pause_by_hand_has_no_reason_of_an_older_one(
    ses: FakeSes, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "pause", "--yes", "--reason", "first")
    run(monkeypatch, "lift", "--yes", "--reason", "over")
    ses.enabled = False
    assert sending(deployment) == Sending(paused=True, stopped=False)


def test_nothing_is_changed_unless_somebody_says_yes(
    ses: FakeSes,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert run(monkeypatch, "pause", "--reason", "hm") == 1
    assert ses.enabled
    assert lines(deployment) == []
    assert capsys.readouterr().out == ""


def test_what_is_denied_is_named(
    ses: FakeSes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ses.denied = "ses:PutConfigurationSetSendingOptions"
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm") == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "ses:PutConfigurationSetSendingOptions is denied" in said


def test_an_environment_that_is_not_there_is_a_no(
    ses: FakeSes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ses
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm", "--env", "nowhere") == 1
    assert "environment nowhere in us-east-1" in " ".join(capsys.readouterr().err.split())


def test_a_wrong_command_line_has_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "pause") == 2
    assert run(monkeypatch, "no-such-command") == 2
