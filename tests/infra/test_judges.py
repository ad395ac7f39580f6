"""The judges of the templates: what they find is acknowledged, and they do find."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_sqs as sqs
from rich.console import Console

from infra import nag
from tests.infra.judges import judges
from tests.infra.judges.__main__ import show
from tests.infra.judges.judges import Finding, Report
from tests.infra.judges.verdict import Verdict, verdict
from tests.support.templates import Templates, resources

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.infra.judges.deployments import Deployment

BROKEN = "broken"
QUEUE = "email-notifications/email-order-queue"


@pytest.fixture(scope="module")
def broken(
    deployments: dict[str, Deployment], tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """A deployment with a fault for each judge, judged along with the others to save their start."""
    folder = tmp_path_factory.mktemp(BROKEN)
    deployment = replace(
        deployments["prod"],
        name=BROKEN,
        folder=folder,
        templates=copy.deepcopy(deployments["prod"].templates),
    )
    _break(deployment.templates)
    for file, template in deployment.files.items():
        file.write_text(json.dumps(template))
    return deployment


def _break(templates: Templates) -> None:
    template = templates["email-notifications-prod"]
    for queue in resources(template, "AWS::SQS::Queue").values():
        if queue["QueueName"] == "email-order-queue-prod":
            queue["VisibilityTimeOut"] = queue.pop("VisibilityTimeout")
    for topic in resources(template, "AWS::SNS::Topic").values():
        del topic["KmsMasterKeyId"]
    for policy in resources(template, "AWS::SQS::QueuePolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] == "sqs:SendMessage":
                statement["Action"] = "sqs:SendMesage"


@pytest.fixture(scope="module")
def reports(deployments: dict[str, Deployment], broken: Deployment) -> list[Report]:
    nagged = judges.cdk_nag(list(deployments.values()))
    others = (judges.cfn_lint, judges.checkov, judges.parliament)
    return [nagged, *judges.reports([*deployments.values(), broken], others)]


@pytest.fixture(scope="module")
def judged(reports: list[Report], deployments: dict[str, Deployment]) -> Verdict:
    given = {name: deployment.acknowledgments() for name, deployment in deployments.items()}
    return verdict(reports, given | {BROKEN: given["prod"]})


def test_what_the_judges_find_is_acknowledged(judged: Verdict) -> None:
    assert [finding for finding in judged.open if finding.deployment != BROKEN] == []


def test_what_is_acknowledged_is_still_found(judged: Verdict) -> None:
    assert judged.stale == []


FAULTS = [
    ("cfnlint-E3002", f"{QUEUE}/Resource"),
    ("checkov-CKV_AWS_26", "email-notifications/orders/Resource"),
    ("parliament-UNKNOWN_ACTION", f"{QUEUE}/Policy/Resource"),
]


@pytest.mark.parametrize(("rule", "path"), FAULTS)
def test_a_judge_finds_a_fault(judged: Verdict, rule: str, path: str) -> None:
    faults = {(f.rule, f.path) for f in judged.open if f.deployment == BROKEN}
    assert (rule, path) in faults


def test_the_program_shows_counts_reasons_and_what_is_open(
    judged: Verdict, reports: list[Report]
) -> None:
    console = Console(markup=False, width=200, file=io.StringIO(), record=True)
    assert not show(reports, judged, console)
    shown = console.export_text()
    for report in reports:
        assert report.judge in shown
        assert report.looked_at in shown
    for rule, path in FAULTS:
        assert f"open: {rule} on {path}" in shown
    assert "It is a dead-letter queue." in shown


def test_cdk_nag_stops_the_synth_at_a_fault(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    sqs.Queue(Stack(app, "stack"), "queue", encryption=sqs.QueueEncryption.UNENCRYPTED)
    nag.check(app)
    with pytest.raises(RuntimeError, match="AwsSolutions-SQS2"):
        app.synth()


# --- the verdict ----------------------------------------------------------------------------------


def finding(path: str = "stack/queue/Resource", deployment: str = "prod") -> Finding:
    return Finding("checkov-CKV_AWS_27", path, deployment, "not encrypted")


def report(*findings: Finding) -> list[Report]:
    return [Report("checkov", "all", frozenset(findings))]


def acknowledged(*paths: str) -> dict[tuple[str, str], str]:
    return {(path, finding().rule): "because" for path in paths}


@pytest.mark.parametrize("path", ["stack/queue", "stack/queue/Resource"])
def test_an_acknowledgment_holds_for_what_the_construct_makes(path: str) -> None:
    judged = verdict(report(finding()), {"prod": acknowledged(path)})
    assert judged.accepted == {finding(): "because"}
    assert (judged.open, judged.stale) == ([], [])


@pytest.mark.parametrize("path", ["stack", "stack/topic", "stack/queue/Resource/more"])
def test_no_other_acknowledgment_does(path: str) -> None:
    judged = verdict(report(finding()), {"prod": acknowledged(path)})
    assert judged.open == [finding()]
    assert judged.stale == [(path, finding().rule)]


def test_an_acknowledgment_is_its_own_deployment_s() -> None:
    given: Iterable[tuple[str, str]] = [("prod", "stack/queue"), ("dev", "stack/topic")]
    judged = verdict(
        report(finding(), finding(deployment="dev")),
        {deployment: acknowledged(path) for deployment, path in given},
    )
    assert judged.open == [finding(deployment="dev")]


def test_an_acknowledgment_that_one_deployment_needs_is_not_stale() -> None:
    judged = verdict(
        report(finding()),
        {"prod": acknowledged("stack/queue"), "dev": acknowledged("stack/queue")},
    )
    assert judged.stale == []
