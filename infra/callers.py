"""Who may call a server that listens on loopback: programs of this machine, and the server's own page.

So does the browser: any web page that a person visits may ask it to call one. So a request is refused whose

- `Host` is no name of loopback, with the server's port: a foreign name that resolves to loopback would make
  a foreign page the server's own (DNS rebinding);
- `Origin` is not the server's own: fetch, forms and websockets of another page, also of another port;
- `Sec-Fetch-Site` (W3C Fetch Metadata) says that another page asks: pictures, frames and links have no
  `Origin`.

The standard library only: it runs in the emulator's environment, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOST = re.compile(r"(?:(?:[a-z0-9._-]+\.)?localhost|127\.0\.0\.1|\[::1\]):(\d+)")
"""Names below `localhost` are loopback's (RFC 6761); S3 clients put the bucket there."""


def refusal(headers: Iterable[tuple[str, str]], port: int | None) -> str | None:
    """Return why a request with these headers is refused; None where it may pass.

    Args:
        headers: all of them, repeated ones, too.
        port: the server's; None where it is asked by others who pass on what was signed for their own.
    """
    sent: dict[str, list[str]] = {"host": [], "origin": [], "sec-fetch-site": []}
    for name, value in headers:
        sent.get(name.lower(), []).append(value)
    host, *more = sent["host"] or [""]
    loopback = _HOST.fullmatch(host)
    if more or not loopback or int(loopback[1]) != (port or int(loopback[1])):
        return "Host is no name of this server on loopback"
    if set(sent["origin"]) - {f"http://{host}"}:
        return "another page's Origin"
    if set(sent["sec-fetch-site"]) - {"same-origin", "none"}:
        return "another page asks, or has a link here: type the address in"
    return None
