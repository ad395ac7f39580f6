"""Each judge: deployments in, findings out."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.infra.judges.deployments import SETTINGS, without_environment
from tests.infra.judges.policies import Policies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.infra.judges.deployments import Deployment

JUDGES_BIN = Path(".local/judges/bin").absolute()
TIMEOUT = 300
"""For one judge over all deployments, in seconds: ten take half a minute on a busy machine."""


@dataclass(frozen=True, order=True)
class Finding:
    """What a judge finds fault with. The rule has the judge's name: `checkov-CKV_AWS_117`."""

    rule: str
    path: str
    deployment: str
    message: str = field(compare=False)


@dataclass(frozen=True)
class Report:
    """What a judge said, and how much it looked at."""

    judge: str
    looked_at: str
    findings: frozenset[Finding]


def cdk_nag(deployments: Sequence[Deployment]) -> Report:
    """Return what cdk-nag found at synth. What is not acknowledged stopped the synth."""
    findings = frozenset(
        Finding(
            violation["ruleName"],
            without_environment(construct["constructPath"]),
            deployment.name,
            violation["description"],
        )
        for deployment in deployments
        for pack in deployment.nag_report()
        for violation in (*pack["violations"], *pack["suppressedViolations"])
        for construct in violation["violatingConstructs"]
    )
    packs = {pack["pluginName"] for deployment in deployments for pack in deployment.nag_report()}
    return Report("cdk-nag", f"the packs {' and '.join(sorted(packs))}", findings)


def cfn_lint(deployments: Sequence[Deployment]) -> Report:
    """Lint every template for every region, errors and warnings."""
    regions = [settings["CDK_DEFAULT_REGION"] for settings in SETTINGS.values()]
    files = _files(deployments)
    matches = _json(["cfn-lint", "--format", "json", "--regions", *regions, "--", *files])
    findings = set()
    for match in matches:
        deployment, stack = files[match["Filename"]]
        location: list[str] = match["Location"]["Path"]
        section, logical_id, *_ = *location, "", ""
        path = deployment.path(stack, logical_id) if section == "Resources" else stack
        rule = f"cfnlint-{match['Rule']['Id']}"
        findings.add(Finding(rule, path, deployment.name, match["Message"]))
    return Report(
        "cfn-lint", f"{len(files)} templates in {len(regions)} regions", frozenset(findings)
    )


def checkov(deployments: Sequence[Deployment]) -> Report:
    """Run checkov's checks of CloudFormation, with nothing but what is in its package."""
    files = _files(deployments)
    command = [str(JUDGES_BIN / "checkov"), "--framework", "cloudformation", "--skip-download"]
    command += ["--compact", "--soft-fail", "--output", "json", "--file", *files]
    report = _json(command)
    assert not report["results"]["parsing_errors"]
    findings = set()
    for failed in report["results"]["failed_checks"]:
        deployment, stack = files[failed["file_abs_path"]]
        path = deployment.path(stack, failed["resource"].rpartition(".")[2])
        rule = f"checkov-{failed['check_id']}"
        findings.add(Finding(rule, path, deployment.name, failed["check_name"]))
    summary = report["summary"]
    looked_at = (
        f"{summary['passed'] + summary['failed']} checks of {summary['resource_count']} resources"
    )
    return Report("checkov", looked_at, frozenset(findings))


def parliament(deployments: Sequence[Deployment]) -> Report:
    """Lint every policy document, of roles, topics, queues and the key.

    Who may assume a role is not for parliament, which takes each document for a role's own: it is
    for tests/infra/test_permissions.py.
    """
    documents = [
        (deployment.name, policy)
        for deployment in deployments
        for policy in Policies(deployment).documents
        if policy.type != "AWS::IAM::Role"
    ]
    answers = _run(
        [str(JUDGES_BIN / "python"), str(Path(__file__).with_name("parliament_program.py"))],
        "\n".join(json.dumps(policy.document) for _, policy in documents),
    ).splitlines()
    findings = frozenset(
        Finding(f"parliament-{rule}", policy.path, deployment, detail)
        for (deployment, policy), answer in zip(documents, answers, strict=True)
        for rule, detail in json.loads(answer)
    )
    return Report("parliament", f"{len(documents)} policies", findings)


JUDGES = (cdk_nag, cfn_lint, checkov, parliament)


def reports(
    deployments: Sequence[Deployment],
    judges: Iterable[Callable[[Sequence[Deployment]], Report]] = JUDGES,
) -> list[Report]:
    """Ask all judges at once: the two slow ones are processes of their own."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda judge: judge(deployments), judges))


def _files(deployments: Sequence[Deployment]) -> dict[str, tuple[Deployment, str]]:
    return {
        str(deployment.folder / f"{stack}.template.json"): (deployment, stack)
        for deployment in deployments
        for stack in deployment.templates
    }


def _json(command: list[str]) -> Any:
    return json.loads(_run(command))


def _run(command: list[str], text: str = "") -> str:
    """Return what a judge prints."""
    # A shell's own settings, such as a platform's API key, must not change the verdict.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        command,
        input=text,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    # cfn-lint's exit status has a bit for each kind of finding; a judge that fell says so on stderr.
    assert done.stdout, f"{command[0]} said nothing but: {done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout
