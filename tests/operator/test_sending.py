"""`order-mail pause` and `lift`: what they do, what they keep, how they answer and how they end."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import NoCredentialsError

from infra.operator.__main__ import main
from infra.operator.aws import explained
from infra.operator.cli.sending import of_sending
from infra.operator.errors import OperatorError
from infra.operator.sending import Sending, sending
from steps.contract.errors import LedgerUnavailable
from steps.reports import pause
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


def test_what_was_refused_is_kept_nowhere(
    ses: SesInMemory, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A story would tell of a pause that never was, and a pause that goes on would lose its reason."""
    refused = "ses:PutConfigurationSetSendingOptions"
    ses.denied = refused
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm") == 3
    assert deployment.reports.last(pause.KIND) == {}
    ses.denied = ""
    assert run(monkeypatch, "pause", "--yes", "--reason", "far too many") == 0
    ses.denied = refused
    assert run(monkeypatch, "lift", "--yes", "--reason", "mended") == 3
    assert sending(deployment).why == "far too many"


def test_an_environment_that_is_not_there_is_a_no(
    ses: SesInMemory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ses
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm", "--env", "nowhere") == 1
    assert "environment nowhere in us-east-1" in " ".join(capsys.readouterr().err.split())


def test_a_wrong_command_line_has_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "pause") == 2
    assert run(monkeypatch, "no-such-command") == 2
    assert run(monkeypatch, "pause", "--yes", "--reason", " ") == 2


def test_a_profile_that_is_not_there_is_said(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm") == 3
    assert "profile (nowhere) could not be found" in " ".join(capsys.readouterr().err.split())


def test_missing_credentials_are_said_the_same_through_every_door(deployment: Deployment) -> None:
    unanswered = LedgerUnavailable("no answer from DynamoDB (NoCredentialsError)")
    unanswered.__cause__ = NoCredentialsError()
    with pytest.raises(OperatorError, match="no AWS credentials"), explained(deployment):
        raise unanswered


def test_whoever_interrupts_a_change_is_not_told_that_nothing_was_changed(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment.ses, "put_configuration_set_sending_options", interrupted)
    assert run(monkeypatch, "pause", "--yes", "--reason", "hm") == 3
    said = capsys.readouterr().err
    assert "Interrupted" in said
    assert "Nothing was changed" not in said


def test_an_account_that_ses_stopped_sends_nothing() -> None:
    said = of_sending(Sending(paused=False, stopped=True))
    assert "Mails go out" not in said
    assert "SES has stopped the account" in said
