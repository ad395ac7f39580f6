"""Write each chain's generated ASL beside it: `python -m statemachines`.

The ARNs in it are examples of the right form; a deployment's own come from CloudFormation.
"""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.assertions import Template

from statemachines.order_workflow import Steps, order_workflow
from steps import limits

ACCOUNT, REGION, ENVIRONMENT = "000000000000", "us-east-1", "dev"


def asl() -> dict[Path, str]:
    """Synthesise every chain; return each ASL file's path and text."""
    stack = Stack(App(), "Asl")

    def function(step: str) -> lambda_.IFunction:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:email-{step}-{ENVIRONMENT}"
        return lambda_.Function.from_function_arn(stack, step, arn)

    steps = Steps(**{n: function(n) for n in ("validate", "dedup", "render", "send", "record")})
    sfn.StateMachine(
        stack,
        "OrderWorkflow",
        definition_body=sfn.DefinitionBody.from_chainable(order_workflow(stack, steps)),
        timeout=Duration.seconds(limits.MACHINE_TIMEOUT),
    )
    (machine,) = (
        Template.from_stack(stack).find_resources("AWS::StepFunctions::StateMachine").values()
    )
    definition = json.loads(machine["Properties"]["DefinitionString"])
    return {
        Path(__file__).with_name("order_workflow.asl.json"): json.dumps(definition, indent=2) + "\n"
    }


if __name__ == "__main__":
    for path, text in asl().items():
        path.write_text(text)
