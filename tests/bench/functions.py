"""What the functions of the order path take, cold and warm, each in a process of its own: CPU and memory.

The bundle is the laptop's, on what Lambda's image holds. In AWS's place is a server that answers at once what
a mail goes out with; what AWS takes is added by the models (`WAITS`). It speaks HTTP: what TLS takes is
measured apart, a context for each client.

On Lambda a function has a share of a vCPU, one at 1,769 MB ("Configure Lambda function memory", AWS Lambda
Developer Guide). The laptop's core stands for a vCPU.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from infra.bundling import ROOT
from steps import kinds, render, validate
from steps.aws.pace import PACE_KEY
from steps.contract import limits
from tests.support.in_memory_aws import CREDENTIALS, STEP_SETTINGS
from tests.support.sample_mails import BRAND, NOTIFICATION_ID
from tests.support.ses_events import MESSAGE_ID, ses_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from steps.contract.state import State

IMAGE = ROOT / ".local" / "lambda-image" / "bin" / "python"
VCPU_MB = 1769
MEMORIES = (128, 192, 256, 384, 512, 640, 768, 896, 1024)
EXECUTIONS = 30
"""Warm invocations that are measured, of each function."""

DYNAMODB, SES, EXPRESS = 0.005, 0.060, 0.035
"""Seconds that a call of DynamoDB and SES takes, and that Step Functions adds to its five steps (assumed)."""

WAITS = {
    "validate": 0.0,
    "dedup": DYNAMODB,
    "render": 0.0,
    "send": DYNAMODB + SES,
    "record": DYNAMODB,
    "feedback": limits.FEEDBACK_BATCH * 2 * DYNAMODB,
}
"""Seconds that a warm invocation waits for AWS; the dispatcher waits for an execution."""
STEPS = ("validate", "dedup", "render", "send", "record")
PATH = ("dispatch", *STEPS)
"""What a first mail waits for, in turn."""
CLIENTS = {
    "validate": 0,
    "render": 0,
    "dedup": 1,
    "send": 2,
    "record": 1,
    "feedback": 1,
    "dispatch": 3,
}

RECORD = {
    "notificationId": NOTIFICATION_ID,
    "orderId": "NW-20418",
    "customerEmail": "customer@example.com",
    "status": "SENT",
    "owner": "e",
    "messageId": MESSAGE_ID,
}
"""What the table has of the mail that SES's events are about."""

CHILD = """
import importlib, json, os, sys, time
import awslambdaric.bootstrap

given = json.load(sys.stdin)
out, sys.stdout = sys.stdout, open(os.devnull, "w")
handler = importlib.import_module("steps." + sys.argv[1]).handler
init = time.process_time()
taken = []
for _ in range(int(sys.argv[2])):
    event = json.loads(given)
    cpu, wall = time.process_time(), time.perf_counter()
    handler(event, None)
    taken.append((time.process_time() - cpu, time.perf_counter() - wall))
tls = time.process_time()
if "botocore" in sys.modules:
    import ssl, botocore.httpsession
    ssl.create_default_context(cafile=botocore.httpsession.DEFAULT_CA_BUNDLE)
tls = time.process_time() - tls
(memory,) = [int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps({"init": init, "taken": taken, "tls": tls, "memory": memory}), file=out)
"""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a function takes, in seconds of CPU (`wall`: of the clock) and MB.

    init: from the interpreter's start to the imported handler, the runtime client included.
    first, warm: the first invocation and the median of the others. tls: a client's context.
    """

    init: float
    first: float
    warm: float
    wall: float
    tls: float
    memory: float


def share(memory: float) -> float:
    """Return how much of a vCPU a function has."""
    return min(1.0, memory / VCPU_MB)


def cold_seconds(name: str, taken: Taken, memory: float, *, burst: bool = False) -> float:
    """Return what a function takes from its start to its first answer, its waits apart.

    `burst`: while it starts it has a whole vCPU, as is often measured and AWS says in its courses only.
    """
    first = (taken.first + taken.tls * CLIENTS[name]) / share(memory)
    return taken.init / (1 if burst else share(memory)) + first


def warm_seconds(taken: Taken, memory: float, wait: float) -> float:
    """Return what a warm invocation is billed for."""
    return taken.warm / share(memory) + wait


def events() -> dict[str, Any]:
    """Return what each function is invoked with: an ordinary order, and a full batch of SES's events."""
    now = datetime.now(UTC)
    just_now = {"orderTimestamp": now.isoformat(), "eventTimestamp": now.isoformat()}
    message = json.dumps(kinds.sample("order.confirmed") | just_now)
    received: State = {"message": message, "attempt": 1, "lastReceive": False}
    valid = validate.validate(received, now)
    mail = render.render(valid["order"], BRAND, valid["notificationId"])
    claimed: Any = {k: v for k, v in valid.items() if k != "order"} | {
        "claim": {"result": "NEW", "retryAfter": 0},
        "email": mail,
    }
    receipt = {"messageId": "message-1", "sentAt": "2026-11-24T08:00:00Z", "handoverId": "h"}
    sent = claimed | {"receipt": receipt}
    del sent["email"]

    def record(body: str, number: int) -> dict[str, Any]:
        attributes = {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(int(time.time() * 1000)),
        }
        return {
            "messageId": f"{number:08}-0000",
            "receiptHandle": "r",
            "body": body,
            "attributes": attributes,
        }

    told = [record(ses_event("Delivery"), n) for n in range(limits.FEEDBACK_BATCH)]
    return {
        "validate": {"execution": "e", "state": received},
        "dedup": {"execution": "e", "state": valid},
        "render": {"execution": "e", "state": valid},
        "send": {"execution": "e", "state": claimed},
        "record": {"execution": "e", "state": sent, "outcome": "SENT"},
        "dispatch": {"Records": [record(message, 0)]},
        "feedback": {"Records": told},
    }


def _answer(target: str, path: str, body: bytes) -> dict[str, Any]:
    if path.endswith("/account"):
        quota = {"Max24HourSend": -1, "MaxSendRate": 10_000, "SentLast24Hours": 0}
        return {"SendQuota": quota, "SendingEnabled": True, "EnforcementStatus": "HEALTHY"}
    if path.startswith("/v2/email"):
        return {"MessageId": "message-1"}
    if target.endswith("StartSyncExecution"):
        return {
            "executionArn": "arn:execution",
            "startDate": 0,
            "stopDate": 1,
            "status": "SUCCEEDED",
            "output": "{}",
        }
    if target.endswith("GetItem"):
        return {"Item": {name: {"S": value} for name, value in RECORD.items()}}
    if target.endswith("UpdateItem") and PACE_KEY.encode() in body:
        now = str(int(time.time() * 1000))
        return {"Attributes": {"freeFrom": {"N": now}, "askFrom": {"N": now}}}
    return {}


class _Aws(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    delays = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        if self.delays:
            execution = target.endswith("StartSyncExecution")
            time.sleep(EXECUTION if execution else SES if self.path.startswith("/v2") else DYNAMODB)
        answer = json.dumps(_answer(target, self.path, body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815 - the server's name of it

    def log_message(self, *_: object) -> None:
        pass


EXECUTION = 0.5
"""Seconds of an execution where the server takes AWS's time."""


@contextmanager
def answering(*, delays: bool = False) -> Iterator[str]:
    """Answer in AWS's place, after AWS's time where there are `delays`; yield the URL."""
    handler = type("Aws", (_Aws,), {"delays": delays})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def measure(
    name: str, event: object, bundle: Path, url: str, *, times: int, within: Path | None = None
) -> Taken:
    """Start a function and invoke it so often; `within`: in this group of processes (cgroup)."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(bundle),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "Bench",
        "ORDER_WORKFLOW": "arn:aws:states:us-east-1:123456789012:stateMachine:orders",
        "ORDER_QUEUE": f"{url}/1/orders",
        "TRACING_RATE": "1",
        "DISPATCHER_CONCURRENCY": "5",
    }
    for settings in STEP_SETTINGS:
        environment |= settings.to_env()
    command = [str(IMAGE), "-c", CHILD, name, str(times)]
    if within:
        command = ["sh", "-c", f'echo $$ > {within}/cgroup.procs; exec "$@"', "sh", *command]
    done = subprocess.run(
        command,
        input=json.dumps(json.dumps(event)),
        env=environment | CREDENTIALS,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    (first, _), *warm = told["taken"]
    return Taken(
        init=told["init"],
        first=first,
        warm=statistics.median(cpu for cpu, _ in warm),
        wall=statistics.median(wall for _, wall in warm),
        tls=told["tls"],
        memory=told["memory"],
    )


def least(bundle: Path, rounds: int = 5) -> dict[str, Taken]:
    """Measure every function so often, in turn; return the least of each figure: the rest is the machine's."""
    given = events()
    with answering() as url:
        taken = [
            {name: measure(name, given[name], bundle, url, times=EXECUTIONS) for name in given}
            for _ in range(rounds)
        ]
    return {
        name: Taken(
            **{
                figure: min(getattr(each[name], figure) for each in taken)
                for figure in Taken.__dataclass_fields__
            }
        )
        for name in given
    }
