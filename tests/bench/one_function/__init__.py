"""The baseline of the warm path: one function that an SNS topic invokes, and that does all five steps.

It has what a mail cannot do without, and nothing of what makes the system safe: no queue, no pacing, no
retries, no execution to look at. It is made of the deployed functions: their bundle, settings and runtime.
"""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from statemachines.order_workflow import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.running_stack import RunningStack

NAME = "bench-one-function"
CODE = Path(__file__).with_name("function.py")
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
ALLOWED = {"Effect": "Allow", "Action": ["dynamodb:*", "logs:*", "ses:*"], "Resource": "*"}


@contextmanager
def deployed(stack: RunningStack) -> Iterator[str]:
    """Have the function beside the stack's own for the length of a `with` block; yield its topic's ARN."""
    iam, sns, functions = (stack.client(name) for name in ("iam", "sns", "lambda"))
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=_policy(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=_policy(ALLOWED))
    topic: str = sns.create_topic(Name=NAME)["TopicArn"]
    function = functions.create_function(FunctionName=NAME, Role=role, **_made_of(stack, functions))
    arn = function["FunctionArn"]
    functions.add_permission(
        FunctionName=NAME,
        StatementId="topic",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    try:
        yield topic
    finally:
        sns.delete_topic(TopicArn=topic)
        functions.delete_function(FunctionName=NAME)
        iam.delete_role_policy(RoleName=NAME, PolicyName=NAME)
        iam.delete_role(RoleName=NAME)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _made_of(stack: RunningStack, functions: Any) -> dict[str, Any]:
    """Return what the function is created with: what the five steps have, together."""
    steps = [
        functions.get_function(FunctionName=stack.name(f"email-{step}")) for step in Steps.names()
    ]
    own = [step["Configuration"] for step in steps]
    with urlopen(steps[0]["Code"]["Location"]) as bundle:  # noqa: S310 - the emulator's own answer
        code = io.BytesIO(bundle.read())
    with zipfile.ZipFile(code, "a") as asset:
        asset.write(CODE, "one_function.py")
    variables = {
        name: value for each in own for name, value in each["Environment"]["Variables"].items()
    }
    return {
        "Runtime": own[0]["Runtime"],
        "MemorySize": own[0]["MemorySize"],
        "Timeout": sum(each["Timeout"] for each in own),
        "Handler": "one_function.handler",
        "Environment": {"Variables": variables},
        "Code": {"ZipFile": code.getvalue()},
    }
