"""The verdict: which findings stand, which are acknowledged, and which acknowledgments nothing needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.infra.judges.judges import Finding, Report

Acknowledgments = dict[tuple[str, str], str]
"""Reasons by construct path and rule."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of the findings. Stale are acknowledgments that no deployment needs."""

    open: list[Finding]
    accepted: dict[Finding, str]
    stale: list[tuple[str, str]]


def verdict(reports: Sequence[Report], acknowledgments: Mapping[str, Acknowledgments]) -> Verdict:
    """Match findings with the acknowledgments of their deployment, by deployment.

    An acknowledgment on a construct is for all that the construct makes: a role's for its policy.
    """
    open_, accepted, used = [], {}, set()
    for finding in sorted({finding for report in reports for finding in report.findings}):
        own = acknowledgments[finding.deployment]
        for path in _ancestors(finding.path):
            if (path, finding.rule) in own:
                accepted[finding] = own[path, finding.rule]
                used.add((path, finding.rule))
                break
        else:
            open_.append(finding)
    given = {key for own in acknowledgments.values() for key in own}
    return Verdict(open=open_, accepted=accepted, stale=sorted(given - used))


def _ancestors(path: str) -> list[str]:
    """Return the path and those above it, but for the stack: nobody acknowledges for a whole stack."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 1, -1)]
