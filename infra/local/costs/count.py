"""The counted run: what a mail uses, alone and in a burst, on the running local stack.

Alone, each order waits until the one before is DELIVERED and told of: so it goes at rest, and the machine is
quiet. Together, all come at once: under overload. Both are as `usage.json` has them, a mail's share of each.
Nothing here is priced or derived; `model.py` does that.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import time
from collections import defaultdict
from datetime import UTC, datetime
from os import sched_getaffinity
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress

from infra.local import capacity, meter
from infra.local.costs.model import ORDER_PATH, OTHERS, idle_polls
from infra.local.costs.workflow_log import LOG_EVENT_OVERHEAD, log_bytes
from infra.local.loopback import fetch
from infra.local.programs import LAMBDA_IMAGE
from steps.contract import limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.local.running_stack import Json, RunningStack

FUNCTIONS = (*ORDER_PATH, "outcomes")
CANARY = "canary"
OTHER = "overdue"
"""Each is deployed as `email-<name>-<env>`; `OTHER` has the memory of all that are not on the order path."""

WARM_UP = 3
"""Orders before the counted ones: all functions have started by then."""
PAUSE = limits.OUTCOME_WINDOW + 1.0
"""Seconds after a delivery until its outcome has been told."""
SETTLED = 15.0
"""Seconds without a delivery after which no more is expected."""
HISTORIES = 20
"""Executions whose events are read."""
CANARIES = 5
"""Runs of the canary's function, where it is deployed."""

PLATFORM = ("START ", "END ", "REPORT ")
"""What the platform logs at a level that the app does not ask for."""


def run(stack: RunningStack, alone: int, together: int) -> Json:
    """Send orders one by one, then all at once; return what is counted, as `usage.json` has it."""
    with Progress(transient=True) as progress:
        one_by_one(stack, WARM_UP, progress.track, "warming up")
        counted = {}
        for how, mails, send in (("alone", alone, one_by_one), ("together", together, at_once)):
            before = Reading(stack)
            delivered = send(stack, mails, progress.track, f"{mails} orders {how}")
            counted[how] = usage_since(stack, before, delivered)
        canaries = _canaries(stack, progress)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "run": {"alone": alone, "together": together},
        "machine": machine(),
        "deployed": deployed(stack),
        **counted,
        "start": start_of(stack),
        **({"canary": canaries} if canaries else {}),
    }


# --- sending --------------------------------------------------------------------------------------


def one_by_one(stack: RunningStack, mails: int, track: Any, title: str) -> int:
    """Publish each order when the one before is delivered and told of; return how many were."""
    prefix = _prefix()
    for n in track(range(mails), description=title):
        stack.publish(event(order_id := f"{prefix}{n}"))
        stack.wait_for_status(order_id, "DELIVERED")
        time.sleep(PAUSE)
    return mails


def at_once(stack: RunningStack, mails: int, track: Any, title: str) -> int:
    """Publish all orders, and wait until no more is delivered; return how many were."""
    prefix = _prefix()
    stack.publish(*(event(f"{prefix}{n}") for n in range(mails)))

    def deliveries() -> Iterable[int]:
        seen, since = 0, time.monotonic()
        while seen < mails and time.monotonic() - since < SETTLED:
            time.sleep(1)
            delivered = sum(
                r["orderId"].startswith(prefix) and r["status"] == "DELIVERED"
                for r in stack.all_records()
            )
            if delivered > seen:
                since = time.monotonic()
            yield from range(seen, delivered)
            seen = delivered

    delivered = sum(1 for _ in track(deliveries(), total=mails, description=title))
    time.sleep(SETTLED)
    return delivered


def event(order_id: str) -> str:
    """Return an ordinary order."""
    sample = Path(__file__).parents[1] / "samples" / "1-first-order.json"
    return json.dumps(json.loads(sample.read_text()) | {"orderId": order_id})


def _prefix() -> str:
    return f"COST-{datetime.now(UTC):%H%M%S}-"


# --- counting -------------------------------------------------------------------------------------


class Reading:
    """What the meters show at a moment."""

    def __init__(self, stack: RunningStack) -> None:
        self.at = datetime.now(UTC)
        self.meter: Json = fetch(f"{stack.settings.aws_url}{meter.PATH}")
        self.ses_events: int = stack.ses("stats")["events_published"]


def usage_since(stack: RunningStack, before: Reading, mails: int) -> Json:
    """Return what one of `mails` used since a reading.

    functions: invocations, ms and CPU ms of warm ones, bytes logged. units: by function, of the tracking table
    and its indexes. workflow: executions, ms, events, bytes that its log takes at each level. stored: bytes of
    the record and of its entries.
    """
    now = Reading(stack)
    names = {stack.name(f"email-{name}"): name for name in FUNCTIONS}
    functions = {
        name: ran | {"logBytes": logged(stack, name, before.at)}
        for function, name in names.items()
        if (ran := difference(now.meter["warm"], before.meter["warm"]).get(function))
    }
    return {
        "functions": {name: _share(ran, mails) for name, ran in functions.items()},
        **{
            kind: {
                names[function]: _share(_by_index(stack, taken), mails)
                for function, taken in difference(now.meter[kind], before.meter[kind]).items()
                if function in names
            }
            for kind in ("writeUnits", "readUnits")
        },
        "workflow": _share(_workflow(stack, before.at), mails),
        "sesEvents": _figure((now.ses_events - before.ses_events) / mails),
        "stored": stored(stack),
    }


def difference(now: Json, before: Json) -> dict[str, dict[str, float]]:
    """Subtract a reading from a later one; what has not grown is left out."""
    grown = {
        outer: {
            name: amount - before.get(outer, {}).get(name, 0)
            for name, amount in inner.items()
            if amount != before.get(outer, {}).get(name, 0)
        }
        for outer, inner in now.items()
    }
    return {outer: inner for outer, inner in grown.items() if inner}


def logged(stack: RunningStack, function: str, since: datetime) -> int:
    """Return the bytes that a function logged, as CloudWatch Logs counts them."""
    lines = stack.log_lines(f"email-{function}", startTime=int(since.timestamp() * 1000))
    return sum(
        len(line.encode()) + LOG_EVENT_OVERHEAD for line in lines if not line.startswith(PLATFORM)
    )


def stored(stack: RunningStack) -> dict[str, float]:
    """Return the mean bytes of a delivered order's record, and of its entry in each index that has it."""
    client = stack.client("dynamodb")
    table = client.describe_table(TableName=stack.table.name)["Table"]
    key = [part["AttributeName"] for part in table["KeySchema"]]
    pages = client.get_paginator("scan").paginate(TableName=stack.table.name)
    records = [
        item
        for page in pages
        for item in page["Items"]
        if item.get("status", {}).get("S") == "DELIVERED"
    ]
    sizes: dict[str, float] = defaultdict(float)
    for record in records:
        sizes["table"] += capacity.item_bytes(record) / len(records)
        for index in table.get("GlobalSecondaryIndexes", []):
            if entry := capacity.index_entry(index, key, record):
                sizes[index["IndexName"]] += capacity.item_bytes(entry) / len(records)
    return {where: round(size) for where, size in sizes.items()}


def _by_index(stack: RunningStack, taken: dict[str, float]) -> dict[str, float]:
    """Call the tracking table `table`, and its indexes by their names; leave the others out."""
    ours: dict[str, float] = defaultdict(float)
    for where, units in taken.items():
        table, _, index = where.partition("/")
        if table == stack.table.name:
            ours[index or "table"] += units
    return ours


def _workflow(stack: RunningStack, since: datetime) -> dict[str, float]:
    executions = [e for e in stack.executions() if e["startDate"] >= since]
    arns = [e["executionArn"] for e in executions[-HISTORIES:]]
    histories = {arn: stack.history(arn) for arn in arns}
    each = len(executions) / max(len(arns), 1)
    return {
        "executions": len(executions),
        "ms": sum((e["stopDate"] - e["startDate"]).total_seconds() * 1000 for e in executions),
        "events": each * sum(map(len, histories.values())),
        **{
            f"logBytes{level}": each
            * sum(log_bytes(history, arn, level=level) for arn, history in histories.items())
            for level in ("ALL", "ERROR")
        },
    }


def start_of(stack: RunningStack) -> Json:
    """Return what the first invocation of an environment took, its start included, in ms."""
    cold = fetch(f"{stack.settings.aws_url}{meter.PATH}")["cold"]
    return {
        name: _share(ran, ran["invocations"])
        for name in (*FUNCTIONS, CANARY)
        if (ran := cold.get(stack.name(f"email-{name}")))
    }


def _canaries(stack: RunningStack, progress: Progress) -> Json | None:
    """Run the canary's function a few times, where it is deployed; return what a run took."""
    client, name = stack.client("lambda"), stack.name(f"email-{CANARY}")
    try:
        client.get_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    before, at = Reading(stack), datetime.now(UTC)
    for _ in progress.track(range(CANARIES + 1), description="canaries"):
        told = {"scheduledTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        client.invoke(FunctionName=name, Payload=json.dumps(told))
        time.sleep(PAUSE)
    now = Reading(stack)
    ran = difference(now.meter["warm"], before.meter["warm"])[name]
    runs = ran["invocations"]
    units = {
        kind: sum(difference(now.meter[kind], before.meter[kind]).get(name, {}).values())
        / (CANARIES + 1)
        for kind in ("writeUnits", "readUnits")
    }
    log = logged(stack, CANARY, at) / (CANARIES + 1)
    return _share(ran, runs) | {kind: _figure(amount) for kind, amount in units.items()} | {
        "logBytes": _figure(log)
    }  # fmt: skip


# --- where it was counted -------------------------------------------------------------------------


def machine() -> Json:
    """Return the machine: its processor, cores, and the Python of the functions."""
    cpu = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    python = subprocess.run(
        [LAMBDA_IMAGE / "python", "--version"], capture_output=True, text=True, check=True
    )
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(sched_getaffinity(0)),
        "python": python.stdout.strip(),
    }


def deployed(stack: RunningStack) -> Json:
    """Return the settings of the deployed stack that costs depend on, as `model.Settings` has them."""
    functions = stack.client("lambda")
    configured = {
        name: functions.get_function_configuration(FunctionName=stack.name(f"email-{name}"))
        for name in (*ORDER_PATH, OTHER)
    }
    (workflow,) = (
        machine
        for machine in _resources(stack, "AWS::StepFunctions::StateMachine")
        if machine["StateMachineName"] == stack.name("email-order-workflow")
    )
    mapping = {
        name: functions.list_event_source_mappings(
            FunctionName=configured[name]["FunctionName"]
        )["EventSourceMappings"][0]
        for name in ("processor", "feedback")
    }  # fmt: skip
    limits_ = {
        name: each.get("ScalingConfig", {}).get("MaximumConcurrency")
        for name, each in mapping.items()
    }
    environment = configured["processor"]["Environment"]["Variables"]
    return {
        "memory": {name: each["MemorySize"] for name, each in configured.items()}
        | {OTHERS: configured[OTHER]["MemorySize"]},
        "workflow_log_level": workflow["LoggingConfiguration"]["Level"],
        "tracing_rate": float(environment["TRACING_RATE"]),
        "dispatcher_window": mapping["processor"].get("MaximumBatchingWindowInSeconds", 0),
        "dispatcher_batch": mapping["processor"]["BatchSize"],
        "feedback_window": mapping["feedback"].get("MaximumBatchingWindowInSeconds", 0),
        "feedback_batch": mapping["feedback"]["BatchSize"],
        "concurrency": limits_["processor"],
        "idle_polls": idle_polls(limits_["processor"], limits_["feedback"]),
    }


def _resources(stack: RunningStack, type_: str) -> list[Json]:
    """Return the properties of all resources of a type in the deployed templates.

    The emulator does not keep all of them.
    """
    formation = stack.client("cloudformation")
    bodies = [
        formation.get_template(StackName=each["StackName"])["TemplateBody"]
        for page in formation.get_paginator("describe_stacks").paginate()
        for each in page["Stacks"]
        if each["StackName"] != "CDKToolkit"  # YAML, and not ours
    ]
    templates = [json.loads(body) if isinstance(body, str) else body for body in bodies]
    return [
        resource["Properties"]
        for template in templates
        for resource in template["Resources"].values()
        if resource["Type"] == type_
    ]


def _share(amounts: dict[str, float], of: float) -> dict[str, str]:
    return {name: _figure(amount / of) for name, amount in sorted(amounts.items())}


def _figure(amount: float) -> str:
    return f"{amount:.4g}"
