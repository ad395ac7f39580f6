"""The policy documents of a deployment, with the names and ARNs that CloudFormation would fill in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.support.templates import AWS_SETTINGS, Properties, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.judges.deployments import Deployment

ACCOUNT = AWS_SETTINGS["CDK_DEFAULT_ACCOUNT"]

ARNS = {
    "AWS::DynamoDB::GlobalTable": "dynamodb:{region}:{account}:table/{TableName}",
    "AWS::CloudWatch::Alarm": "cloudwatch:{region}:{account}:alarm:{AlarmName}",
    "AWS::IAM::ManagedPolicy": "iam::{account}:policy/{ManagedPolicyName}",
    "AWS::IAM::Role": "iam::{account}:role/{id}",
    "AWS::KMS::Key": "kms:{region}:{account}:key/{id}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{FunctionName}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{LogGroupName}:*",
    "AWS::SES::ConfigurationSet": "ses:{region}:{account}:configuration-set/{Name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{TopicName}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{QueueName}",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{StateMachineName}",
}
"""The ARN of each type of resource that a policy speaks of, less `arn:aws:`."""

REF_IS_ARN = ("AWS::SNS::Topic", "AWS::StepFunctions::StateMachine")
"""Of the others a policy takes by `Ref` the last part of the ARN, which is the name."""


HOLDERS = {
    "AWS::IAM::Policy": "Roles",
    "AWS::Lambda::Permission": "FunctionName",
    "AWS::SNS::TopicPolicy": "Topics",
    "AWS::SQS::QueuePolicy": "Queues",
}
"""Where a resource that is nothing but a policy says whose it is. The others' policy is their own."""


@dataclass(frozen=True, kw_only=True)
class PolicyDocument:
    """A document, and the resource that has it: an `AWS::IAM::Role` has the one of who may assume it.

    `holders` are the names of those that it is for: roles, topics, queues, the key or role itself.
    """

    path: str
    type: str
    holders: frozenset[str]
    document: dict[str, Any]


@dataclass(frozen=True)
class Policies:
    """The documents of one deployment."""

    deployment: Deployment

    @cached_property
    def documents(self) -> list[PolicyDocument]:
        """Every policy document, wherever in a resource; an `AWS::Lambda::Permission` counts as one."""
        return [
            PolicyDocument(
                path=self.deployment.path(stack, logical_id),
                type=resource["Type"],
                holders=self._holders(stack, logical_id),
                document=self._resolved(stack, document),
            )
            for stack, template in self.deployment.templates.items()
            for logical_id, resource in template["Resources"].items()
            for document in _documents(_as_document(resource))
        ]

    @cached_property
    def roles(self) -> dict[str, str]:
        """The roles' ARNs by the path of their construct in its stack: `email-send-role`."""
        return {
            self.deployment.path(stack, logical_id)
            .partition("/")[2]
            .removesuffix("/Resource"): self._arn(stack, logical_id)
            for stack, template in self.deployment.templates.items()
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == "AWS::IAM::Role"
        }

    def _holders(self, stack: str, logical_id: str) -> frozenset[str]:
        resource = self.deployment.templates[stack]["Resources"][logical_id]
        if resource["Type"] in HOLDERS:
            named = self._resolved(stack, resource["Properties"][HOLDERS[resource["Type"]]])
        else:
            named = self._arn(stack, logical_id)
        return frozenset(map(name_in, [named] if isinstance(named, str) else named))

    def _arn(self, stack: str, logical_id: str) -> str:
        resource = self.deployment.templates[stack]["Resources"][logical_id]
        names = {"region": self.deployment.region, "account": ACCOUNT, "id": logical_id}
        return "arn:aws:" + ARNS[resource["Type"]].format_map(names | resource["Properties"])

    def _resolved(self, stack: str, node: Any) -> Any:
        """Resolve CloudFormation's functions; one that is not known raises KeyError."""
        if isinstance(node, list):
            return [self._resolved(stack, entry) for entry in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and (name := next(iter(node))).startswith(("Ref", "Fn::")):
            functions: dict[str, Callable[[str, Any], Any]] = {
                "Ref": self._ref,
                "Fn::GetAtt": self._get_att,
                "Fn::Join": self._join,
                "Fn::ImportValue": self._import,
            }
            return functions[name](stack, node[name])
        return {key: self._resolved(stack, value) for key, value in node.items()}

    def _ref(self, stack: str, logical_id: str) -> str:
        if logical_id == "AWS::Partition":
            return "aws"
        arn = self._arn(stack, logical_id)
        is_arn = self.deployment.templates[stack]["Resources"][logical_id]["Type"] in REF_IS_ARN
        return arn if is_arn else name_in(arn)

    def _get_att(self, stack: str, of: list[str]) -> str:
        logical_id, attribute = of
        assert attribute == "Arn", f"what is {logical_id}.{attribute}?"
        return self._arn(stack, logical_id)

    def _join(self, stack: str, arguments: list[Any]) -> str:
        separator, parts = arguments
        return str(separator).join(self._resolved(stack, parts))

    def _import(self, _stack: str, name: str) -> Any:
        return self._resolved(*self._exports[name])

    @cached_property
    def _exports(self) -> dict[str, tuple[str, Any]]:
        return {
            output["Export"]["Name"]: (stack, output["Value"])
            for stack, template in self.deployment.templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }


def name_in(arn: str) -> str:
    """Return the last part of an ARN, which is the resource's name."""
    return arn.rpartition(":")[2].rpartition("/")[2]


def _as_document(resource: Template) -> Properties:
    """Return a resource's properties; those of a permission as what Lambda makes of it: a policy."""
    properties: Properties = resource.get("Properties", {})
    if resource["Type"] != "AWS::Lambda::Permission":
        return properties
    named = {"Action", "FunctionName", "Principal", "SourceArn"}
    assert named <= set(properties) <= named | {"SourceAccount"}, properties
    conditions: Properties = {"ArnLike": {"aws:SourceArn": properties["SourceArn"]}}
    if account := properties.get("SourceAccount"):
        conditions["StringEquals"] = {"aws:SourceAccount": account}
    statement = {
        "Effect": "Allow",
        "Action": properties["Action"],
        "Principal": {"Service": properties["Principal"]},
        "Resource": properties["FunctionName"],
        "Condition": conditions,
    }
    return {"Policy": {"Version": "2012-10-17", "Statement": [statement]}}


def _documents(node: Any) -> Iterator[dict[str, Any]]:
    """Find whatever is a policy document below `node`."""
    if isinstance(node, dict):
        if isinstance(node.get("Statement"), list):
            yield node
        for child in node.values():
            yield from _documents(child)
    elif isinstance(node, list):
        for child in node:
            yield from _documents(child)
