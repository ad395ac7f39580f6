"""The audit log: who changed what, and why. Kept for 400 days, without addresses.

A line is written before the change and one after it, so that no change is without one.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steps.ledger.rules import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.operator.aws import Deployment

LOG_GROUP = "/order-mail/audit"
"""Its name is this, a dash and the environment."""

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


def without_addresses(text: str) -> str:
    """Return a text in which nobody is named by an address."""
    return _ADDRESS.sub("(address)", text)


@contextmanager
def audited(
    deployment: Deployment, what: str, *, why: str, **about: Any
) -> Iterator[dict[str, Any]]:
    """Write what is about to be changed; after it, what came of it: whatever was put into the yielded dict.

    Args:
        deployment: whose audit log.
        what: the command, such as `dead redrive`.
        why: the operator's own words.
        about: what it is about: order ids as logs show them, counts, names of queues.
    """
    log = _Log(deployment)
    said = {
        "change": uuid.uuid4().hex,
        "who": deployment.caller["Arn"],
        "what": what,
        "why": without_addresses(why),
        **about,
    }
    log.write({**said, "state": "begun"})
    done: dict[str, Any] = {}
    try:
        yield done
    except BaseException as error:
        log.write({**said, **done, "state": "failed", "error": type(error).__name__})
        raise
    log.write({**said, **done, "state": "done"})


class _Log:
    def __init__(self, deployment: Deployment) -> None:
        self._logs = deployment.client("logs")
        self._group = deployment.name(LOG_GROUP)
        # A stream of its own: nobody else's lines come between.
        self._stream = f"{iso(time.time())[:10]}/{uuid.uuid4().hex}"
        self._logs.create_log_stream(logGroupName=self._group, logStreamName=self._stream)

    def write(self, line: dict[str, Any]) -> None:
        now = time.time()
        self._logs.put_log_events(
            logGroupName=self._group,
            logStreamName=self._stream,
            logEvents=[
                {"timestamp": int(now * 1000), "message": json.dumps({"at": iso(now), **line})}
            ],
        )
