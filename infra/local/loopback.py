"""Ports and HTTP on loopback, where all of the local stack listens."""

from __future__ import annotations

import http.client
import json
import random
import socket
import urllib.request
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
CHOICE = range(20_000, 32_768)
"""Where ports are chosen: below those that a kernel gives to connections and to listeners on port 0.

Such a one could take a port between the choice and the program's start.
"""

# A proxy that a person has set is not for loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_ports(count: int, besides: Iterable[int] = ()) -> list[int]:
    """Return loopback ports that nobody listens on at this moment, all different.

    Args:
        count: how many.
        besides: ports that somebody has chosen, but does not listen on yet.

    Raises:
        OSError: there are not so many.
    """
    choice = sorted({*CHOICE} - {*besides})
    shuffled = random.SystemRandom().sample(choice, len(choice))
    chosen = list(islice((port for port in shuffled if not is_taken(port)), count))
    if len(chosen) < count:
        raise OSError(f"fewer than {count} ports are free in {CHOICE}")
    return chosen


def is_taken(port: int) -> bool:
    """Tell whether another program listens on this loopback port."""
    try:
        # It reuses addresses: connections of a stack that just ended do not count.
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return True
    return False


def fetch(url: str, body: Any = None, method: str = "GET") -> Any:
    """Make an HTTP request; JSON in, JSON out.

    Raises:
        OSError: nobody answers, or with an error; then it is a `urllib.error.HTTPError`.
    """
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Content-Type": "application/json"},
    )
    with _opener.open(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


def answers(url: str) -> bool:
    """Tell whether a GET of this URL is answered well, in HTTP."""
    with suppress(OSError, http.client.HTTPException), _opener.open(url, timeout=2):
        return True
    return False
