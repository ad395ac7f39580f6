"""How long each function takes to start, against one that only makes the same boto3 clients.

    .venv/bin/python -m tests.bench.imports

Each import runs in a process of its own, from the very bundle that is deployed to the laptop, with what
Lambda's image holds and no more. Figures are CPU time, user's and system's, without the interpreter's own
start. Rounds go over all functions in turn, so that a busy machine slows all alike; figures are medians, and
the ratio is what counts.

`deployed`: the bundle as it is. `sources`: without its bytecode, as it would be if Lambda's Python were another
one than that of the bundle's bytecode. Lambda's image has the bytecode of what is in it both times. `nothing`:
no bytecode at all, neither the bundle's nor the SDK's.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.brand import LOCAL_BRAND
from infra.bundling import ROOT, build_bundle, laptop

ROUNDS = 15
DYNAMODB, SES = {"ledger_table.dynamodb": "dynamodb"}, {"ses.sesv2": "sesv2"}
REPORTS = {"sources.dynamodb": "dynamodb", "sources.sns": "sns"}
METRICS = {"sources.cloudwatch": "cloudwatch", "sources.sesv2": "sesv2"}
CLIENTS = {
    "validate": {},
    "dedup": DYNAMODB,
    "render": {},
    "send": DYNAMODB | SES,
    "record": DYNAMODB,
    "dispatch": {"workflow.stepfunctions": "stepfunctions"} | DYNAMODB | SES,
    "feedback": DYNAMODB,
    "outcomes": {"topic.sns": "sns"},
    "overdue": DYNAMODB,
    "rejections": REPORTS | {"sources.cloudwatch": "cloudwatch", "sources.logs": "logs"},
    "reconciliation": REPORTS | METRICS | {"ledger_table.scanner": "dynamodb"},
    "bounce_rate": REPORTS | METRICS,
    "cost_monitoring": REPORTS | METRICS | {"sources.cost_explorer": "ce"},
    "canary": REPORTS | DYNAMODB,
    "pause": REPORTS | {"sources.sesv2": "sesv2"},
}
"""The clients that a function's ordinary invocations make: their places in `steps.aws`, and AWS's names.

One that calls nobody is held against one that makes DynamoDB's.
"""
IMAGE = ROOT / ".local" / "lambda-image" / "bin" / "python"
MODES = ("deployed", "sources", "nothing")


def ours(name: str) -> str:
    """Return a program that starts a function."""
    clients = "".join(f"; steps.aws.{client}()" for client in CLIENTS[name])
    return f"import steps.{name}{clients}"


def bare(name: str) -> str:
    """Return a program that makes its clients, and nothing else."""
    services = CLIENTS[name].values() or ["dynamodb"]
    return "import boto3" + "".join(f"; boto3.client({service!r})" for service in services)


def milliseconds(program: str, bundle: Path, *, nothing: bool = False) -> float:
    """Run a program in a fresh interpreter; return the CPU time that it took."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(bundle),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    } | ({"PYTHONPYCACHEPREFIX": str(bundle / "none")} if nothing else {})
    timed = (
        f"import time; t = time.process_time()\n{program}\nprint((time.process_time() - t) * 1000)"
    )
    run = subprocess.run(
        [IMAGE, "-c", timed], env=environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def bundles(folder: Path) -> dict[str, Path]:
    """Build the laptop's bundle in an empty folder; return it by mode."""
    (folder / "bootstrap").touch()
    built = build_bundle(laptop(folder / "bootstrap"), folder / "asset", LOCAL_BRAND).directory
    bare_sources = shutil.copytree(
        built, folder / "sources", ignore=shutil.ignore_patterns("*.pyc")
    )
    return {"deployed": built, "sources": bare_sources, "nothing": bare_sources}


def measure(bundle: Path, mode: str, rounds: int) -> dict[str, float]:
    """Return each program's median, in milliseconds."""
    programs = {program for name in CLIENTS for program in (ours(name), bare(name))}
    taken: dict[str, list[float]] = {program: [] for program in sorted(programs)}
    for _ in range(rounds + 1):
        for program, each in taken.items():
            each.append(milliseconds(program, bundle, nothing=mode == "nothing"))
    return {program: statistics.median(each[1:]) for program, each in taken.items()}


def main() -> None:
    """Measure and print a table per mode."""
    with tempfile.TemporaryDirectory() as scratch:
        built = bundles(Path(scratch))
        version = ".".join(map(str, sys.version_info[:3]))
        print(f"Python {version}, {ROUNDS} rounds, ms of CPU: function, bare, ratio", flush=True)
        for mode in sys.argv[1:] or MODES:
            taken = measure(built[mode], mode, ROUNDS)
            print(f"\n{mode}", flush=True)
            for name in CLIENTS:
                function, only = taken[ours(name)], taken[bare(name)]
                print(f"  {name:16} {function:5.0f} {only:5.0f}   {function / only:4.2f} x")


if __name__ == "__main__":
    main()
