"""Single programs of the local stack for tests, on free ports, and clients that try once."""

from __future__ import annotations

import io
import zipfile
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from infra.local.loopback import answers
from infra.local.programs import Plan, Program, programs
from infra.local.running_stack import until
from infra.local.settings import LocalSettings
from infra.local.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACCOUNT = "123456789012"
REGION = "us-east-1"
# One attempt: what a call is answered is what a test wants to see.
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=30)


PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 10}, read_timeout=30)
"""For what SES answers once a second."""


def client(service: Any, endpoint: str, config: Config = ONCE, /, **credentials: str) -> Any:
    """Return a boto3 client of root, or of the given credentials, that tries once unless told otherwise."""
    keys: Any = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} | credentials
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, config=config, **keys)


def lambda_asset(source: str, bootstrap: str) -> bytes:
    """Zip a Lambda function: `source` as the module `code`, and what starts it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("code.py", source)
        executable = zipfile.ZipInfo("bootstrap")
        executable.external_attr = 0o755 << 16
        content.writestr(executable, bootstrap)
    return archive.getvalue()


def create_function(plan: Plan, name: str, source: str, *, bootstrap: str = "", **more: Any) -> str:
    """Create a Lambda function without permissions, and return its ARN; `more` is for CreateFunction.

    It starts as the deployed ones do, unless it has a `bootstrap` of its own.
    """
    iam, functions = (client(service, plan.settings.aws_url) for service in ("iam", "lambda"))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    bootstrap = bootstrap or (plan.lambda_dir / "bootstrap").read_text()
    function = functions.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler="code.handler",
        Role=role,
        Code={"ZipFile": lambda_asset(source, bootstrap)},
        **more,
    )
    return str(function["FunctionArn"])


@contextmanager
def started(
    folder: Path, *makers: Callable[[Plan], Program], faults: bool = False
) -> Iterator[Plan]:
    """Run some of the stack's programs, or all, until the block ends; it starts when they serve."""
    settings = LocalSettings.on_free_ports(folder, account=ACCOUNT, region=REGION, faults=faults)
    plan = Plan.make(settings)
    plan.save()
    table = [make(plan) for make in makers] or programs(plan)
    supervisor = Supervisor(table, folder)
    supervisor.start()
    try:
        for program in table:
            if program.ready:
                until(partial(answers, program.ready), what=program.title)
        yield plan
    finally:
        supervisor.stop()
