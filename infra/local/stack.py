"""Start, deploy to, examine and end a local stack: for `make up`, `make down` and the tests.

    with running(LocalSettings.read()) as plan:
        RunningStack(plan).publish(...)

The stack's folder (`LOCAL_STATE_DIR`) holds everything it writes: `stack.json` (settings and ports),
`status.json` (which programs run), `logs/`, `mails/`, `lambda/bootstrap`, CDK's output and cache.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3

from infra.config import HOME, Config
from infra.local import deployed
from infra.local.loopback import LOOPBACK, answers, is_taken
from infra.local.processes import MARK, POLL, end, mark, marked, owner_alone
from infra.local.programs import (
    NODE_MODULES,
    TOOLS,
    Plan,
    Program,
    plain_env,
    programs,
)
from infra.local.settings import ROOT, VARIABLES, LocalSettings
from infra.local.supervisor import read_status
from steps.contract.attachments import s3_object

START_TIMEOUT = 60.0
"""Seconds in which a program must serve; on an idle machine the slowest takes two."""

WORTH_SAYING = 1.0
"""Seconds from which on a step's length is told."""

Say = Callable[[str], None]


class StackError(Exception):
    """The stack cannot do what was asked; the message says why and what to do, for a person."""


def up(
    settings: LocalSettings,
    *,
    say: Say = lambda _: None,
    app: str | None = None,
    owner: int | None = None,
) -> Plan:
    """Start the stack unless it runs, and deploy the app to it unless it is there as it is now.

    Args:
        settings: what to start; a running stack must have the same.
        say: takes progress, line by line.
        app: another command for `cdk --app`, in place of the one in `cdk.json`.
        owner: the process with which the stack is to end, however that ends; None where it stays.

    Raises:
        StackError: nothing new is left running then, except after a failed deployment.
    """
    with _alone(settings.state_dir, say):
        plan = _running_plan(settings, say)
        up_to_date = plan is not None and app is None and deployed.is_up_to_date(plan)
        if plan is None:
            plan = _start(settings, say, owner)
        elif up_to_date:
            say("· the stack runs already, and what is deployed to it is up to date")
        else:
            say("· the stack runs already: deploying to it again")
        _prepare(plan, say)
        if not up_to_date:
            _deploy(plan, say, app)
        return plan


def down(settings: LocalSettings, *, say: Say = lambda _: None) -> bool:
    """End every process of the stack and remove its folder; False where there was neither."""
    with _alone(settings.state_dir, say):
        return _down(settings.state_dir)


@contextmanager
def running(
    settings: LocalSettings, *, say: Say = lambda _: None, app: str | None = None
) -> Iterator[Plan]:
    """Run a stack for the length of a `with` block; nothing of it is left afterwards."""
    try:
        yield up(settings, say=say, app=app, owner=os.getpid())
    finally:
        down(settings, say=say)


def problems(plan: Plan) -> list[str]:
    """Say what is wrong with a stack that should run, a sentence each; nothing when it is healthy."""
    folder = plan.settings.state_dir
    if not marked(mark(folder, "supervisor")):
        return ["the supervisor is gone, so nothing restarts what dies"]
    status = read_status(folder)
    sentences = []
    for program in programs(plan):
        entry = status.get(program.name)
        if entry is None:
            sentences.append(f"{program.title} was never started")
        elif entry.state != "running":
            lost = f" and {program.loss}" if program.loss else ""
            sentences.append(
                f"{program.title} is {entry.state}: it ended {entry.last_death}{lost};"
                f" see {_log(plan, program.name)}"
            )
    return sentences


def restarts(plan: Plan) -> list[str]:
    """Say which programs died and were restarted, a sentence each."""
    status = read_status(plan.settings.state_dir)
    return [
        f"{program.title} was restarted after its end {entry.last_death} (deaths: {entry.deaths})"
        for program in programs(plan)
        if (entry := status.get(program.name)) and entry.state == "running" and entry.deaths
    ]


def _running_plan(settings: LocalSettings, say: Say) -> Plan | None:
    """Return the plan of a healthy running stack with these settings; None when there is none to use."""
    folder = settings.state_dir
    alive = marked(mark(folder))
    plan = Plan.find(folder)
    if plan is None or not alive:
        if alive or plan:
            say("· removing the remains of a stack that no longer runs")
        _down(folder)
        return None
    if different := settings.differences(plan.settings):
        raise StackError(
            f"a stack with other settings runs in {folder}: {'; '.join(different)}."
            " Give the same settings again, or run `make down` first, or set LOCAL_STATE_DIR"
            " (and the ports) to run a second one beside it"
        )
    if wrong := problems(plan):
        raise StackError(f"the stack is broken: {'; '.join(wrong)}. Run `make down && make up`")
    return plan


def _start(settings: LocalSettings, say: Say, owner: int | None) -> Plan:
    for field, port in settings.ports.items():
        if is_taken(port):
            name = VARIABLES[field]
            raise StackError(
                f"port {port} is taken by another program; choose another one with {name},"
                f" such as `{name}={port + 1} make up`"
            )
    folder = settings.state_dir
    plan = Plan.make(settings)
    plan.save()
    try:
        with owner_alone(), _log(plan, "supervisor").open("wb") as log:
            subprocess.run(
                (
                    *(sys.executable, "-m", "infra.local.supervisor", str(folder)),
                    *(() if owner is None else (str(owner),)),
                ),
                cwd=ROOT,
                env=plain_env(folder) | {MARK: mark(folder, "supervisor")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )
        for program in programs(plan):
            with _step(f"starting the {program.title}", say):
                _await(plan, program)
    except BaseException:
        _down(folder)
        raise
    return plan


def _await(plan: Plan, program: Program) -> None:
    """Wait until the program serves.

    Raises:
        StackError: it died, or did not answer in time.
    """
    folder = plan.settings.state_dir
    deadline = time.monotonic() + START_TIMEOUT
    while program.ready and not answers(program.ready):
        if not marked(mark(folder, "supervisor")):
            raise StackError(f"the supervisor ended:\n{_tail(_log(plan, 'supervisor'))}")
        entry = read_status(folder).get(program.name)
        tail = _tail(_log(plan, program.name))
        if entry and entry.deaths:
            raise StackError(f"the {program.title} ended at its start, {entry.last_death}:\n{tail}")
        if time.monotonic() > deadline:
            raise StackError(
                f"the {program.title} did not answer within {START_TIMEOUT:g} s:\n{tail}"
            )
        time.sleep(POLL)


def _make_bucket(settings: LocalSettings, name: str) -> None:
    """Make a bucket in the stack's region; us-east-1 is never named (S3 API Reference, CreateBucket)."""
    elsewhere = settings.region != HOME
    where: Any = (
        {"CreateBucketConfiguration": {"LocationConstraint": settings.region}} if elsewhere else {}
    )
    s3 = boto3.client("s3", **settings.client)
    with suppress(
        s3.exceptions.BucketAlreadyOwnedByYou
    ):  # By an earlier `up`; us-east-1 says nothing.
        s3.create_bucket(Bucket=name, **where)


def _prepare(plan: Plan, say: Say) -> None:
    """Make what the app finds on AWS: a verified sender, the shop's bucket."""
    settings, config = plan.settings, Config.from_environment(os.environ, local=True)
    with _step("verifying the sender's domain in SES", say):
        boto3.client("sesv2", **settings.client).create_email_identity(EmailIdentity=config.domain)
    if config.attachments_prefix:
        with _step("making the bucket of the mails' attachments", say):
            _make_bucket(settings, s3_object(config.attachments_prefix).bucket)


def _deploy(plan: Plan, say: Say, app: str | None) -> None:
    folder = plan.settings.state_dir
    settings = plan.settings
    done = folder / "bootstrapped"
    if not done.exists():
        with _step("preparing the account for CDK (cdk bootstrap)", say):
            # From a folder without cdk.json, since bootstrap needs no synth of the app.
            _cdk(plan, folder, "bootstrap", f"aws://{settings.account}/{settings.region}")
        done.touch(mode=0o600)
    deployed.forget(plan)
    of = deployed.fingerprint()
    with _step("deploying the app (cdk deploy --all)", say):
        _cdk(
            plan,
            ROOT,
            *("deploy", "--all", "--require-approval", "never", "--progress", "events"),
            *("--output", str(folder / "cdk.out"), "--context", f"laptop={plan.lambda_dir}"),
            *(("--app", app) if app else ()),
        )
    if app is None:
        deployed.remember(plan, of)


def _cdk(plan: Plan, cwd: Path, command: str, *arguments: str) -> None:
    """Run the real CDK CLI against the stack.

    Raises:
        StackError: it failed; the message ends with its last lines.
    """
    log = _log(plan, f"cdk-{command}")
    log.touch(mode=0o600)
    # CDK has the person's own umask: uv keeps what it unpacks, and AWS refuses files that it cannot read.
    with log.open("wb") as output:
        result = subprocess.run(
            (
                *(str(TOOLS / "node"), str(NODE_MODULES / ".bin" / "cdk"), command, *arguments),
                *("--no-notices", "--no-color", "--ci"),
            ),
            cwd=cwd,
            env=cdk_environ(plan),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if result.returncode:
        raise StackError(
            f"cdk {command} failed:\n{_tail(log)}\n"
            f"All of it is in {log}. The stack still runs: mend the cause and run `make up` again,"
            " or `make down`"
        )


def cdk_environ(plan: Plan) -> dict[str, str]:
    """Return the environment for CDK: the person's own settings, but never their AWS account.

    The CLI keeps which account a key belongs to in its home, so that is the stack's own too.
    """
    settings = plan.settings
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != MARK and not name.startswith(("AWS_", "CDK_"))
    }
    own = {
        "PATH": os.pathsep.join([str(TOOLS), os.environ.get("PATH", os.defpath)]),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CDK_HOME": str(settings.state_dir / "home"),
        "CDK_DEFAULT_ACCOUNT": settings.account,
        "CDK_DEFAULT_REGION": settings.region,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "ENVIRONMENT_SUFFIX": settings.environment_suffix,
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
    }
    return kept | settings.client_env | own


def _down(folder: Path) -> bool:
    if folder.exists() and any(folder.iterdir()) and not (folder / "stack.json").exists():
        raise StackError(
            f"LOCAL_STATE_DIR is {str(folder)!r}, which holds something else than a local stack;"
            " it takes a folder of its own"
        )
    ended = end(mark(folder))
    existed = folder.exists()
    if existed:
        shutil.rmtree(folder)
    return bool(ended or existed)


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Keep a second `make up` or `make down` of the same stack waiting."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("· waiting for another `make up` or `make down` of this stack")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _step(what: str, say: Say) -> Iterator[None]:
    say(f"· {what}")
    start = time.monotonic()
    yield
    if (seconds := time.monotonic() - start) > WORTH_SAYING:
        say(f"  done in {seconds:.1f} s")


def _log(plan: Plan, name: str) -> Path:
    return plan.settings.state_dir / "logs" / f"{name}.log"


def _tail(log: Path, lines: int = 25) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
