"""`doctor`: what stands between a deployment and its first customer, with the command that mends each.

`facts.py` asks AWS and DNS, all at once; `checks.py` judges what was answered, and asks nobody. The list is
held against SES's advice ("Best practices for sending email using Amazon SES", SES Developer Guide) and the
rules of Gmail ("Email sender guidelines") and Yahoo ("Sender Best Practices") for 5,000 mails a day and more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.operator.doctor.checks import BY_HAND, Place, State, judge
from infra.operator.doctor.facts import gather, resolve
from infra.operator.errors import OperatorError

if TYPE_CHECKING:
    from infra.operator.aws import Deployment
    from infra.operator.doctor.checks import Finding
    from infra.operator.doctor.facts import Resolver


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What each check found, and what is to be looked at by hand since no API tells it."""

    findings: list[Finding]
    by_hand: list[str]

    def count(self, state: State) -> int:
        """Count the findings of a state."""
        return sum(finding.state is state for finding in self.findings)


def examine(
    deployment: Deployment, volume: int | None = None, resolver: Resolver = resolve
) -> Examination:
    """Ask for all facts, and judge them.

    Args:
        deployment: of which environment.
        volume: mails a day that are expected; None where nobody says so.
        resolver: asks DNS.

    Raises:
        OperatorError: nothing was answered.
    """
    place = Place(deployment.env, deployment.region, deployment.account)
    findings = judge({**gather(deployment, resolver), "place": place, "volume": volume})
    if all(finding.state in {State.UNKNOWN, State.SKIPPED} for finding in findings):
        raise OperatorError(f"nothing was answered: {findings[0].sentence}")
    return Examination(findings=findings, by_hand=list(BY_HAND))
