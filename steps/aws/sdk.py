"""Client settings, and the one place where the SDK's errors become ours.

Clients are made on first use, so that a function pays for what it calls. What a call may cost in time is
set by `steps.contract.limits`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from steps.contract.errors import OrderMailError

SERVER_ERROR = 500
"""The first of HTTP's server errors (RFC 9110, 15.6)."""


def client_config(*, connect: float, read: float, attempts: int, connections: int = 10) -> Config:
    """Return a client's bounds: time-outs in seconds, attempts with the first, connections at once."""
    return Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=connections,
    )


def error_code(error: ClientError) -> str:
    """Return what AWS calls the error, such as `ThrottlingException`."""
    return error.response["Error"]["Code"]


def is_server_error(error: ClientError) -> bool:
    """Whether AWS answered 5xx."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR


@contextmanager
def translated(
    service: str,
    unavailable: type[OrderMailError],
    refused: Callable[[ClientError], type[OrderMailError]] | None = None,
    unmade: Mapping[type[BotoCoreError], type[OrderMailError]] | None = None,
) -> Iterator[None]:
    """Raise our own error for whatever the SDK raises: `service` answered a code, or did not answer.

    `unavailable` is raised where no answer came; for an answer `refused` chooses, where there is one. So
    does `unmade` for a request that never left.
    """
    try:
        yield
    except ClientError as error:
        ours = refused(error) if refused else unavailable
        raise ours(f"{service} answered {error_code(error)}") from error
    except BotoCoreError as error:
        name = type(error).__name__
        for kind, ours in (unmade or {}).items():
            if isinstance(error, kind):
                raise ours(f"no request to {service} was made ({name})") from error
        raise unavailable(f"no answer from {service} ({name})") from error
