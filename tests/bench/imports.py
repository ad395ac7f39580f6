"""How long each handler takes to import, against a handler that only creates its boto3 client.

    .venv/bin/python -m tests.bench.imports

Each import runs in a process of its own, from the very bundle that is deployed to the laptop, with
what Lambda's image holds and no more. Rounds go over all handlers in turn, so that a busy machine
slows all alike; figures are medians, and the ratio is what counts. `cold` is without bytecode, as on
AWS, where the bundle lies on a read-only disk.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.brand import LOCAL_BRAND
from infra.bundling import ROOT, build_bundle, laptop
from statemachines.order_workflow import Steps

ROUNDS = 9
HANDLERS = (*Steps.names(), "dispatch", "feedback", "outcomes", "rejections")
BASELINE = "import boto3; boto3.client('dynamodb')"
CLIENTS = {
    "dedup": "ledger_table.dynamodb",
    "send": "ledger_table.dynamodb ses.sesv2",
    "record": "ledger_table.dynamodb",
    "dispatch": "workflow.stepfunctions queue.sqs ledger_table.dynamodb ses.sesv2",
    "feedback": "ledger_table.dynamodb",
    "outcomes": "topic.sns",
    "rejections": "sources.cloudwatch sources.dynamodb sources.logs",
}
"""The clients that a handler's first invocation makes, by their place in `steps.aws`."""
PYTHON = ROOT / ".local" / "lambda-image" / "bin" / "python"


def milliseconds(code: str, asset: Path, *, bytecode: bool) -> float:
    """Run `code` in a fresh interpreter; return what it took without the interpreter's own start."""
    program = f"import time; t = time.perf_counter()\n{code}\nprint(time.perf_counter() - t)"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(asset),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPYCACHEPREFIX": str(asset / ("warm" if bytecode else "none")),
    } | ({} if bytecode else {"PYTHONDONTWRITEBYTECODE": "1"})
    run = subprocess.run(
        [PYTHON, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout.split()[-1]) * 1000


def main() -> None:
    """Measure and print one line per handler."""
    with tempfile.TemporaryDirectory() as scratch:
        bootstrap = Path(scratch) / "bootstrap"
        bootstrap.write_text("#!/bin/sh\n")
        asset = build_bundle(laptop(bootstrap), Path(scratch) / "asset", LOCAL_BRAND).directory
        codes = {"boto3 client alone": BASELINE} | {
            name: f"import steps.{name}"
            + "".join(f"; steps.aws.{client}()" for client in CLIENTS.get(name, "").split())
            for name in HANDLERS
        }
        size = sum(file.stat().st_size for file in asset.rglob("*") if file.is_file()) / 1e6
        print(f"bundle {size:.1f} MB, Python {sys.version.split()[0]}, {ROUNDS} rounds", flush=True)
        for title, bytecode in (("cold (no bytecode)", False), ("with bytecode", True)):
            for code in codes.values():
                milliseconds(code, asset, bytecode=bytecode)
            rounds = [
                {name: milliseconds(code, asset, bytecode=bytecode) for name, code in codes.items()}
                for _ in range(ROUNDS)
            ]
            medians = {name: statistics.median(r[name] for r in rounds) for name in codes}
            print(f"\n{title}")
            for name, median in medians.items():
                ratio = median / medians["boto3 client alone"]
                print(f"  {name:20} {median:6.0f} ms   {ratio:4.2f} x")


if __name__ == "__main__":
    main()
