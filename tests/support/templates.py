"""The app's CloudFormation templates: synthesised, and questions to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra.app import build
from infra.bundling import AWS_LAMBDA, Bundle
from infra.config import Config

AWS_SETTINGS = {
    "CDK_DEFAULT_ACCOUNT": "123456789012",
    "CDK_DEFAULT_REGION": "us-east-1",
    "VERIFIED_DOMAIN": "shop.example",
}
"""What must be set on AWS."""

PRODUCTION = AWS_SETTINGS | {
    "NOTIFICATION_EMAILS": "ops@shop.example",
    "ENVIRONMENT_SUFFIX": "prod",
}

PATHS = "aws:cdk:enable-path-metadata"

Properties = dict[str, Any]
"""A resource's properties, or a part of them."""

Template = dict[str, Any]
Templates = dict[str, Template]
"""Each stack's template by its name."""


def synth(out: Path, **settings: str) -> Templates:
    """Synthesise a production deployment with these settings into `out`; findings of cdk-nag raise."""
    # Paths as the CDK CLI asks for them: whoever finds fault with a resource can name its construct.
    context = json.loads(Path("cdk.json").read_text())["context"] | {PATHS: True}
    app = App(outdir=str(out), context=context)
    directory = out.parent / "bundle"
    directory.mkdir(exist_ok=True)
    (directory / "steps.txt").write_text("stands in for the bundle, which has a test of its own")
    bundle = Bundle(directory=directory, target=AWS_LAMBDA)
    build(app, Config.from_environment(PRODUCTION | settings, local=False), bundle)
    return {stack.stack_name: stack.template for stack in app.synth().stacks}


class Deployments:
    """Synthesises a production deployment with some settings, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Templates] = {}

    def __call__(self, **settings: str) -> Templates:
        """Return the templates of a deployment with these settings; findings of cdk-nag raise."""
        name = json.dumps(settings, sort_keys=True)
        if name not in self._made:
            out = self._folder / str(len(self._made)) / "out"
            out.parent.mkdir(parents=True)
            self._made[name] = synth(out, **settings)
        return self._made[name]


def notifications(templates: Templates) -> Template:
    """Return the template of the order path in production."""
    return templates["email-notifications-prod"]


def monitoring(templates: Templates) -> Template:
    """Return the template of reports and alarms in production."""
    return templates["cost-monitoring-prod"]


def resources(template: Template, type_: str) -> dict[str, Properties]:
    """Return the properties of all resources of a type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == type_
    }


def property_values(template: Template, type_: str, key: str) -> set[str]:
    """Return the values of a property, such as a name, of all resources of a type."""
    return {properties[key] for properties in resources(template, type_).values()}


# --- permissions ----------------------------------------------------------------------------------


def statements(template: Template, function: str) -> list[Properties]:
    """Return what a function's role allows, besides writing its own logs."""
    functions = resources(template, "AWS::Lambda::Function").values()
    (role,) = [f["Role"]["Fn::GetAtt"][0] for f in functions if f["FunctionName"] == function]
    assert template["Resources"][role]["Properties"].get("ManagedPolicyArns") is None
    return [
        statement
        for policy in resources(template, "AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
        if allowed_actions(statement)
    ]


OWN_LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def allowed_actions(statement: Properties) -> set[str]:
    """Return a statement's actions, without those on the function's own logs."""
    action = statement["Action"]
    return ({action} if isinstance(action, str) else set(action)) - OWN_LOGS


def function_actions(template: Template, function: str) -> set[str]:
    """Return all actions that a function's role allows."""
    return {a for statement in statements(template, function) for a in allowed_actions(statement)}


# --- state machines -------------------------------------------------------------------------------


def definition(machine: Properties) -> dict[str, Any]:
    """Return a state machine's ASL as deployed; what CloudFormation fills in is `ARN`."""
    _separator, parts = machine["DefinitionString"]["Fn::Join"]
    asl: dict[str, Any] = json.loads(
        "".join(part if isinstance(part, str) else "ARN" for part in parts)
    )
    return asl


def without_arns(node: Any) -> Any:
    """Return a part of an ASL without the names of functions and topics."""
    if isinstance(node, dict):
        return {
            key: without_arns(value)
            for key, value in node.items()
            if key not in ("Resource", "TopicArn")
        }
    return [without_arns(entry) for entry in node] if isinstance(node, list) else node
