"""`order-mail` as a person runs it: a process of its own, with credentials that have a policy and no more."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.local.running_stack import RunningStack


@dataclass(frozen=True)
class Answer:
    """What a command said, and how it ended."""

    exit: int
    out: str
    notes: str

    @property
    def json(self) -> Any:
        """What `--json` printed."""
        assert self.out, self.notes
        return json.loads(self.out)


@dataclass(frozen=True)
class OrderMail:
    """The command line with somebody's credentials."""

    stack: RunningStack
    credentials: Mapping[str, str]

    def __call__(self, *words: str, answer: str = "", seconds: float = 120) -> Answer:
        """Run a command; `answer` is typed where it asks."""
        settings = self.stack.settings
        ended = subprocess.run(
            [sys.executable, "-m", "infra.operator", *words],
            env={
                **os.environ,
                **settings.client_env,
                **self.credentials,
                "ENVIRONMENT_SUFFIX": settings.environment_suffix,
                "COLUMNS": "400",  # no sentence is broken into lines
            },
            cwd=ROOT,
            input=answer,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Answer(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def order_mail(stack: RunningStack, role: str, *denied: str) -> Iterator[OrderMail]:
    """Have a person with the deployed policy `order-mail-<role>`, but for these actions.

    Args:
        stack: the deployed local stack.
        role: `support` or `operator`.
        denied: actions such as `sqs:ReceiveMessage`, which the policy allows and this person may not.
    """
    iam, name = stack.client("iam"), f"{role}-{secrets.token_hex(3)}"
    policy = f"arn:aws:iam::{stack.settings.account}:policy/{stack.name(f'order-mail-{role}')}"
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=policy)
    if denied:
        denial = {"Effect": "Deny", "Action": denied, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
        iam.put_user_policy(UserName=name, PolicyName="denied", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield OrderMail(
            stack,
            {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            },
        )
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        if denied:
            iam.delete_user_policy(UserName=name, PolicyName="denied")
        iam.detach_user_policy(UserName=name, PolicyArn=policy)
        iam.delete_user(UserName=name)
