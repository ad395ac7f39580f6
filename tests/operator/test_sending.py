"""`order-mail pause` and `lift`: what they do, what they keep, how they answer and how they end."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from infra.operator.__main__ import main
from infra.operator.sending import Sending, sending
from tests.operator.test_audit import lines

if TYPE_CHECKING:
    from infra.operator.aws import Deployment
    from tests.operator.environment import Environment, SesInMemory


@pytest.fixture
def ses(environment: Environment) -> SesInMemory:
    return environment.ses


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["order-mail", *arguments])
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "test")
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_pause_keeps_who_and_why_until_it_is_lifted(
    ses: SesInMemory,
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
    assert not ses.sends
    assert run(monkeypatch, "lift", "--yes", "--reason", "mended") == 0
    assert capsys.readouterr().out == "Mails go out.\n"
    assert ses.sends
    assert [(line["what"], line["state"]) for line in lines(deployment)] == [
        ("pause", "begun"),
        ("pause", "done"),
        ("lift", "begun"),
        ("lift", "done"),
    ]


def test_a_pause_by_hand_has_no_reason_of_an_older_one(
    ses: SesInMemory, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "pause", "--yes", "--reason", "first")
    run(monkeypatch, "lift", "--yes", "--reason", "over")
    ses.sends = False
    assert sending(deployment) == Sending(paused=True, stopped=False)


def test_nothing_is_changed_unless_somebody_says_yes(
    ses: SesInMemory,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert run(monkeypatch, "pause", "--reason", "hm") == 1
    assert ses.sends
    assert lines(deployment) == []
    assert capsys.readouterr().out == ""


def test_what_is_denied_is_named(
    ses: SesInMemory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ses.denied = "ses:PutConfigurationSetSendingOptions"
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm") == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "ses:PutConfigurationSetSendingOptions is denied" in said


def test_an_environment_that_is_not_there_is_a_no(
    ses: SesInMemory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ses
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm", "--env", "nowhere") == 1
    assert "environment nowhere in us-east-1" in " ".join(capsys.readouterr().err.split())


def test_a_wrong_command_line_has_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "pause") == 2
    assert run(monkeypatch, "no-such-command") == 2
