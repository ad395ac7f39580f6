"""What all tests share: the real event files, and the clock they are read by."""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import hypothesis
import pytest

from infra import mail
from infra.local.running_stack import RunningStack
from infra.local.settings import LocalSettings
from infra.local.stack import running
from tests.support import lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xdist.remote import Producer

FOR_TESTS = {"action_rate": 50}
"""Of the laptop's SES: tests ask far more often than people do, and would wait for minutes."""

EVENTS = Path(__file__).parent / "events"


def pytest_configure() -> None:
    """Build the mails from their sources, so that no test sees yesterday's."""
    # How long an example takes says more of the machine than of the code.
    hypothesis.settings.register_profile("no clock", deadline=None)
    # A mutant's end is the same in every run, and nobody reads the example that ended it.
    hypothesis.settings.register_profile(
        "mutants", deadline=None, derandomize=True, phases=[hypothesis.Phase.generate]
    )
    hypothesis.settings.load_profile("no clock")
    # Whoever ends the run ends what it started, too: fixtures are torn down as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell that is set up for the local stack, as the README says, would lead clients of moto's there.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    # Each session would parse AWS's models for itself, which is most of what a test on moto's AWS computes.
    pytest.MonkeyPatch().setattr(
        botocore.session, "create_loader", cache(botocore.session.create_loader)
    )
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and not lanes.waits(worker):
        os.nice(lanes.LESS_URGENT)
    if not worker:  # The workers find it built.
        mail.build()


def pytest_xdist_auto_num_workers() -> int:
    """Answer `-n auto`."""
    return lanes.workers()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> lanes.Lanes | None:
    """Hand files out by what they do, with `--dist loadfile`."""
    return lanes.Lanes(config, log) if config.getvalue("dist") == "loadfile" else None


def load_event(name: str) -> dict[str, Any]:
    """Read `tests/events/<name>.json`."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@pytest.fixture
def order() -> dict[str, Any]:
    """The contract's example event."""
    return load_event("order")


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a line at once, past pytest's capture, for what takes longer than a test."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    terminal = pytestconfig.pluginmanager.getplugin("terminalreporter")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            if terminal:
                terminal.write_line(line, flush=True)
            else:  # one of several workers
                print(line, file=sys.stderr, flush=True)

    return say


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]
) -> Iterator[RunningStack]:
    """The local stack with the app deployed to it, on ports of its own, once for all tests."""
    folder = tmp_path_factory.mktemp("local") / "stack"
    settings = LocalSettings.on_free_ports(folder, environment_suffix="test")
    with pytest.MonkeyPatch.context() as patch:
        # There, and as good as never started by its schedule.
        patch.setenv("CANARY_MINUTES", "1440")
        with running(settings, say=say) as plan:
            stack = RunningStack(plan)
            stack.ses("settings", FOR_TESTS)
            yield stack


@pytest.fixture
def ses_as_it_was(stack: RunningStack) -> Iterator[None]:
    """Let the laptop's SES be as it was before the test: account, faults, suppression list."""
    yield
    stack.ses("reset", method="POST")
    stack.ses("settings", FOR_TESTS)


@pytest.fixture(scope="module")
def no_dead_letters(stack: RunningStack) -> None:
    """Throw away what tests of other modules left in the dead-letter queues."""
    for queue in ("email-order-dlq", "email-internal-dlq"):
        stack.sqs.purge_queue(QueueUrl=stack.queue_url(queue))


@pytest.fixture
def impatient_events(stack: RunningStack) -> Iterator[None]:
    """Let an event of SES's that could not be folded in come again after three seconds.

    An invocation that takes longer has its events come again meanwhile: then one may make two letters.
    """
    url, name = stack.queue_url("email-ses-events-queue"), "VisibilityTimeout"
    before = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    stack.sqs.set_queue_attributes(QueueUrl=url, Attributes={name: "3"})
    yield
    stack.sqs.set_queue_attributes(QueueUrl=url, Attributes=before)
