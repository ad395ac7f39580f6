"""Who may call the servers of the local stack: programs of this machine, and a server's own page.

They listen on loopback, but so does the browser: any web page that a person visits may ask it to call them. So
a request is refused whose

- `Host` is no name of loopback, with the server's port: a foreign name that resolves to loopback would make
  a foreign page the server's own (DNS rebinding);
- `Origin` is not the server's own: fetch, forms and websockets of another page, also of another port;
- `Sec-Fetch-Site` (W3C Fetch Metadata) says that another page asks: pictures, frames and links have no
  `Origin`.

SDKs, the AWS CLI, the CDK and curl send a `Host` alone. No page of ours calls another server of ours, so
there is no exception. MailDev is a Node program: `gate.mjs` says the same there, and the tests ask both.

The standard library only: it runs in the emulator's environment, too.
"""

from __future__ import annotations

import base64
import hashlib
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Asgi = Callable[[Any, Any, Any], Awaitable[None]]

_HOST = re.compile(r"(?:(?:[a-z0-9._-]+\.)?localhost|127\.0\.0\.1|\[::1\]):(\d+)")
"""Names below `localhost` are loopback's (RFC 6761); S3 clients put the bucket there."""

NO_PAGE = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""The `Content-Security-Policy` of what is data, should a browser show it."""


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


def page(html: str) -> str:
    """Return the policy of a page of ours: the script and the style that are in it, and its own server."""
    return (
        f"default-src 'none'; script-src {_hashes(html, 'script')}; style-src {_hashes(html, 'style')};"
        " img-src data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )


def foreign_page(html: str) -> str:
    """Return the policy of a page of somebody else's: its server's scripts, any style, any picture."""
    return (
        f"default-src 'none'; script-src 'self' {_hashes(html, 'script')}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'self';"
        " form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(html: str, tag: str) -> str:
    texts = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def browser_headers(policy: str) -> list[tuple[str, str]]:
    """Return what each answer says to a browser."""
    return [("Content-Security-Policy", policy), ("X-Content-Type-Options", "nosniff")]


class GatedHandler(BaseHTTPRequestHandler):
    """The gate of the standard library's servers, and of Werkzeug's, which is built on them."""

    def policy(self, path: str) -> str:  # noqa: ARG002 - for those that have pages
        """Return the policy of what is at a path, with its query."""
        return NO_PAGE

    def parse_request(self) -> bool:
        """Answer a request that may not pass, and hang up: its body was not read, and is no request."""
        if not super().parse_request():
            return False
        server: Any = self.server
        if reason := refusal(self.headers.items(), server.server_address[1]):
            self.send_error(HTTPStatus.FORBIDDEN, explain=reason)
            return False
        return True

    def end_headers(self) -> None:
        """Add what each answer says to a browser."""
        for header in browser_headers(self.policy(getattr(self, "path", ""))):
            self.send_header(*header)
        super().end_headers()


def gated(app: Asgi, port: int | None, policy: str) -> Asgi:
    """Return an ASGI application behind the gate."""
    more = [(name.lower().encode(), value.encode()) for name, value in browser_headers(policy)]

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        async def answer(event: Any) -> None:
            if event["type"] == "http.response.start":
                event = event | {"headers": [*event.get("headers", []), *more]}
            await send(event)

        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        sent = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        reason = refusal(sent, port)
        if reason is None:
            await app(scope, receive, answer)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            start = {"type": "http.response.start", "status": HTTPStatus.FORBIDDEN}
            await answer(start | {"headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": f"{reason}\n".encode()})

    return gate
