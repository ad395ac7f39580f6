"""The programs of which the local stack consists. Adding one is adding an entry to `programs`."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from infra.local.loopback import LOOPBACK, free_ports
from infra.local.processes import owner_alone
from infra.local.settings import ROOT, LocalSettings

EMULATOR = ROOT / ".local" / "emulator" / "bin"
LAMBDA_IMAGE = ROOT / ".local" / "lambda-image" / "bin"
TOOLS = ROOT / ".venv" / "bin"
PYTHON, EMULATOR_PYTHON = str(TOOLS / "python"), str(EMULATOR / "python")
NODE_MODULES = ROOT / "infra" / "node_modules"
SKEWED_CLOCK = ROOT / "infra" / "local" / "skewed_clock"
GATE = ROOT / "infra" / "local" / "gate.mjs"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program that the supervisor keeps running."""

    name: str
    title: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    """What it gets beside the stack's plain environment."""
    ready: str = ""
    """A URL that is answered as soon as the program serves; empty for one that serves nobody."""
    loss: str = ""
    """What is lost when it dies. If anything is, it is not restarted: that would hide the loss."""


class Plan(BaseModel):
    """A stack's settings and the ports that were chosen for it: the content of `stack.json`."""

    model_config = ConfigDict(frozen=True)

    settings: LocalSettings
    smtp_port: int
    """The inbox's SMTP server."""
    ses_port: int
    """The laptop's SES, as the Lambdas and the emulator reach it."""
    cost_port: int
    """The laptop's Cost Explorer, likewise."""
    faults_port: int = 0
    """The fault proxy, as the Lambdas reach DynamoDB, Step Functions, SQS and SNS; 0 where there is none."""

    @classmethod
    def make(cls, settings: LocalSettings) -> Self:
        """Return a new plan, on ports that are free now."""
        smtp_port, ses_port, cost_port, faults_port = free_ports(4, besides=settings.ports.values())
        return cls(
            settings=settings,
            smtp_port=smtp_port,
            ses_port=ses_port,
            cost_port=cost_port,
            faults_port=faults_port if settings.faults else 0,
        )

    @classmethod
    def load(cls, state_dir: Path) -> Self:
        """Read the plan of the stack that has this folder, whether or not it still runs."""
        return cls.model_validate_json((state_dir / "stack.json").read_text())

    @classmethod
    def find(cls, state_dir: Path) -> Self | None:
        """Read the plan where there is one."""
        with suppress(FileNotFoundError):
            return cls.load(state_dir)
        return None

    def save(self) -> None:
        """Lay out the stack's folder: the plan, and what the programs find there."""
        folder = self.settings.state_dir
        folder.parent.mkdir(parents=True, exist_ok=True)
        with owner_alone():
            for name in ("logs", "mails", "lambda", "home", "tmp", "aws", "console"):
                (folder / name).mkdir(parents=True)
            (folder / "stack.json").write_text(self.model_dump_json(indent=2))
            script = self.lambda_dir / "bootstrap"
            script.write_text(bootstrap(self))
        script.chmod(0o700)

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


def programs(plan: Plan) -> tuple[Program, ...]:
    """Return all programs of the stack, in the order in which they are started."""
    return (
        aws(plan),
        inbox(plan),
        _console(plan),
        ses(plan),
        _metrics(plan),
        _cost_explorer(plan),
        *((faults(plan),) if plan.faults_port else ()),
    )


def aws(plan: Plan) -> Program:
    """Return the emulator, with IAM enforced."""
    settings = plan.settings
    folder = settings.state_dir / "aws"
    return Program(
        name="aws",
        title="AWS API (MiniStack)",
        argv=(EMULATOR_PYTHON, "-m", "infra.local.emulator"),
        env={
            "AUTH": "true",
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(settings.aws_port),
            "MINISTACK_ACCOUNT_ID": settings.account,
            "MINISTACK_REGION": settings.region,
            # Queue URLs name it; `localhost` may mean ::1, where nobody listens.
            "MINISTACK_HOST": LOOPBACK,
            "IOT_MTLS_ENABLED": "0",
            # Without it, functions of a provided runtime would call the real AWS.
            "AWS_ENDPOINT_URL": settings.aws_url,
            "LAPTOP_SES": f"{LOOPBACK}:{plan.ses_port}",
            "STATE_DIR": str(folder),
            "S3_DATA_DIR": str(folder / "s3"),
        },
        ready=f"{settings.aws_url}/_ministack/health",
        loss="everything that was deployed, sent and recorded lived in its memory",
    )


def inbox(plan: Plan) -> Program:
    """Return the SMTP server with the page that shows what it got."""
    settings = plan.settings
    return Program(
        name="inbox",
        title="inbox (MailDev)",
        argv=(
            *(str(TOOLS / "node"), "--import", GATE.as_uri()),
            str(NODE_MODULES / "maildev" / "dist" / "bin" / "maildev.js"),
            *("--ip", LOOPBACK, "--smtp", str(plan.smtp_port)),
            *("--web-ip", LOOPBACK, "--web", str(settings.inbox_port)),
            *("--mail-directory", str(settings.state_dir / "mails")),
        ),
        ready=f"{settings.inbox_url}/api/email",
    )


def _console(plan: Plan) -> Program:
    settings = plan.settings
    return Program(
        name="console",
        title="console (StackPort)",
        argv=(EMULATOR_PYTHON, "-m", "infra.local.console", str(settings.console_port)),
        env=settings.client_env
        | {
            "STACKPORT_DATA_DIR": str(settings.state_dir / "console"),
            "STACKPORT_LEARN": "false",
            "STACKPORT_SERVICES": (
                "stepfunctions,sns,sqs,lambda,dynamodb,ses,logs,monitoring,cloudformation,iam,kms,s3"
            ),
            "LOG_LEVEL": "WARNING",
        },
        ready=f"{settings.console_url}/",
    )


def ses(plan: Plan) -> Program:
    """Return the laptop's SES, which answers for SES v2."""
    settings = plan.settings
    return Program(
        name="ses",
        title="laptop's SES",
        argv=(
            *(PYTHON, "-m", "infra.local.ses", "--port", str(plan.ses_port)),
            *("--aws-endpoint", settings.aws_url, "--smtp", f"{LOOPBACK}:{plan.smtp_port}"),
            *("--account", settings.account, "--region", settings.region),
        ),
        ready=f"{plan.ses_url}/",
        loss="its suppression list, counters and faults lived in its memory",
    )


def _metrics(plan: Plan) -> Program:
    return Program(
        name="metrics",
        title="CloudWatch metrics",
        argv=(PYTHON, "-m", "infra.local.metrics", str(plan.settings.state_dir)),
    )


def _cost_explorer(plan: Plan) -> Program:
    return Program(
        name="costs",
        title="Cost Explorer (moto)",
        argv=(PYTHON, "-m", "infra.local.cost_explorer", str(plan.settings.state_dir)),
        ready=f"{plan.cost_url}/moto-api/",
    )


def faults(plan: Plan) -> Program:
    """Return the proxy in front of DynamoDB, Step Functions, SQS and SNS that fails on demand."""
    return Program(
        name="faults",
        title="fault proxy (microburst)",
        argv=(
            *(EMULATOR_PYTHON, "-m", "infra.local.fault_proxy"),
            *("--upstream", plan.settings.aws_url),
            *("--host", LOOPBACK, "--port", str(plan.faults_port)),
        ),
        ready=f"{plan.faults_url}/_microburst/health",
        loss="its rules lived in its memory",
    )


def bootstrap(plan: Plan) -> str:
    """Write the `bootstrap` of the Lambda asset: AWS's own runtime client, on AWS's image's packages.

    Where the stack takes faults, clocks do, too: see `skewed_clock/sitecustomize.py`.

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
        services = ("DYNAMODB", "SFN", "SQS", "SNS")
        lines += [f"export AWS_ENDPOINT_URL_{name}={plan.faults_url}" for name in services]
        lines.append(f'export PYTHONPATH="$PYTHONPATH:{SKEWED_CLOCK}"')
    lines.append(f'exec "{LAMBDA_IMAGE / "python"}" -m awslambdaric "$_HANDLER"')
    return "\n".join([*lines, ""])


def plain_env(folder: Path) -> dict[str, str]:
    """Return what each program gets: nothing of the person's own settings, home or temporary folder.

    MiniStack hands its environment on to the Lambda workers, so less here is more there.
    """
    return {
        "PATH": os.pathsep.join([str(TOOLS), os.environ.get("PATH", os.defpath)]),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
    }
