"""The door to AWS: an environment's names and clients, with the caller's credentials and nothing else."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from infra.operator.errors import Denied, NotFound, OperatorError
from steps.aws.ledger_table import LedgerTable
from steps.aws.sdk import client_config, error_code
from steps.aws.sources import ReportsTable
from steps.contract.errors import OrderMailError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONFIG = client_config(connect=3, read=20, attempts=4, connections=32)
# SES answers all actions but sends once a second, together (SES Developer Guide, "Service quotas").
_SES_CONFIG = client_config(connect=3, read=20, attempts=8)

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError"})
"""What AWS's services call a permission that is missing."""

ABSENT = frozenset(
    {
        *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NotFound"),
        *("NotFoundException", "ResourceNotFoundException", "StateMachineDoesNotExist"),
    }
)
"""What AWS's services call something that does not exist."""

_ACTION = re.compile(r"perform: ([a-zA-Z0-9-]+:[A-Za-z]+)")


@dataclass(frozen=True)
class Deployment:
    """One environment in one region, as its operators reach it.

    `AWS_ENDPOINT_URL` and `AWS_PROFILE` work as in every boto3 program.
    """

    env: str
    region: str

    @classmethod
    def reach(cls, env: str, region: str | None = None) -> Deployment:
        """Choose the environment, for this process: the functions' doors, which are used here, follow.

        Raises:
            OperatorError: no region is known, or there is no such profile.
        """
        try:
            boto3.setup_default_session(region_name=region)
            chosen = boto3.Session(region_name=region).region_name
        except BotoCoreError as error:
            raise OperatorError(f"AWS cannot be asked: {error}") from error
        if not chosen:
            raise OperatorError("which region? Say --region, or set AWS_REGION")
        return cls(env, chosen)

    def client(self, service: Any) -> Any:
        """Return a client of the region, made once."""
        return _client(service, self.region)

    def ready(self, *services: str) -> None:
        """Make the clients of services before threads ask for them: boto3's session is not for several."""
        for service in services:
            self.client(service)

    def name(self, base: str) -> str:
        """Return a resource's name: `base`-`env`."""
        return f"{base}-{self.env}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of one of the environment's resources, given without its environment."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{self.name(resource)}"

    @cached_property
    def caller(self) -> dict[str, str]:
        """Who calls, by STS: `Account`, `Arn`."""
        answer: dict[str, str] = self.client("sts").get_caller_identity()
        return answer

    @property
    def account(self) -> str:
        """The account's twelve digits."""
        return self.caller["Account"]

    @property
    def who(self) -> str:
        """The caller as people know them: the last part of their ARN, a user's name or a session's."""
        return self.caller["Arn"].rpartition("/")[2].rpartition(":")[2]

    @property
    def ledger(self) -> LedgerTable:
        """The tracking table."""
        return LedgerTable(self.name("email-delivery-tracking"))

    @property
    def reports(self) -> ReportsTable:
        """The reports table."""
        return ReportsTable(self.name("email-reports"))

    @property
    def configuration_set(self) -> str:
        """The name of SES's configuration set."""
        return self.name("email-notifications")

    @property
    def orders_topic(self) -> str:
        """The ARN of the topic to which shops publish orders."""
        return self.arn("sns", "email-order-events")

    def settings_of(self, function: str) -> dict[str, str]:
        """Return a function's settings: its environment variables."""
        found = self.client("lambda").get_function_configuration(FunctionName=self.name(function))
        settings: dict[str, str] = found["Environment"]["Variables"]
        return settings

    def queue_url(self, base: str) -> str:
        """Return a queue's URL."""
        return _queue_url(self.client("sqs"), self.name(base))

    def console(self, service: str, path: str) -> str:
        """Return a link into the AWS console: `path` is what follows the region's home."""
        return f"https://{self.region}.console.aws.amazon.com/{service}/home?region={self.region}#{path}"


@cache
def _client(service: Any, region: str) -> Any:
    if service != "sesv2":
        return boto3.client(service, region_name=region, config=_CONFIG)
    client = boto3.client(service, region_name=region, config=_SES_CONFIG)
    pace = Pace()
    client.meta.events.register("before-send.sesv2", pace.wait)
    client.meta.events.register("response-received.sesv2", pace.heed)
    return client


class Pace:
    """Keeps a client to one request a second, from the first on that is throttled.

    Without it each request that follows a good one at once is throttled, and waits for twice as long each time.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Let all through, for now."""
        self._clock, self._sleep = clock, sleep
        self._lock = Lock()
        self._throttled = False
        self._sent = 0.0

    def wait(self, **_: Any) -> None:
        """Let a request through, a second after the one before it. An event handler of botocore's."""
        with self._lock:
            if self._throttled:
                self._sleep(max(0.0, self._sent + 1 - self._clock()))
            self._sent = self._clock()

    def heed(self, *, response_dict: dict[str, Any] | None = None, **_: Any) -> None:
        """Hear what was answered. An event handler of botocore's."""
        if (response_dict or {}).get("status_code") == HTTPStatus.TOO_MANY_REQUESTS:
            self._throttled = True


@cache
def _queue_url(sqs: Any, name: str) -> str:
    url: str = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return url


@contextmanager
def explained(deployment: Deployment) -> Iterator[None]:
    """Say what an error of AWS's means for whoever called, and what to do next.

    Raises:
        OperatorError: instead of the SDK's error.
    """
    place = f"environment {deployment.env} in {deployment.region}"
    try:
        yield
    except ClientError as error:
        raise _explained(error, place) from error
    except OrderMailError as error:
        # The functions' own doors, which are used here, have translated it.
        if isinstance(error.__cause__, ClientError):
            raise _explained(error.__cause__, place) from error
        raise _unanswered(error.__cause__ or error, deployment) from error
    except BotoCoreError as error:
        raise _unanswered(error, deployment) from error


def _unanswered(error: BaseException, deployment: Deployment) -> OperatorError:
    if isinstance(error, NoCredentialsError):
        return OperatorError(
            "no AWS credentials: set AWS_PROFILE, or log in (aws sso login). For the local stack, see "
            "README.md, 'Publish an order event'"
        )
    where = (
        "AWS_ENDPOINT_URL names it: does the local stack run (make status)?"
        if os.environ.get("AWS_ENDPOINT_URL")
        else f"Is this machine online, and is the region right ({deployment.region})?"
    )
    return OperatorError(f"AWS does not answer: {error}. {where} Then ask again")


def _explained(error: ClientError, place: str) -> OperatorError:
    code, message = error_code(error), error.response["Error"].get("Message", "")
    if code in DENIED:
        action = _ACTION.search(message)
        needs = action[1] if action else error.operation_name
        return Denied(
            f"you may not do that: {needs} is denied. The policies order-mail-support and order-mail-operator "
            f"of {place} allow it: infra/operator/README.md, 'Who may do what'"
        )
    if code in ABSENT:
        return NotFound(
            f"there is no such thing in {place} ({error.operation_name}: {code}). Is it deployed? "
            "Say --env and --region"
        )
    return OperatorError(f"{error.operation_name} failed: {code}: {message}")
