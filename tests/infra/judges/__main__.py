"""Print what the judges say of the templates: `python -m tests.infra.judges`."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra import mail
from tests.infra.judges.deployments import SETTINGS, Deployment
from tests.infra.judges.judges import Report, reports
from tests.infra.judges.verdict import Verdict, verdict


def counts(said: list[Report], verdict_: Verdict) -> Table:
    """Return each judge's counts. A fault of one resource is one, in however many deployments."""
    table = Table("judge", "looked at", "findings", "accepted", "open")
    for report in said:
        found = {(finding.rule, finding.path) for finding in report.findings}
        stand = {(f.rule, f.path) for f in verdict_.open if f in report.findings}
        numbers = (len(found), len(found - stand), len(stand))
        table.add_row(report.judge, report.looked_at, *map(str, numbers))
    return table


def reasons(verdict_: Verdict) -> Table:
    """Return what is accepted, with the reasons."""
    grouped: dict[tuple[str, str], set[str]] = defaultdict(set)
    for finding, reason in verdict_.accepted.items():
        grouped[finding.rule.partition("[")[0], reason].add(finding.path)
    table = Table("accepted", "resources", "reason")
    for (rule, reason), paths in sorted(grouped.items()):
        table.add_row(rule, str(len(paths)), reason)
    return table


def show(said: list[Report], verdict_: Verdict, console: Console) -> bool:
    """Print what was said and what became of it; return whether nothing is open and nothing stale."""
    console.print(reasons(verdict_), counts(said, verdict_))
    for finding in verdict_.open:
        console.print(
            f"open: {finding.rule} on {finding.path} ({finding.deployment}): {finding.message}"
        )
    for path, rule in verdict_.stale:
        console.print(f"stale: {rule} is acknowledged on {path}, where nobody finds it")
    return not (verdict_.open or verdict_.stale)


def main() -> None:
    """Judge all deployments. Exit with 1 where a finding is open or an acknowledgment is stale."""
    mail.build()
    with tempfile.TemporaryDirectory() as folder:
        deployments = [Deployment.of(name, Path(folder)) for name in SETTINGS]
        said = reports(deployments)
        given = {deployment.name: deployment.acknowledgments() for deployment in deployments}
    if not show(said, verdict(said, given), Console(markup=False)):
        sys.exit(1)


if __name__ == "__main__":
    main()
