"""What the local stack is told by environment variables, read once.

The names are the ones that the deployed app reads too, plus the laptop's ports and its folder.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from infra.config import LOCAL_ACCOUNT, LOCAL_REGION, Config
from infra.local.loopback import LOOPBACK, free_ports
from infra.setting import ConfigError

ROOT = Path(__file__).resolve().parents[2]

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
"""Field of `LocalSettings` to the environment variable that sets it."""

PORTS = ("aws_port", "inbox_port", "console_port")
"""The fields that hold the ports which a person or a client uses."""

Port = Annotated[int, Field(ge=1024, le=65535, description="a port, 1024 to 65535")]


class ClientSettings(TypedDict):
    """Keyword arguments that make any boto3 client one of the local stack's."""

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


class LocalSettings(BaseModel):
    """One local stack: what it deploys, where it listens (loopback only), where it keeps its files.

    A field's description says what its variable takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment_suffix: str = "dev"
    account: str = LOCAL_ACCOUNT
    region: str = LOCAL_REGION
    aws_port: Port = 4566
    inbox_port: Port = 1080
    console_port: Port = 8080
    state_dir: Annotated[Path, AfterValidator(Path.absolute)] = ROOT / ".local" / "stack"
    faults: bool = Field(default=False, description="true or false")
    """Whether the Lambdas reach DynamoDB, Step Functions, SQS and SNS through a proxy that takes faults."""

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings from `environ`; an absent or empty variable means its default.

        Raises:
            ConfigError: for the first variable whose value cannot be taken, the app's own included.
        """
        config = Config.from_environment(environ, local=True)
        texts = {field: environ.get(name, "").strip() for field, name in VARIABLES.items()}
        texts |= {"environment_suffix": config.env, "account": config.account}
        texts |= {"region": config.region}
        try:
            settings = cls.model_validate({field: text for field, text in texts.items() if text})
        except ValidationError as error:
            field = str(error.errors()[0]["loc"][0])
            takes = cls.model_fields[field].description
            message = f'{VARIABLES[field]} is "{texts[field]}": it takes {takes}'
            raise ConfigError(message) from None
        settings._refuse_a_port_twice()
        return settings

    def _refuse_a_port_twice(self) -> None:
        fields: dict[int, str] = {}
        for field, port in self.ports.items():
            if (other := fields.setdefault(port, field)) != field:
                raise ConfigError(
                    f"{VARIABLES[field]} is {port}, which {VARIABLES[other]} has already:"
                    " it takes a port of its own"
                )

    @classmethod
    def on_free_ports(cls, state_dir: Path, **fields: Any) -> Self:
        """Return settings for a stack beside others: in a folder and on ports of its own."""
        return cls(state_dir=state_dir, **dict(zip(PORTS, free_ports(3), strict=True)), **fields)

    @property
    def ports(self) -> dict[str, int]:
        """The ports that a person or a client uses, by field name."""
        return {field: getattr(self, field) for field in PORTS}

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

    @property
    def client_env(self) -> dict[str, str]:
        """For the CLI, and for programs that make clients of their own: the same as environment."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def differences(self, other: Self) -> list[str]:
        """Return `VARIABLE: there -> here` for each setting in which `other` (there) differs."""
        return [
            f"{name}: {getattr(other, field)} -> {getattr(self, field)}"
            for field, name in VARIABLES.items()
            if getattr(self, field) != getattr(other, field)
        ]
