"""Starts, deploys to, examines and ends a local stack. `make up`, `make down` and the tests use it.

    with running(Settings.read()) as stack:
        boto3.client("sns", **stack.settings.client).publish(...)

The stack's folder (`LOCAL_STATE_DIR`) holds everything it writes: `stack.json` (settings and ports),
`status.json` (which programs run), `logs/`, `mails/`, `lambda/bootstrap`, CDK's output and cache.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3

from infra.config import Config
from infra.local.children import NODE_MODULES, TOOLS, Child, Plan, bootstrap, children, plain_env
from infra.local.processes import MARK, POLL, end, mark, marked
from infra.local.settings import LOOPBACK, ROOT, VARIABLES, Settings, is_taken
from infra.local.supervisor import read_status

START_TIMEOUT = 60.0
"""Seconds in which a program must serve; on an idle machine the slowest takes two."""

WORTH_SAYING = 1.0
"""Seconds from which on a step's length is told."""

Say = Callable[[str], None]


class StackError(Exception):
    """The stack cannot do what was asked; the message says why and what to do, for a person."""


def up(settings: Settings, *, say: Say = lambda _: None, app: str | None = None) -> Plan:
    """Starts the stack unless it runs, and deploys the app to it.

    Args:
        settings: what to start; a running stack must have the same.
        say: takes progress, line by line.
        app: another command for `cdk --app`, in place of the one in `cdk.json`.

    Raises:
        StackError: nothing new is left running then, except after a failed deployment.
    """
    with _alone(settings.state_dir, say):
        plan = _running_plan(settings, say)
        if plan is None:
            plan = _start(settings, say)
        else:
            say("· the stack runs already: deploying to it again")
        _deploy(plan, say, app)
        return plan


def down(settings: Settings, *, say: Say = lambda _: None) -> bool:
    """Ends every process of the stack and removes its folder; False where there was neither."""
    with _alone(settings.state_dir, say):
        return _down(settings.state_dir)


@contextmanager
def running(
    settings: Settings, *, say: Say = lambda _: None, app: str | None = None
) -> Iterator[Plan]:
    """A stack for the length of a `with` block, and nothing of it afterwards."""
    try:
        yield up(settings, say=say, app=app)
    finally:
        down(settings, say=say)


def problems(plan: Plan) -> list[str]:
    """What is wrong with a stack that should run, one sentence each; empty when it is healthy."""
    folder = plan.settings.state_dir
    if not marked(mark(folder, "supervisor")):
        return ["the supervisor is gone, so nothing restarts what dies"]
    status = read_status(folder)
    found = []
    for child in children(plan):
        entry = status.get(child.name)
        if entry is None:
            found.append(f"{child.title} was never started")
        elif entry.state != "running":
            lost = f" and {child.loss}" if child.loss else ""
            log = folder / "logs" / f"{child.name}.log"
            found.append(
                f"{child.title} is {entry.state}: it ended {entry.last_death}{lost}; see {log}"
            )
    return found


def restarts(plan: Plan) -> list[str]:
    """Programs that died and were restarted, one sentence each."""
    status = read_status(plan.settings.state_dir)
    return [
        f"{child.title} was restarted after its end {entry.last_death} (deaths: {entry.deaths})"
        for child in children(plan)
        if (entry := status.get(child.name)) and entry.state == "running" and entry.deaths
    ]


def load(settings: Settings) -> Plan | None:
    """The plan of the stack in this folder, whether or not it still runs."""
    try:
        return Plan.load(settings.state_dir)
    except FileNotFoundError:
        return None


def _running_plan(settings: Settings, say: Say) -> Plan | None:
    """The plan of a healthy running stack with these settings; None when there is none to use."""
    folder = settings.state_dir
    alive = marked(mark(folder))
    plan = load(settings)
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


def _start(settings: Settings, say: Say) -> Plan:
    for field, port in settings.ports().items():
        if is_taken(port):
            name = VARIABLES[field]
            raise StackError(
                f"port {port} is taken by another program; choose another one with {name},"
                f" such as `{name}={port + 1} make up`"
            )
    folder = settings.state_dir
    for name in ("logs", "mails", "lambda", "home", "tmp", "aws", "console"):
        (folder / name).mkdir(parents=True)
    plan = Plan.make(settings)
    plan.save()
    script = plan.lambda_dir / "bootstrap"
    script.write_text(bootstrap(plan))
    script.chmod(0o755)
    try:
        with (folder / "logs" / "supervisor.log").open("wb") as log:
            subprocess.run(
                (sys.executable, "-m", "infra.local.supervisor", str(folder)),
                cwd=ROOT,
                env=plain_env(folder, "supervisor"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )
        for child in children(plan):
            with _step(f"starting the {child.title}", say):
                _await(plan, child)
    except BaseException:
        _down(folder)
        raise
    return plan


def _await(plan: Plan, child: Child) -> None:
    """Waits until the program serves.

    Raises:
        StackError: it died, or did not answer in time.
    """
    folder = plan.settings.state_dir
    deadline = time.monotonic() + START_TIMEOUT
    while child.ready and not answers(child.ready):
        if not marked(mark(folder, "supervisor")):
            raise StackError(f"the supervisor ended:\n{_tail(folder / 'logs' / 'supervisor.log')}")
        entry = read_status(folder).get(child.name)
        tail = _tail(folder / "logs" / f"{child.name}.log")
        if entry and entry.deaths:
            raise StackError(f"the {child.title} ended at its start, {entry.last_death}:\n{tail}")
        if time.monotonic() > deadline:
            raise StackError(
                f"the {child.title} did not answer within {START_TIMEOUT:g} s:\n{tail}"
            )
        time.sleep(POLL)


def answers(url: str) -> bool:
    """Whether a GET of this loopback URL is answered with 200, past any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError), opener.open(url, timeout=2) as response:
        return bool(response.status == 200)  # noqa: PLR2004 - HTTP's OK
    return False


def _deploy(plan: Plan, say: Say, app: str | None) -> None:
    folder = plan.settings.state_dir
    settings = plan.settings
    done = folder / "bootstrapped"
    if not done.exists():
        with _step("preparing the account for CDK (cdk bootstrap)", say):
            # From a folder without cdk.json, since bootstrap needs no synth of the app.
            _cdk(plan, folder, "bootstrap", f"aws://{settings.account}/{settings.region}")
        done.touch()
    with _step("verifying the sender's domain in SES", say):
        domain = Config.from_environment(os.environ, local=True).domain
        boto3.client("sesv2", **settings.client).create_email_identity(EmailIdentity=domain)
    with _step("deploying the app (cdk deploy --all)", say):
        _cdk(
            plan,
            ROOT,
            *("deploy", "--all", "--require-approval", "never", "--progress", "events"),
            *("--output", str(folder / "cdk.out"), "--context", f"laptop={plan.lambda_dir}"),
            *(("--app", app) if app else ()),
        )


def _cdk(plan: Plan, cwd: Path, command: str, *arguments: str) -> None:
    """Runs the real CDK CLI against the stack.

    Raises:
        StackError: it failed; the message ends with its last lines.
    """
    folder = plan.settings.state_dir
    log = folder / "logs" / f"cdk-{command}.log"
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
    """The environment for CDK: the person's own settings, but never their AWS account.

    The CLI keeps which account a key belongs to in its home, so that is the stack's own too.
    """
    settings = plan.settings
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != MARK and not name.startswith(("AWS_", "CDK_"))
    }
    return kept | {
        "PATH": os.pathsep.join([str(TOOLS), os.environ.get("PATH", os.defpath)]),
        "AWS_ENDPOINT_URL": settings.aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": settings.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_HOME": str(settings.state_dir / "home"),
        "CDK_DEFAULT_ACCOUNT": settings.account,
        "CDK_DEFAULT_REGION": settings.region,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "ENVIRONMENT_SUFFIX": settings.environment_suffix,
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
    }


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
    """Keeps a second `make up` or `make down` of the same stack waiting."""
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


def _tail(log: Path, lines: int = 25) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
