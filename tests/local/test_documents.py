"""What the documents tell people to type works: each command runs in a copy of the code, on the local stack."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.running_stack import until
from infra.local.settings import VARIABLES
from tests.conftest import FOR_TESTS, load_event
from tests.support.documents import DOCUMENTS, blocks, code, prose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.running_stack import RunningStack

ROOT = Path(__file__).parents[2]

RUN_BY_OTHERS = {
    r"make test": "the test that you are reading is one of its own",
    r"make lint": "make test begins with its first half; the types are tests/unit/test_types.py",
    r"(.*/)?python -m pytest .*": "make test runs all of them",
    r"make (up|down|status)|LOCAL_AWS_PORT=\S+ make up": "tests/local/test_stack_lifecycle.py",
    r"export LOCAL_STATE_DIR=.*": "tests/local/test_stack_lifecycle.py",
    r"make down && make up": "tests/local/test_stack_lifecycle.py",
    r"BRAND_NAME=Acme make up": "tests/infra/test_brand_settings.py",
    r"make chaos.*|LOCAL_FAULTS=true make up|faults=.*": "tests/local/test_chaos.py",
    r"make simulation.*": "tests/unit/test_simulation.py",
    r"make bench|python -m tests\.bench( --part .*)?": "tests/local/test_bench.py",
    r"(.*/)?python -m tests\.fuzz.*": "tests/unit/test_hostile_events.py",
    r"make preview.*": "tests/browser/test_preview.py",
    r"make send-test .*": "tests/unit/test_send_test.py",
    r"make \.local/browser\.done": "tests/browser/test_chromium.py",
    r"python -m tests\.browser\.workflow_picture": "tests/browser/test_console.py",
    r".*order-mail doctor .*": "tests/local/test_operator_doctor.py",
    r"python -m tests\.support\.protocol_deaths": "tests/unit/test_documents.py",
    r"python -m tests\.support\.documents": "tests/unit/test_documents.py",
    r"python -m statemachines": "tests/workflow/test_asl.py",
    r"python -m tests\.infra\.judges": "tests/infra/test_judges.py",
}
"""Commands (as regular expressions, from the first line of a block) and the test that runs them."""

NOT_RUN = {
    r"make setup": "has been run: without it there is no test",
    r".*make (deploy|destroy)": "deploys to an account on AWS; the stack deploys the same app",
    r".*cdk (bootstrap|deploy|import|destroy).*": "likewise",
    r"key=\$\(aws dynamodb describe-table .*": "deletes the table and the key that production keeps",
    r"make lock.*": "asks the registries, and the next command would install what is new there",
    r"python -m tests\.bench\.power_tuning": "measures what tests.bench.cold does, which is run",
    r"make costs COUNT=100": "sends a hundred orders to write down what they used",
    r"CANARY_MINUTES=60 make up": "starts the same stack, with one function more",
    r"pre-commit install": "changes the repository's hooks",
    r"make mutants.*": "takes minutes on a quiet machine; tests/unit/test_mutants.py tests the tool",
    r"python -m tests\.browser\.contact_sheet": "draws all mails; the browser tests look at each of them",
    r"aws sqs start-message-move-task .*": "MiniStack does not move messages",
}
"""Commands that no test runs, and why. Those of AWS's CLI are checked against its model all the same."""


def is_listed(command: str) -> bool:
    first = " ".join(command.replace("\\\n", " ").splitlines()[0].split())
    return any(re.fullmatch(pattern, first) for pattern in (*RUN_BY_OTHERS, *NOT_RUN))


def commands(document: Path) -> list[str]:
    """Return the commands in a document's prose and tables that are in no document's block."""
    command = r"(?:[A-Z_]+=\S+ )*(?:make|python|aws|curl|cdk|pre-commit) .+"
    typed = {line for d in DOCUMENTS for block in blocks(d, "sh") for line in block.splitlines()}
    return [c for c in code(prose(document)) if re.fullmatch(command, c) and c not in typed]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with what `make setup` made, for commands that write."""
    folder = tmp_path_factory.mktemp("documents") / "checkout"
    ignored = shutil.ignore_patterns(".*", "node_modules", "__pycache__", "cdk.out")
    shutil.copytree(ROOT, folder, ignore=ignored)
    names = ("emulator", "judges", "lambda-image", "chromium")
    for made in (".venv", "infra/node_modules", *(f".local/{name}" for name in names)):
        if (ROOT / made).exists():  # Chromium is unpacked where no browser is installed.
            (folder / made).parent.mkdir(exist_ok=True)
            (folder / made).symlink_to(ROOT / made)
    return folder


@pytest.fixture
def shell(checkout: Path, stack: RunningStack, tmp_path: Path) -> Iterator[Shell]:
    yield Shell(checkout, stack, tmp_path)
    stack.ses("settings", FOR_TESTS)  # One of the commands resets the laptop's SES.


class Shell:
    """Runs what a reader types, on the running stack."""

    def __init__(self, checkout: Path, stack: RunningStack, folder: Path) -> None:
        self.checkout = checkout
        self.stack = stack
        aws = folder / "aws"
        aws.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.support.aws_cli "$@"\n')
        aws.chmod(0o755)
        fields = stack.settings.model_dump()
        self.environment = {
            **os.environ,
            **{variable: str(fields[name]) for name, variable in VARIABLES.items()},
            **stack.settings.client_env,
            "PATH": os.pathsep.join([str(folder), str(ROOT / ".venv/bin"), os.environ["PATH"]]),
            "PYTHONPATH": str(checkout),
        }

    def run(self, *program: str) -> str:
        """Run a program with the stack's names and ports in place of the documents'; return what it prints."""
        done = subprocess.run(
            [*program[:-1], self.for_the_stack(program[-1])],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def for_the_stack(self, text: str) -> str:
        settings = self.stack.settings
        env = settings.environment_suffix
        for written, meant in {
            "http://127.0.0.1:4566": settings.aws_url,
            "http://127.0.0.1:5000": self.stack.plan.ses_url,
            "ENVIRONMENT_SUFFIX=prod": f"ENVIRONMENT_SUFFIX={env}",
            "email-order-events-dev": f"email-order-events-{env}",
            "email-delivery-tracking-dev": f"email-delivery-tracking-{env}",
        }.items():
            text = text.replace(written, meant)
        return text


def bash(script: str) -> tuple[str, ...]:
    return ("bash", "-ex", "-o", "pipefail", "-c", script)


def test_the_readme_from_the_demo_to_the_answer(shell: Shell) -> None:
    demo, _test, _export, find = blocks(Path("README.md"), "sh")
    (publish,) = blocks(Path("README.md"), "python")
    (ask,) = [block for block in blocks(Path("steps/README.md"), "python") if "query" in block]
    printed = shell.run(*bash(demo))
    assert "8 of 8 orders ended as they should" in printed
    # SES's own event may be quicker than the record step; then it is the first that is told.
    assert len(re.findall("^  told    (?:SENT → )?DELIVERED$", printed, re.M)) == 7
    assert "  told    SENT → BOUNCED (Permanent/General)\n" in printed
    assert "  told    REJECTED (InvalidEvent: customerEmail, customerName, orderItems[0]" in printed
    shell.run(sys.executable, "-c", publish)
    shell.stack.wait_for_status("ORDER123456", "SENT", "DELIVERED", seconds=30)
    assert "order ORDER123456" in shell.run(*bash(find))
    answer = shell.run(sys.executable, "-c", ask).split()
    assert answer[0] in ("SENT", "DELIVERED")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer[1])
    assert answer[2] == "customer@example.com"


def put_letters(stack: RunningStack) -> None:
    """Publish the order that the operator's commands ask for, and put letters where they look for some."""
    stack.publish(json.dumps(load_event("order") | {"orderId": "ORDER123456"}))
    order = json.dumps(load_event("order") | {"orderId": f"LETTER-{secrets.token_hex(3)}"})
    event = json.dumps(load_event("ses/delivery"))  # of a mail of somebody else's
    for queue, body in {
        "email-order-dlq": order,
        "email-internal-dlq": event,
    }.items():
        stack.sqs.send_message(QueueUrl=stack.queue_url(queue), MessageBody=body)


def test_the_operators_commands(shell: Shell) -> None:
    stack = shell.stack
    put_letters(stack)
    until(lambda: stack.records("ORDER123456"), what="the order's record")
    script = []
    for block in blocks(Path("infra/operator/README.md"), "sh"):
        check = (
            "export AWS_CLI_CHECK_ONLY=1\n" if is_listed(block) else "unset AWS_CLI_CHECK_ONLY\n"
        )
        script += [check, block]
    shell.run(*bash("".join(script)))
    assert stack.waiting("email-internal-dlq") == 0
    stack.sqs.purge_queue(QueueUrl=stack.queue_url("email-order-dlq"))
    assert stack.ses("settings")["paused"] is False


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(block, id=f"{document}: {block.splitlines()[0]}")
        for document in DOCUMENTS
        if str(document) not in ("README.md", "infra/operator/README.md")
        for block in blocks(document, "sh")
        if not is_listed(block)
    ],
)
def test_a_block(script: str, shell: Shell) -> None:
    shell.run(*bash(script))


@pytest.mark.parametrize(
    "command", sorted({c for d in DOCUMENTS for c in commands(d) if not is_listed(c)})
)
def test_a_command_in_a_sentence(command: str, shell: Shell) -> None:
    shell.run(*bash(command))


def test_what_is_not_run_here_is_in_a_document_and_those_who_run_it_exist() -> None:
    listed = [c for d in DOCUMENTS for c in (*commands(d), *blocks(d, "sh")) if is_listed(c)]
    for pattern, who in (RUN_BY_OTHERS | NOT_RUN).items():
        firsts = [" ".join(c.replace("\\\n", " ").splitlines()[0].split()) for c in listed]
        assert any(re.fullmatch(pattern, first) for first in firsts), pattern
        assert not who.startswith("tests/") or (ROOT / who).exists()
