"""What fails: SES, the services behind the fault proxy, workers, clocks, deployments."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil

from infra.local.loopback import fetch
from tests.local.chaos import facts

if TYPE_CHECKING:
    import random

    from infra.local.programs import Plan
    from infra.local.running_stack import Json, RunningStack

SES_FAULTS = {
    "rate": 1000,
    "daily_quota": 1_000_000,
    "throttle": 0.22,
    "throttle_account": 0.3,
    # Of the calls that were not throttled: 3% and 2% of all.
    "drop_answer": 0.05,
    "error_before": 0.015,
    "error_after": 0.015,
    "slow": 0.01,
    "delay_delivery": 0.05,
    "mailbox_full": 0.02,
    "events_repeated": 0.2,
    "events_shuffled": 0.3,
    "events_lost": 0.02,
}

KILL_EVERY = 2.0
"""Seconds between two kills, on average."""
KILLED = frozenset(
    {"processor", "validate", "dedup", "render", "send", "record", "feedback", "outcomes"}
)
"""What is killed, by the names of functions between `email-` and the environment."""
AT_WORK = 5
"""So many functions must have workers: a lone dispatcher would be killed before its first batch ends."""

CLOCK_SKEW = 120
"""Seconds by which a dispatcher's clock is wrong at most, ahead or behind."""

LATE_WRITES = {"min": 3_000, "max": 20_000}
"""Milliseconds; the client waits for one second."""

BROKEN_FOR = 8.0
"""Seconds until a bad deployment is mended."""


def proxy_faults(dice: random.Random) -> list[Json]:
    """Return the fault proxy's rules: each fails one call in so many, without dice of its own."""

    def rule(service: str, every: int, **fault: Any) -> Json:
        one_in, times = every + dice.randrange(every // 5), 2 if service == "sns" else 1
        return {"service": service, "sequence": {"fail": times, "pass": one_in - times}, **fault}

    lost_answer = {"response": {"abort_bytes": 0}}
    return [
        rule("dynamodb", 30, error={"code": "ProvisionedThroughputExceededException"}),
        rule("dynamodb", 50, error={"code": "InternalServerError", "status": 500}),
        rule("dynamodb", 50, **lost_answer),
        rule("dynamodb", 100, reset=True),
        # Longer than the client waits: the write is made after its repetition.
        rule("dynamodb", 200, latency=2500),
        rule("dynamodb", 80, operation="UpdateItem", latency=LATE_WRITES),
        rule("dynamodb", 80, operation="PutItem", latency=LATE_WRITES),
        rule("stepfunctions", 30, error={"code": "ThrottlingException"}),
        rule("stepfunctions", 40, **lost_answer),
        rule("stepfunctions", 60, error={"code": "InternalFailure", "status": 500}),
        rule("sqs", 10, error={"code": "InternalFailure", "status": 500}),
        rule("sqs", 20, **lost_answer),
        # Twice in a row is more than the client tries.
        rule("sns", 15, error={"code": "InternalError", "status": 500}),
        rule("sns", 10, **lost_answer),
        # Of those with a second message, that one.
        rule("sns", 5, request={"cut_upload": {"after_messages": 1}}),
    ]


def unseen(plan: Plan) -> set[str]:
    """Return the fault proxy's rules that have not failed a call yet: services and what they do to one."""
    rules = fetch(f"{plan.faults_url}/_microburst/rules")
    kinds = ("error", "reset", "latency", "response", "request")
    return {
        f"{r['service']} {kind}"
        for r in rules
        for kind in kinds
        if r.get(kind) and not r["fired_count"]
    }


def lost_answers(plan: Plan) -> int:
    """Count the requests that were carried out, or may be yet, and whose client was told nothing.

    Those to SNS are left out: who makes them counts nothing.
    """
    rules = fetch(f"{plan.faults_url}/_microburst/rules")
    silent = [r for r in rules if r.get("response") or r.get("latency")]
    return sum(r["fired_count"] for r in silent if r["service"] != "sns")


class Killer(threading.Thread):
    """Kills Lambda workers of one stack, one after another, without a warning; all functions' equally often."""

    def __init__(self, plan: Plan, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._plan = plan
        self._dice = dice
        self._ended = threading.Event()
        self.killed: Counter[str] = Counter()

    def run(self) -> None:
        """Kill until `stop`."""
        while not self._ended.wait(self._dice.expovariate(1 / KILL_EVERY)):
            found = defaultdict(list)
            for name, process in facts.workers(self._plan):
                found[name.split("-")[1]].append(process)
            if len(found) >= AT_WORK:
                least = min(self.killed[name] for name in found)
                name = self._dice.choice(sorted(n for n in found if self.killed[n] == least))
                with suppress(psutil.NoSuchProcess):
                    self._dice.choice(found[name]).kill()
                    self.killed[name] += 1

    def stop(self) -> None:
        """End the killing."""
        self._ended.set()
        self.join()


def skew_clocks(stack: RunningStack) -> None:
    """Give each dispatcher from now on a clock of its own."""
    function = stack.name("email-processor")
    client = stack.client("lambda")
    variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    client.update_function_configuration(
        FunctionName=function,
        Environment={"Variables": variables | {"CLOCK_SKEW_SECONDS": str(CLOCK_SKEW)}},
    )


class BadDeployment(threading.Thread):
    """Deploys a step whose handler cannot be imported, and mends it some seconds later."""

    def __init__(self, stack: RunningStack, step: str) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._function = stack.name(f"email-{step}")

    def run(self) -> None:
        """Break the step, wait, mend it."""
        client = self._stack.client("lambda")
        deploy = partial(client.update_function_configuration, FunctionName=self._function)
        good = client.get_function_configuration(FunctionName=self._function)["Handler"]
        deploy(Handler="steps.not_in_the_bundle.handler")
        threading.Event().wait(BROKEN_FOR)
        deploy(Handler=good)


class Operator:
    """Takes the dead letters: puts those orders back that can become a mail, has outcomes told again.

    letters: all of the order queue's. left: those that were not put back. looked: whether there was a first
    look. internal: what the other letters say. retold: how many of them were told again.
    """

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self._order_queue = stack.queue_url("email-order-queue")
        self.letters: list[Json] = []
        self.left: list[Json] = []
        self.looked = False
        self.internal: list[Json] = []
        self.retold = 0

    @property
    def redriven(self) -> int:
        """How many were put back."""
        return len(self.letters) - len(self.left)

    def redrive(self, valid: set[str]) -> int:
        """Send each dead letter whose body is in `valid` to the order queue; return how many those were."""
        self.looked, before = True, self.redriven
        while letters := self._stack.dead_letters("email-order-dlq"):
            self.letters += letters
            for letter in letters:
                if letter["Body"] in valid:
                    self._stack.sqs.send_message(
                        QueueUrl=self._order_queue, MessageBody=letter["Body"]
                    )
                else:
                    self.left.append(letter)
        return self.redriven - before

    def tell_again(self) -> int:
        """Take the internal letters and have their outcomes told; return how many letters those were."""
        taken: list[Json] = []
        while letters := self._stack.dead_letters("email-internal-dlq"):
            taken += (json.loads(letter["Body"]) for letter in letters)
        self.internal += taken
        client, function = self._stack.client("lambda"), self._stack.name("email-outcomes")
        before = self.retold
        for changes in (facts.told_again(self._stack, letter) for letter in taken):
            if changes:
                payload = json.dumps({"Records": changes}, default=str)
                client.invoke(FunctionName=function, Payload=payload)
                self.retold += 1
        return self.retold - before
