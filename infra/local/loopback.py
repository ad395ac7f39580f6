"""Ports and HTTP on loopback, where all of the local stack listens."""

from __future__ import annotations

import json
import socket
import urllib.request
from contextlib import suppress
from typing import Any

LOOPBACK = "127.0.0.1"

# A proxy that a person has set is not for loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on at this moment, all different."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


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
    """Tell whether a GET of this URL is answered well."""
    with suppress(OSError), _opener.open(url, timeout=2):
        return True
    return False
