"""The programs of which the local stack consists. Adding one is adding an entry to `children`."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.local.processes import MARK, mark
from infra.local.settings import LOOPBACK, ROOT, Settings, free_ports

EMULATOR = ROOT / ".local" / "emulator" / "bin"
LAMBDA_IMAGE = ROOT / ".local" / "lambda-image" / "bin"
TOOLS = ROOT / ".venv" / "bin"
NODE_MODULES = ROOT / "infra" / "node_modules"


@dataclass(frozen=True, kw_only=True)
class Child:
    """One program that the supervisor keeps running."""

    name: str
    title: str
    argv: tuple[str, ...]
    env: dict[str, str]
    ready: str
    """A URL that answers 200 as soon as the program serves; empty for one that serves nobody."""
    loss: str = ""
    """What is lost when it dies. If anything is, it is not restarted: that would hide the loss."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A stack's settings and the ports that were chosen for it: the content of `stack.json`."""

    settings: Settings
    smtp_port: int
    """The inbox's SMTP server."""
    ses_port: int
    """The laptop's SES, as the Lambdas reach it."""
    cost_port: int
    """The laptop's Cost Explorer, likewise."""
    faults_port: int = 0
    """The fault proxy, as the Lambdas reach DynamoDB, Step Functions and SQS; 0 where there is none."""

    @classmethod
    def make(cls, settings: Settings) -> Self:
        """A new plan, on ports that are free now."""
        smtp_port, ses_port, cost_port, faults_port = free_ports(4)
        return cls(
            settings=settings,
            smtp_port=smtp_port,
            ses_port=ses_port,
            cost_port=cost_port,
            faults_port=faults_port if settings.faults else 0,
        )

    @classmethod
    def load(cls, state_dir: Path) -> Self:
        """The plan of the stack that has this folder."""
        value = json.loads((state_dir / "stack.json").read_text())
        return cls(**value | {"settings": Settings.from_json(value["settings"])})

    def save(self) -> None:
        """Writes it into the stack's folder."""
        value = vars(self) | {"settings": self.settings.to_json()}
        (self.settings.state_dir / "stack.json").write_text(json.dumps(value, indent=2))

    @property
    def ses_url(self) -> str:
        """The laptop's SES."""
        return f"http://{LOOPBACK}:{self.ses_port}"

    @property
    def cost_url(self) -> str:
        """The laptop's Cost Explorer."""
        return f"http://{LOOPBACK}:{self.cost_port}"

    @property
    def faults_url(self) -> str:
        """The fault proxy; its control API is `/_microburst/rules` below it."""
        return f"http://{LOOPBACK}:{self.faults_port}"

    @property
    def lambda_dir(self) -> Path:
        """Holds `bootstrap`, which the app adds to the Lambda asset when it deploys to the laptop."""
        return self.settings.state_dir / "lambda"


def children(plan: Plan) -> tuple[Child, ...]:
    """All programs of the stack, in the order in which they are started."""
    settings = plan.settings
    folder = settings.state_dir
    aws = {
        "AWS_ENDPOINT_URL": settings.aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def env(name: str, **more: str) -> dict[str, str]:
        return plain_env(folder, name) | more

    faults = Child(
        name="faults",
        title="fault proxy (microburst)",
        argv=(
            *(str(EMULATOR / "python"), "-P", str(ROOT / "infra" / "local" / "fault_proxy.py")),
            *("--upstream", settings.aws_url, "--host", LOOPBACK, "--port", str(plan.faults_port)),
        ),
        env=env("faults"),
        ready=f"{plan.faults_url}/_microburst/health",
        loss="its rules lived in its memory",
    )
    return (
        Child(
            name="aws",
            title="AWS API (MiniStack)",
            argv=(str(EMULATOR / "python"), "-P", str(ROOT / "infra" / "local" / "emulator.py")),
            env=env(
                "aws",
                AUTH="true",
                BIND_HOST=LOOPBACK,
                GATEWAY_PORT=str(settings.aws_port),
                MINISTACK_ACCOUNT_ID=settings.account,
                MINISTACK_REGION=settings.region,
                # Queue URLs name it; `localhost` may mean ::1, where nobody listens.
                MINISTACK_HOST=LOOPBACK,
                IOT_MTLS_ENABLED="0",
                # Without it, functions of a provided runtime would call the real AWS.
                AWS_ENDPOINT_URL=settings.aws_url,
                STATE_DIR=str(folder / "aws"),
                S3_DATA_DIR=str(folder / "aws" / "s3"),
            ),
            ready=f"{settings.aws_url}/_ministack/health",
            loss="everything that was deployed, sent and recorded lived in its memory",
        ),
        Child(
            name="inbox",
            title="inbox (MailDev)",
            argv=(
                str(TOOLS / "node"),
                str(NODE_MODULES / "maildev" / "dist" / "bin" / "maildev.js"),
                *("--ip", LOOPBACK, "--smtp", str(plan.smtp_port)),
                *("--web-ip", LOOPBACK, "--web", str(settings.inbox_port)),
                *("--mail-directory", str(folder / "mails")),
            ),
            env=env("inbox"),
            ready=f"{settings.inbox_url}/api/email",
        ),
        Child(
            name="console",
            title="console (StackPort)",
            argv=(
                *(str(EMULATOR / "python"), "-P", "-m", "uvicorn", "backend.main:app"),
                *("--host", LOOPBACK, "--port", str(settings.console_port)),
                *("--log-level", "warning"),
            ),
            env=env(
                "console",
                **aws,
                STACKPORT_DATA_DIR=str(folder / "console"),
                STACKPORT_LEARN="false",
                STACKPORT_SERVICES=(
                    "stepfunctions,sns,sqs,lambda,dynamodb,ses,logs,monitoring,cloudformation,iam,kms,s3"
                ),
                LOG_LEVEL="WARNING",
            ),
            ready=f"{settings.console_url}/",
        ),
        Child(
            name="ses",
            title="laptop's SES",
            argv=(
                *(str(TOOLS / "python"), "-m", "infra.local.ses", "--port", str(plan.ses_port)),
                *("--aws-endpoint", settings.aws_url, "--smtp", f"{LOOPBACK}:{plan.smtp_port}"),
                *("--account", settings.account, "--region", settings.region),
            ),
            env=env("ses"),
            ready=f"{plan.ses_url}/",
            loss="its suppression list, counters and faults lived in its memory",
        ),
        Child(
            name="metrics",
            title="metrics forwarder",
            argv=(
                *(str(TOOLS / "python"), "-m", "infra.local.metrics"),
                *("--aws-endpoint", settings.aws_url, "--region", settings.region),
            ),
            env=env("metrics"),
            ready="",
        ),
        Child(
            name="watch",
            title="Cost Explorer and service metrics",
            argv=(
                *(str(TOOLS / "python"), "-m", "infra.local.watch", "--port", str(plan.cost_port)),
                *("--aws-endpoint", settings.aws_url, "--region", settings.region),
                *("--environment", settings.environment_suffix),
            ),
            env=env("watch"),
            ready=f"{plan.cost_url}/moto-api/",
        ),
        *((faults,) if plan.faults_port else ()),
    )


def plain_env(folder: Path, name: str) -> dict[str, str]:
    """What each program gets: nothing of the person's own settings, home or temporary folder.

    MiniStack hands its environment on to the Lambda workers, so less here is more there.
    """
    return {
        MARK: mark(folder, name),
        "PATH": os.pathsep.join([str(TOOLS), os.environ.get("PATH", os.defpath)]),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
    }


def bootstrap(plan: Plan) -> str:
    """The `bootstrap` of the Lambda asset: AWS's own runtime client, on AWS's image's packages.

    MiniStack's Python worker loses an exception's class, by which the workflows match errors; AWS's
    runtime client reports it. The variables are those that AWS sets for a Python 3.14 function with
    JSON logs and MiniStack does not.
    """
    lines = [
        "#!/bin/sh",
        'export PYTHONPATH="$LAMBDA_TASK_ROOT" TZ=:UTC LANG=en_US.UTF-8',
        "export AWS_EXECUTION_ENV=AWS_Lambda_python3.14 AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
        "export AWS_LAMBDA_LOG_FORMAT=JSON",
        'export AWS_LAMBDA_LOG_GROUP_NAME="/aws/lambda/$AWS_LAMBDA_FUNCTION_NAME"',
        f"export AWS_ENDPOINT_URL_SESV2={plan.ses_url}",
        f"export AWS_ENDPOINT_URL_COST_EXPLORER={plan.cost_url}",
    ]
    if plan.faults_port:
        services = ("DYNAMODB", "SFN", "SQS")
        lines += [f"export AWS_ENDPOINT_URL_{name}={plan.faults_url}" for name in services]
    lines.append(f'exec "{LAMBDA_IMAGE / "python"}" -m awslambdaric "$_HANDLER"')
    return "\n".join([*lines, ""])
