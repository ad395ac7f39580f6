"""What the local stack is told by environment variables."""

import socket
from pathlib import Path
from threading import Thread

import pytest

from infra.local import loopback
from infra.local.loopback import LOOPBACK, answers, free_ports
from infra.local.programs import Plan
from infra.local.settings import LocalSettings
from infra.setting import ConfigError


def test_nothing_set_means_the_documented_defaults() -> None:
    settings = LocalSettings.read({})
    assert settings.aws_url == "http://127.0.0.1:4566"
    assert settings.inbox_url == "http://127.0.0.1:1080"
    assert settings.console_url == "http://127.0.0.1:8080"
    assert (settings.account, settings.region) == ("000000000000", "us-east-1")
    assert settings.environment_suffix == "dev"


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = LocalSettings.read(
        {
            "ENVIRONMENT_SUFFIX": "prod",
            "CDK_DEFAULT_ACCOUNT": "123456789012",
            "CDK_DEFAULT_REGION": "eu-central-1",
            "LOCAL_AWS_PORT": "5001",
            "LOCAL_INBOX_PORT": "5002",
            "LOCAL_CONSOLE_PORT": "5003",
            "LOCAL_STATE_DIR": str(tmp_path),
            "LOCAL_FAULTS": "true",
        }
    )
    assert settings == LocalSettings(
        environment_suffix="prod",
        account="123456789012",
        region="eu-central-1",
        aws_port=5001,
        inbox_port=5002,
        console_port=5003,
        state_dir=tmp_path,
        faults=True,
    )


def test_a_plan_is_read_as_it_was_saved(tmp_path: Path) -> None:
    assert Plan.find(tmp_path) is None
    plan = Plan.make(LocalSettings(region="eu-central-1", state_dir=tmp_path, faults=True))
    plan.save()
    assert Plan.find(tmp_path) == Plan.load(tmp_path) == plan


@pytest.mark.parametrize(
    ("variable", "held", "takes"),
    [
        ("LOCAL_AWS_PORT", "http", "a port, 1024 to 65535"),
        ("LOCAL_AWS_PORT", "80", "a port, 1024 to 65535"),
        ("LOCAL_INBOX_PORT", "70000", "a port, 1024 to 65535"),
        ("LOCAL_CONSOLE_PORT", "-8080", "a port, 1024 to 65535"),
        ("LOCAL_CONSOLE_PORT", "٨٠٨٠", "a port, 1024 to 65535"),
        ("CDK_DEFAULT_ACCOUNT", "1234", "12 digits"),
        ("LOCAL_FAULTS", "some", "true or false"),
        ("CDK_DEFAULT_REGION", "Frankfurt", "us-east-1"),
        ("ENVIRONMENT_SUFFIX", "Prod Env", "1 to 20"),
    ],
)
def test_a_wrong_value_is_answered_with_one_line_that_tells_all(
    variable: str, held: str, takes: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        LocalSettings.read({variable: held})
    message = str(raised.value)
    assert "\n" not in message
    assert variable in message
    assert held in message
    assert takes in message


def test_two_programs_cannot_share_a_port() -> None:
    with pytest.raises(ConfigError, match=r"LOCAL_INBOX_PORT is 4566.*LOCAL_AWS_PORT"):
        LocalSettings.read({"LOCAL_INBOX_PORT": "4566"})


def test_differences_name_variables_and_both_values() -> None:
    there, here = LocalSettings(), LocalSettings(account="123456789012")
    assert here.differences(there) == ["CDK_DEFAULT_ACCOUNT: 000000000000 -> 123456789012"]
    assert here.differences(here) == []


def test_ports_of_one_stack_are_different(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seven = free_ports(7)
    monkeypatch.setattr(loopback, "CHOICE", range(min(seven), min(seven) + 30))
    for _ in range(50):
        plan = Plan.make(LocalSettings.on_free_ports(tmp_path, faults=True))
        chosen = [plan.smtp_port, plan.ses_port, plan.cost_port, plan.faults_port]
        assert len({*chosen, *plan.settings.ports.values()}) == 7


def test_no_connection_is_given_a_chosen_port() -> None:
    kernel = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(kernel.read_text().split()[0]) if kernel.exists() else 49_152
    assert max(free_ports(20)) < lowest


def test_too_few_ports_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "CHOICE", range(20_000, 20_002))
    with pytest.raises(OSError, match="fewer than 3 ports are free"):
        free_ports(3)


def test_a_program_that_speaks_another_protocol_does_not_answer() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"421 You talk too soon\r\n")

        greeting = Thread(target=greet)
        greeting.start()
        assert not answers(f"http://{LOOPBACK}:{server.getsockname()[1]}/")
        greeting.join()
