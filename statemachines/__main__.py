"""Write each chain's generated ASL beside it: `python -m statemachines`.

The ARNs in it are examples of the right form; a deployment's own come from CloudFormation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aws_cdk import App, Duration, Environment, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.assertions import Template

from statemachines.bounce_rate_check import bounce_rate_check
from statemachines.cost_analysis import cost_analysis
from statemachines.order_workflow import Steps, order_workflow
from statemachines.reconciliation import reconciliation
from statemachines.scheduled_report import ScheduledReport
from steps.contract import limits

ACCOUNT, REGION, ENVIRONMENT = "000000000000", "us-east-1", "dev"


def asl() -> dict[Path, str]:
    """Synthesise every chain; return each ASL file's path and text."""
    app = App(context={"@aws-cdk/core:enablePartitionLiterals": True})
    stack = Stack(app, "Asl", env=Environment(account=ACCOUNT, region=REGION))

    def function(name: str) -> lambda_.IFunction:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}-{ENVIRONMENT}"
        return lambda_.Function.from_function_arn(stack, name, arn)

    def report(
        name: str, task: str, task_timeout: int = limits.REPORT_TASK_TIMEOUT
    ) -> ScheduledReport:
        topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:email-alerts-{ENVIRONMENT}"
        alerts = sns.Topic.from_topic_arn(stack, f"{name}-alerts", topic)
        return ScheduledReport(
            scope=stack,
            name=name,
            function=function(task),
            alerts=alerts,
            task_timeout=task_timeout,
        )

    steps = Steps(**{name: function(f"email-{name}") for name in Steps.names()})
    chains = {
        "order_workflow": order_workflow(stack, steps),
        "cost_analysis": cost_analysis(report("cost-analysis", "cost-monitoring")),
        "bounce_rate_check": bounce_rate_check(
            report("bounce-rate-check", "email-bounce-rate"), pause=function("email-pause")
        ),
        "reconciliation": reconciliation(
            report("reconciliation", "email-reconciliation", limits.RECONCILIATION_TASK_TIMEOUT)
        ),
    }
    bounds = {
        "order_workflow": limits.MACHINE_TIMEOUT,
        "reconciliation": limits.RECONCILIATION_MACHINE_TIMEOUT,
    }
    for name, chain in chains.items():
        sfn.StateMachine(
            stack,
            f"{name}-machine",
            comment=name,
            definition_body=sfn.DefinitionBody.from_chainable(chain),
            timeout=Duration.seconds(bounds.get(name, limits.REPORT_MACHINE_TIMEOUT)),
        )
    machines = Template.from_stack(stack).find_resources("AWS::StepFunctions::StateMachine")
    definitions = [
        json.loads(_plain(m["Properties"]["DefinitionString"])) for m in machines.values()
    ]
    return {
        Path(__file__).with_name(f"{d.pop('Comment')}.asl.json"): json.dumps(d, indent=2) + "\n"
        for d in definitions
    }


def _plain(definition: str | dict[str, Any]) -> str:
    """Join what CloudFormation would join; the partition is the one token in a definition."""
    if isinstance(definition, str):
        return definition
    _separator, parts = definition["Fn::Join"]
    return "".join(part if isinstance(part, str) else "aws" for part in parts)


if __name__ == "__main__":
    for path, text in asl().items():
        path.write_text(text)
