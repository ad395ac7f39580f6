"""Requests, and IAM's answer to them by the policies of a deployment.

The rules are those of `@cloud-copilot/iam-simulate`: identity, resource, trust and key policies, all condition
operators, and which actions, resources and condition keys there are. moto's evaluator, the one other that
is kept and works offline, looks at no condition.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.infra.judges.policies import ACCOUNT, PolicyDocument, name_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.infra.judges.policies import Policies

ALLOWED = "Allowed"
DENIED = ("ImplicitlyDenied", "ExplicitlyDenied")

_RESOURCE_POLICIES = {
    "kms": "AWS::KMS::Key",
    "lambda": "AWS::Lambda::Permission",
    "sns": "AWS::SNS::TopicPolicy",
    "sqs": "AWS::SQS::QueuePolicy",
    "sts": "AWS::IAM::Role",
}
"""What holds the resource's own say, by the service that is asked."""

Context = tuple[tuple[str, str], ...]
"""Condition keys and their values."""


@dataclass(frozen=True, order=True)
class Request:
    """An action on an ARN (`*` where it takes none), with what the service knows of the request."""

    action: str
    resource: str
    context: Context = ()


@dataclass(frozen=True)
class Asked:
    """A request of a principal: a role's ARN, or a service such as `sns.amazonaws.com`.

    A role that is called like a managed policy has that policy.

    `granted` is a statement that a role has beside its policies of the templates, if any.
    """

    principal: str
    request: Request
    granted: bool = False


_LISTS = ("dynamodb:Attributes", "dynamodb:LeadingKeys")

_STANDS_IN = ("kms:EncryptionContext:aws:logs:arn", "kms:ViaService")
"""The simulator knows no condition key with a part of the caller's own; one that nothing asks for stands in."""


def answers(policies: Policies, asked: Sequence[Asked]) -> list[str]:
    """Return what IAM says to each: one of `ALLOWED`, `DENIED`, or what no request can be like."""
    simulations = [_simulation(policies, one) for one in asked]
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("simulate.mjs"))],
        input=json.dumps(simulations).replace(*_STANDS_IN),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said: list[str] = json.loads(done.stdout)
    return said


def _simulation(policies: Policies, asked: Asked) -> dict[str, Any]:
    request, role = asked.request, name_in(asked.principal)
    is_role = asked.principal.startswith("arn:")
    types = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
    identity = [_document(policy) for type_ in types for policy in of(policies, type_, role)]
    if asked.granted:
        identity.append(_allow(request))
    context: dict[str, str | list[str]] = {
        "aws:SecureTransport": "true",
        "aws:PrincipalIsAWSService": str(not is_role).lower(),
    }
    if is_role:
        context["aws:PrincipalArn"] = asked.principal
    for key, value in request.context:
        context[key] = [*context.get(key, ()), value] if key in _LISTS else value
    holder = _RESOURCE_POLICIES.get(request.action.partition(":")[0])
    resource = of(policies, holder, name_in(request.resource)) if holder else []
    assert len(resource) <= 1, f"only the first policy of {request.resource} would count"
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session"
    return {
        "request": {
            "principal": session if is_role else asked.principal,
            "action": request.action,
            "resource": {"resource": request.resource, "accountId": ACCOUNT},
            "contextVariables": context,
        },
        "identityPolicies": [
            {"name": str(number), "policy": document} for number, document in enumerate(identity)
        ],
        "resourcePolicy": resource[0].document if resource else None,
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }


def of(policies: Policies, type_: str, holder: str) -> list[PolicyDocument]:
    """Return the documents of a type that are for this role, topic, queue or key."""
    return [p for p in policies.documents if p.type == type_ and holder in p.holders]


def actions(policies: Policies, role: str) -> set[str]:
    """Return the actions, or patterns of actions, that a role's policies allow."""
    return {
        action
        for policy in of(policies, "AWS::IAM::Policy", name_in(role))
        for statement in policy.document["Statement"]
        for action in _listed(statement["Action"])
    }


def _listed(value: str | list[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value


def _document(policy: PolicyDocument) -> dict[str, Any]:
    return policy.document


def _allow(request: Request) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": request.action, "Resource": request.resource}
    return {"Version": "2012-10-17", "Statement": [statement]}
