"""Every mail on one page: `make preview`, or `make preview EVENT=order.json` for an event of your own.

Templates, styles, texts and samples are read anew at each change; the page reloads by itself.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from infra import mail
from infra.config import Config
from infra.local import gate
from infra.local.loopback import LOOPBACK, is_taken
from infra.setting import ConfigError
from steps import kinds, render
from steps.aws.ses import from_field
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.kinds.parsing import InvalidEvent, parse
from steps.mail import localise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steps.contract.state import Email
    from steps.mail.brand import Brand

PORT_VARIABLE, PORT = "LOCAL_PREVIEW_PORT", 8090
PAGE = Path(__file__).with_name("preview.html")
NOTIFICATION_ID = "0" * 40
SCHEMES = ("light", "dark")
MAIL = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src * data:; font-src * data:; sandbox;"
    " frame-ancestors 'self'"
)
"""The policy of a mail: it may look as it wants, and do nothing."""


def in_scheme(html: str, scheme: str) -> str:
    """Fix a mail to one of `SCHEMES`, whatever the viewer's own setting."""
    always, never = "(min-width: 0)", "(max-width: 0)"
    return html.replace(
        "(prefers-color-scheme: dark)", always if scheme == "dark" else never
    ).replace("color-scheme: light dark", f"color-scheme: {scheme}")


class Mails:
    """All samples, one of them replaced by an event of one's own, rendered when asked."""

    def __init__(self, brand: Brand, event: dict[str, Any] | None = None) -> None:
        """Show `event` in place of its kind's `sample.json`."""
        self.brand = brand
        self.event = event
        self._built = 0.0

    @property
    def stamp(self) -> float:
        """When a template, style, text or sample was last changed."""
        sources = (p for p in kinds.FOLDER.rglob("*") if p.is_file() and p.suffix != ".pyc")
        return max(source.stat().st_mtime for source in sources)

    def refresh(self) -> None:
        """Build anew what has changed since it was built."""
        if (stamp := self.stamp) > self._built:
            kinds.names.cache_clear()
            mail.build()
            for cache in (
                render.environment,
                localise.languages,
                localise.catalogue,
                localise.language,
            ):
                cache.cache_clear()
            self._built = stamp

    def render(self, sample: str, locale: str) -> Email:
        """Render one mail. An event is as new as it says, so that no sample is too old."""
        event = kinds.sample(sample)
        if self.event and self.event.get("eventType", DEFAULT_EVENT_TYPE) == sample:
            event = self.event
        message = json.dumps(event | {"locale": locale})
        now = datetime.fromisoformat(event.get("eventTimestamp", event["orderTimestamp"]))
        order = parse(message, now).model_dump_json(by_alias=True, exclude_none=True)
        return render.render(json.loads(order), self.brand, NOTIFICATION_ID)

    @property
    def _own_locale(self) -> str:
        return str(self.event.get("locale", "en-US")) if self.event else ""

    @property
    def locales(self) -> list[str]:
        """The languages to show; another one of one's own event comes first."""
        locales, own = list(localise.languages()), self._own_locale
        return [own, *locales] if own and own not in locales else locales

    def overview(self, sender: str) -> dict[str, Any]:
        """Describe every sample in every language: what a client shows beside the mail, and its size."""
        mails = {}
        for sample in kinds.samples():
            for locale in self.locales:
                email = self.render(sample, locale)
                mails[f"{sample} {locale}"] = {
                    "headers": {
                        "From": from_field(email["fromName"], sender),
                        "Reply-To": email["replyTo"],
                        "To": email["to"],
                        "Subject": email["subject"],
                        **email["headers"],
                    },
                    "text": email["text"],
                    "htmlBytes": len(email["html"].encode()),
                    "textBytes": len(email["text"].encode()),
                }
        chosen = (
            self.event.get("eventType", DEFAULT_EVENT_TYPE) if self.event else DEFAULT_EVENT_TYPE
        )
        return {
            "samples": kinds.samples(),
            "locales": self.locales,
            "chosen": [chosen, self._own_locale or localise.SOURCE],
            "mails": mails,
        }


class _Handler(gate.GatedHandler, WSGIRequestHandler):
    def policy(self, path: str) -> str:
        match path.partition("?")[0]:
            case "/":
                return gate.page(PAGE.read_text("utf-8"))
            case "/mail":
                return MAIL
            case _:
                return gate.NO_PAGE


def _asked(name: str, known: Iterable[str]) -> str:
    """Return what the query asks for; 404 where it is not known, and so in no file's name and on no page."""
    value = request.args.get(name, "")
    return value if value in known else abort(404, f"{name} is one of {', '.join(known)}")


def _json(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")


def server(mails: Mails, sender: str, port: int) -> BaseWSGIServer:
    """Return a server on loopback of `mails` as sent by `sender`; `serve_forever` starts it.

    It serves the page, the mails, and the stamp by which the page knows when to reload.
    """
    app = Flask(__name__)

    @app.get("/")
    def page() -> str:
        return PAGE.read_text("utf-8")

    @app.get("/stamp")
    def stamp() -> Response:
        return _json(mails.stamp)

    @app.get("/overview")
    def overview() -> Response:
        mails.refresh()
        return _json(mails.overview(sender))

    @app.get("/mail")
    def one_mail() -> str:
        sample, locale = _asked("sample", kinds.samples()), _asked("locale", mails.locales)
        scheme = _asked("scheme", SCHEMES)
        return in_scheme(mails.render(sample, locale)["html"], scheme)

    @app.errorhandler(Exception)
    def mistake(error: Exception) -> Response | HTTPException:
        """Show a mistake in a template in its place."""
        if isinstance(error, HTTPException):
            return error
        return _json({"error": f"{type(error).__name__}: {error}"})

    @app.after_request
    def not_kept(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    # The page asks every second: no line for each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    return make_server(LOOPBACK, port, app, threaded=True, request_handler=_Handler)


def main() -> None:
    """Serve the previews until interrupted."""
    try:
        config = Config.from_environment(os.environ, local=True)
        event = json.loads(Path(sys.argv[1]).read_text("utf-8")) if len(sys.argv) > 1 else None
        port = int(os.environ.get(PORT_VARIABLE) or PORT)
        if event:
            parse(json.dumps(event), datetime.now(UTC))
    except (ConfigError, OSError, ValueError) as error:
        sys.exit(str(error))
    except InvalidEvent as invalid:
        sys.exit("\n".join(f"{r['path']}: {r['reason']}" for r in invalid.reasons))
    if is_taken(port):
        sys.exit(f"port {port} is taken; choose another one: {PORT_VARIABLE}=8190 make preview")
    httpd = server(Mails(config.brand, event), config.sender, port)
    print(
        f"Previews at http://{LOOPBACK}:{port}; they follow what you edit in steps/kinds. Ctrl+C ends."
    )
    try:
        httpd.serve_forever()
    except KeyboardInterrupt:
        httpd.server_close()


if __name__ == "__main__":
    main()
