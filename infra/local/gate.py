"""The gate before the servers of the local stack: who may call them, and what browsers are told.

`infra/callers.py` has the rule. SDKs, the AWS CLI, the CDK and curl send a `Host` alone. No page of ours calls
another server of ours, so there is no exception. MailDev is a Node program: `gate.mjs` says the same there, and
the tests ask both.

The standard library only: it runs in the emulator's environment, too.
"""

from __future__ import annotations

import base64
import hashlib
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from infra.callers import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Asgi = Callable[[Any, Any, Any], Awaitable[None]]

NO_PAGE = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""The `Content-Security-Policy` of what is data, should a browser show it."""


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

    disable_nagle_algorithm = True
    """An answer is written in two pieces, its headers and its body. The second would wait until the first is
    acknowledged (RFC 9293, 3.7.4), which Linux puts off by 40 ms: at each of a mail's hops."""

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
