"""Who may see the page, and do something on it: the browser in which the printed link was opened, once.

A page of customers' data listens on loopback, where every program and every web page that a person visits can
ask for it. So:

- a request has exactly the server's own `Host`, and none of another page's (`infra/callers.py`);
- the link that starts a session is good for one use; a session is a signed cookie (`HttpOnly`,
  `SameSite=Strict`) whose key ends with the process;
- what changes something is a POST that has the session's own token.

Cookies know no ports. A program of another person on this machine that gets this browser to visit it on
127.0.0.1 would see the cookie: use the page on a machine of your own.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from flask import Response, abort, redirect, request, session, url_for

from infra.callers import refusal

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response as Answer

HOST = "127.0.0.1"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing is told to others. With `no-referrer`, browsers send our own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""

_OPEN = frozenset({"enter", "static"})
"""The endpoints that need no session."""

_CSRF = "csrf"


def guard(app: Flask, *, port: int, token: str) -> None:
    """Put the guard before an application: `/enter/<token>`, once, starts a session.

    Templates get `csrf_token()`, empty without a session.
    """
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),
        SESSION_COOKIE_NAME=f"order-mail-{port}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        MAX_CONTENT_LENGTH=256 * 1024,
    )
    unused = {token}

    @app.before_request
    def refuse() -> Response | None:
        reason = refusal(request.headers.items(), port)
        if reason or request.headers["Host"] != f"{HOST}:{port}":
            # Whoever asks learns nothing, not even the environment's name.
            text = f"{reason or 'this server is called by its address'}\n"
            return Response(text, 403, mimetype="text/plain")
        if request.endpoint in _OPEN:
            return None
        if _CSRF not in session:
            abort(
                403,
                "Open the link that order-mail page printed. Where it was used, start it again.",
            )
        if request.method not in {"GET", "HEAD"}:
            given = request.form.get(_CSRF, "")
            if not hmac.compare_digest(given.encode(), session[_CSRF].encode()):
                abort(
                    403, "This form is of another session. Go back, reload the page, and try again."
                )
        return None

    @app.get("/enter/<given>")
    def enter(given: str) -> Answer:
        used = next(
            (one for one in unused if hmac.compare_digest(one.encode(), given.encode())), ""
        )
        if used:
            unused.discard(used)
            session.clear()
            session[_CSRF] = secrets.token_urlsafe(32)
        elif _CSRF not in session:
            abort(403, "This link was used, or is of another start. Start order-mail page again.")
        return redirect(url_for("home"), 303)

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @app.template_global()
    def csrf_token() -> str:
        return str(session.get(_CSRF, ""))
