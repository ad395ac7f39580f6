"""One real stack from start to end. It deploys a ready-made CDK assembly of one queue: no synth.

The tests use the same stack, in the order of this file.
"""

import json
import os
import shutil
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest

from infra.local import deployed, stack
from infra.local.loopback import LOOPBACK, answers, is_taken
from infra.local.processes import mark, marked
from infra.local.programs import Plan, inbox, programs
from infra.local.running_stack import until
from infra.local.settings import ROOT, VARIABLES, LocalSettings
from infra.local.stack import StackError
from infra.local.supervisor import read_status
from tests.local.emulator import lambda_asset


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> LocalSettings:
    folder = tmp_path_factory.mktemp("with space") / "stack"
    return LocalSettings.on_free_ports(folder, account="123456789012", region="eu-west-1")


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory, settings: LocalSettings) -> str:
    folder = tmp_path_factory.mktemp("assembly")
    artifact = {
        "type": "aws:cloudformation:stack",
        "environment": f"aws://{settings.account}/{settings.region}",
        "properties": {"templateFile": "template.json"},
    }
    manifest = {"version": "36.0.0", "artifacts": {"Tiny": artifact}}
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "tiny"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "template.json").write_text(json.dumps({"Resources": {"Queue": queue}}))
    return str(folder)


@pytest.fixture(scope="module")
def plan(settings: LocalSettings, assembly: str) -> Iterator[Plan]:
    with stack.running(settings, app=assembly) as plan:
        yield plan


def command(name: str, settings: LocalSettings) -> subprocess.CompletedProcess[str]:
    """Run `python -m infra.local <name>` as `make` does, for the stack with these settings."""
    fields = settings.model_dump()
    return subprocess.run(
        [sys.executable, "-m", "infra.local", name],
        cwd=ROOT,
        env=os.environ | {variable: str(fields[name]) for name, variable in VARIABLES.items()},
        capture_output=True,
        text=True,
        check=False,
    )


def with_traces_of(state_dir: Path) -> list[psutil.Process]:
    """Find the processes that have anything to do with the folder, without the stack's own mark."""
    processes = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except (psutil.Error, OSError):
            continue
        if any(str(state_dir) in word for word in words):
            processes.append(process)
    return processes


def test_a_taken_port_is_named_and_nothing_is_left_running(tmp_path: Path) -> None:
    settings = LocalSettings.on_free_ports(tmp_path / "stack")
    with socket.create_server(("127.0.0.1", settings.inbox_port)):
        result = command("up", settings)
    assert result.returncode == 1
    assert f"port {settings.inbox_port} is taken" in result.stderr
    assert "LOCAL_INBOX_PORT=" in result.stderr
    assert with_traces_of(settings.state_dir) == []
    assert not settings.state_dir.exists()


def test_a_program_that_ends_at_once_is_reported_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = LocalSettings.on_free_ports(tmp_path / "stack")
    # The port is taken between the check and the start.
    monkeypatch.setattr(stack, "is_taken", lambda _: False)
    with (
        socket.create_server(("127.0.0.1", settings.inbox_port)),
        pytest.raises(StackError, match=r"(?s)inbox.*exit status 1.*EADDRINUSE"),
    ):
        stack.up(settings)
    assert with_traces_of(settings.state_dir) == []
    assert not settings.state_dir.exists()


def test_a_folder_with_other_things_in_it_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    settings = LocalSettings(state_dir=tmp_path)
    for result in (command("up", settings), command("down", settings)):
        assert result.returncode == 1
        assert "LOCAL_STATE_DIR" in result.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_up_deploys_to_the_account_and_region_that_were_asked_for(plan: Plan) -> None:
    sqs = boto3.client("sqs", **plan.settings.client)
    url = sqs.get_queue_url(QueueName="tiny")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    assert arn["QueueArn"] == "arn:aws:sqs:eu-west-1:123456789012:tiny"
    assert stack.problems(plan) == []
    for program in programs(plan):
        assert not program.ready or answers(program.ready)


def test_everything_listens_on_loopback_only(plan: Plan) -> None:
    listening = [
        connection.laddr
        for process in marked(mark(plan.settings.state_dir))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    expected = {*plan.settings.ports.values(), plan.smtp_port, plan.ses_port}
    assert expected <= {address.port for address in listening}


def test_a_second_up_deploys_again_and_says_so(plan: Plan, assembly: str) -> None:
    before = marked(mark(plan.settings.state_dir))
    said: list[str] = []
    assert stack.up(plan.settings, app=assembly, say=said.append) == plan
    assert said[0] == "· the stack runs already: deploying to it again"
    assert any("cdk deploy" in line for line in said)
    assert marked(mark(plan.settings.state_dir)) == before


def test_a_third_up_deploys_nothing_unless_something_has_changed_or_is_gone(
    plan: Plan, assembly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan.settings.state_dir / "cdk.out"
    shutil.copytree(assembly, made, dirs_exist_ok=True)
    monkeypatch.setattr(deployed, "fingerprint", lambda: "the app")
    assert not deployed.is_up_to_date(plan), "another app was deployed"
    deployed.remember(plan, "the app")
    said: list[str] = []
    assert stack.up(plan.settings, say=said.append) == plan
    assert said[0] == "· the stack runs already, and what is deployed to it is up to date"
    assert not any("cdk" in line for line in said)
    formation = boto3.client("cloudformation", **plan.settings.client)
    formation.delete_stack(StackName="Tiny")
    formation.get_waiter("stack_delete_complete").wait(StackName="Tiny")
    assert not deployed.is_up_to_date(plan), "it was taken away"
    stack.up(plan.settings, app=assembly)
    assert not deployed.is_up_to_date(plan), "an app that is not ours leaves no note"


def test_up_with_other_settings_says_what_differs_and_changes_nothing(plan: Plan) -> None:
    settings = plan.settings
    other = settings.model_copy(update={"account": "000000000000"})
    result = command("up", other)
    assert result.returncode == 1
    assert "CDK_DEFAULT_ACCOUNT: 123456789012 -> 000000000000" in result.stderr
    assert "make down" in result.stderr
    assert stack.problems(plan) == []


def test_a_dead_inbox_comes_back_and_its_death_is_told(plan: Plan) -> None:
    settings = plan.settings
    psutil.Process(read_status(settings.state_dir)["inbox"].pid).kill()
    until(lambda: read_status(settings.state_dir)["inbox"].deaths)
    until(lambda: answers(inbox(plan).ready))
    assert stack.problems(plan) == []
    result = command("status", settings)
    assert result.returncode == 0
    assert "inbox (MailDev) was restarted" in result.stdout
    assert "SIGKILL" in result.stdout


def test_a_lambda_runs_on_awss_image_and_the_exceptions_class_arrives(plan: Plan) -> None:
    iam = boto3.client("iam", **plan.settings.client)
    role = iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    source = (
        "class ClaimLost(Exception): pass\n"
        "def handler(event, context):\n"
        "    import importlib.util\n"
        "    packages = [n for n in ('boto3', 'pydantic', 'pytest') if importlib.util.find_spec(n)]\n"
        "    if event: raise ClaimLost(','.join(packages))\n"
    )
    bootstrap = (plan.lambda_dir / "bootstrap").read_text()
    functions = boto3.client("lambda", **plan.settings.client)
    functions.create_function(
        FunctionName="tiny",
        Runtime="provided.al2023",
        Handler="code.handler",
        Role=role,
        Code={"ZipFile": lambda_asset(source, bootstrap)},
    )
    answer = functions.invoke(FunctionName="tiny", Payload=b'{"lost": true}')
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "ClaimLost"
    assert error["errorMessage"] == "boto3"


def test_what_the_stack_writes_is_its_owners_alone(plan: Plan) -> None:
    """Code and what CDK writes may have other modes: the folder keeps others out of these."""
    folder = plan.settings.state_dir
    with smtplib.SMTP(LOOPBACK, plan.smtp_port) as smtp:
        smtp.sendmail("orders@shop.example", "customer@example.com", "Subject: Order\r\n\r\nx")
    until(lambda: list((folder / "mails").glob("*.eml")), what="the mail's file")
    by_cdk = [folder / name for name in ("cdk.out", "home")]
    readable = [
        path
        for path in [folder, *folder.rglob("*")]
        if path.lstat().st_mode & 0o077
        and not path.is_symlink()
        and path.name != "bootstrap"
        and not any(path.is_relative_to(other) for other in by_cdk)
    ]
    assert readable == []


def test_a_dead_aws_is_told_with_the_next_step_and_not_restarted(plan: Plan) -> None:
    settings = plan.settings
    # The test before left a Lambda worker, a child of MiniStack's.
    assert any("awslambdaric" in p.cmdline() for p in marked(mark(settings.state_dir, "aws")))
    psutil.Process(read_status(settings.state_dir)["aws"].pid).kill()
    until(lambda: read_status(settings.state_dir)["aws"].state == "dead")
    assert marked(mark(settings.state_dir, "aws")) == []
    for name in ("status", "up"):
        result = command(name, settings)
        assert result.returncode == 1
        assert "AWS API (MiniStack) is dead" in result.stdout + result.stderr
        assert "make down && make up" in result.stdout + result.stderr


def test_down_leaves_nothing_and_can_be_repeated(plan: Plan) -> None:
    settings = plan.settings
    assert with_traces_of(settings.state_dir) != []
    result = command("down", settings)
    assert result.returncode == 0
    assert with_traces_of(settings.state_dir) == []
    assert not settings.state_dir.exists()
    assert not any(
        is_taken(port) for port in (*settings.ports.values(), plan.smtp_port, plan.ses_port)
    )
    again = command("down", settings)
    assert again.returncode == 0
    assert "no stack runs" in again.stdout
    assert command("status", settings).returncode == 1
