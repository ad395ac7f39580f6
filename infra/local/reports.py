"""Runs both scheduled workflows once and shows their reports; part of `make demo`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from infra.local.settings import Settings

PATIENCE = 60.0
"""Seconds for one workflow; it takes two."""


def run(settings: Settings, base: str) -> dict[str, Any]:
    """Run a scheduled workflow and return its report.

    Raises:
        RuntimeError: it did not end SUCCEEDED in time.
    """
    states = boto3.client("stepfunctions", **settings.client)
    arn = (
        f"arn:aws:states:{settings.region}:{settings.account}:stateMachine:"
        f"{base}-{settings.environment_suffix}"
    )
    execution = states.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = states.describe_execution(executionArn=execution)
        if found["status"] == "SUCCEEDED":
            report: dict[str, Any] = json.loads(found["output"])["report"]
            return report
        if found["status"] != "RUNNING":
            break
        time.sleep(0.3)
    raise RuntimeError(f"{base} ended {found['status']}: {found.get('error', '')}")


def show(settings: Settings, say: Console) -> None:
    """Print the cost report as a table and the reputation's verdict as a line."""
    cost = run(settings, "cost-analysis")
    table = Table(title="Cost analysis (sample costs), USD, month to date", title_justify="left")
    table.add_column("what")
    table.add_column("USD", justify="right")
    for service, amount in cost["services"].items():
        table.add_row(service, amount)
    table.add_row("today, estimated", cost["estimateOfToday"], end_section=True)
    table.add_row("total", cost["total"] or "unknown", style="bold")
    table.add_row("forecast to month end", cost["forecast"] or "unknown")
    table.add_row("budget", cost["budget"])
    table.add_row(f"per mail ({cost['mails']} mails)", cost["costPerEmail"] or "unknown")
    say.print()
    say.print(table)
    for gap in cost["gaps"]:
        say.print(f"  [dim]not known: {gap}[/]", soft_wrap=True)
    check = run(settings, "bounce-rate-check")
    say.print(
        f"\nSending reputation: [bold]{check['verdict']}[/] {'; '.join(check['reasons'])}",
        soft_wrap=True,
    )
