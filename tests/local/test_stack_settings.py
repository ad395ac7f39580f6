"""What the local stack is told by environment variables."""

from pathlib import Path

import pytest

from infra.local.loopback import free_ports
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


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(5))) == 5
