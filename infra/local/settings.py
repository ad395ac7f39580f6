"""What the local stack is told by environment variables, read once.

The names are the ones that the deployed app reads too, plus the laptop's ports and its folder.
"""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TypedDict

from infra.config import LOCAL_ACCOUNT, LOCAL_REGION, Config
from infra.setting import ConfigError

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
LOWEST_PORT, HIGHEST_PORT = 1024, 65535

VARIABLES = {
    "environment_suffix": "ENVIRONMENT_SUFFIX",
    "account": "CDK_DEFAULT_ACCOUNT",
    "region": "CDK_DEFAULT_REGION",
    "aws_port": "LOCAL_AWS_PORT",
    "inbox_port": "LOCAL_INBOX_PORT",
    "console_port": "LOCAL_CONSOLE_PORT",
    "state_dir": "LOCAL_STATE_DIR",
    "faults": "LOCAL_FAULTS",
}
"""Field of `Settings` to the environment variable that sets it."""


class SettingsError(ValueError):
    """A variable holds what it cannot take. The message names it, what it held and what it takes."""


class ClientSettings(TypedDict):
    """Keyword arguments that make any boto3 client one of the local stack's."""

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One local stack: what it deploys, where it listens (loopback only), where it keeps its files."""

    environment_suffix: str = "dev"
    account: str = LOCAL_ACCOUNT
    region: str = LOCAL_REGION
    aws_port: int = 4566
    inbox_port: int = 1080
    console_port: int = 8080
    state_dir: Path = ROOT / ".local" / "stack"
    faults: bool = False
    """Whether the Lambdas reach DynamoDB, Step Functions and SQS through a proxy that takes faults."""

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The settings that `environ` holds; an absent or empty variable means its default.

        Raises:
            SettingsError: for the first variable whose value cannot be taken, the app's own included.
        """
        try:
            config = Config.from_environment(environ, local=True)
        except ConfigError as error:
            raise SettingsError(str(error)) from error
        folder = environ.get("LOCAL_STATE_DIR", "").strip()
        settings = cls(
            environment_suffix=config.env,
            account=config.account,
            region=config.region,
            aws_port=_port(environ, "LOCAL_AWS_PORT", cls.aws_port),
            inbox_port=_port(environ, "LOCAL_INBOX_PORT", cls.inbox_port),
            console_port=_port(environ, "LOCAL_CONSOLE_PORT", cls.console_port),
            state_dir=Path(folder).absolute() if folder else cls.state_dir,
            faults=_switch(environ, "LOCAL_FAULTS"),
        )
        seen: dict[int, str] = {}
        for field, port in settings.ports().items():
            if port in seen:
                raise SettingsError(
                    f"{VARIABLES[field]} is {port}, which {VARIABLES[seen[port]]} has already:"
                    " it takes a port of its own"
                )
            seen[port] = field
        return settings

    def ports(self) -> dict[str, int]:
        """The three ports that a person or a client uses, by field name."""
        return {
            "aws_port": self.aws_port,
            "inbox_port": self.inbox_port,
            "console_port": self.console_port,
        }

    @property
    def aws_url(self) -> str:
        """The AWS API, for `AWS_ENDPOINT_URL`."""
        return f"http://{LOOPBACK}:{self.aws_port}"

    @property
    def inbox_url(self) -> str:
        """MailDev's page; its REST API is `/api/email` below it."""
        return f"http://{LOOPBACK}:{self.inbox_port}"

    @property
    def console_url(self) -> str:
        """StackPort's page."""
        return f"http://{LOOPBACK}:{self.console_port}"

    @property
    def client(self) -> ClientSettings:
        """For boto3: `boto3.client("sns", **settings.client)`."""
        return {
            "endpoint_url": self.aws_url,
            "region_name": self.region,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    def to_json(self) -> dict[str, str | int]:
        """Plain values, for the stack's own file."""
        return asdict(self) | {"state_dir": str(self.state_dir)}

    @classmethod
    def from_json(cls, value: Mapping[str, str | int]) -> Self:
        """What `to_json` made."""
        plain: dict[str, str | int | Path] = dict(value)
        return cls(**plain | {"state_dir": Path(str(value["state_dir"]))})  # type: ignore[arg-type]

    def differences(self, other: Self) -> list[str]:
        """`VARIABLE: there -> here` for each setting in which `other` (there) differs."""
        return [
            f"{name}: {getattr(other, field)} -> {getattr(self, field)}"
            for field, name in VARIABLES.items()
            if getattr(self, field) != getattr(other, field)
        ]


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on at this moment, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def is_taken(port: int) -> bool:
    """Whether another program listens on this loopback port."""
    with socket.socket() as probe:
        # As servers do it: connections of a stack that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def _switch(environ: Mapping[str, str], variable: str) -> bool:
    held = environ.get(variable, "").strip()
    if held.lower() not in {"", "true", "false"}:
        raise SettingsError(f'{variable} is "{held}": it takes true or false')
    return held.lower() == "true"


def _port(environ: Mapping[str, str], variable: str, default: int) -> int:
    held = environ.get(variable, "").strip()
    if not held:
        return default
    if not (re.fullmatch("[0-9]{4,5}", held) and LOWEST_PORT <= int(held) <= HIGHEST_PORT):
        raise SettingsError(
            f'{variable} is "{held}": it takes a port, {LOWEST_PORT} to {HIGHEST_PORT}'
        )
    return int(held)
