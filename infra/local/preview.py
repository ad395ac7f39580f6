"""Every mail on one page: `make preview`, or `make preview EVENT=order.json` for an event of your own.

Templates, styles, texts, samples and the event are read anew at each change; the page reloads by itself.
Beside the samples stand events that strain a mail (`infra.local.stress`).
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
import sys
from dataclasses import replace
from gettext import GNUTranslations
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from infra import mail
from infra.brand import LOCAL_BRAND, completed
from infra.config import Config
from infra.local import gate, stress
from infra.local.events import Event, EventError, kind_of, read, samples, unknown_fields, validated
from infra.local.loopback import LOOPBACK, is_taken
from infra.local.mistakes import explain, misspelt_fields, shown
from infra.setting import ConfigError
from steps import kinds, render
from steps.aws.ses import from_field
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.mail import addresses, localise, view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steps.contract.state import Email
    from steps.mail.brand import Brand

PORT_VARIABLE, PORT = "LOCAL_PREVIEW_PORT", 8090
PAGE = Path(__file__).with_name("preview.html")
NOTIFICATION_ID = "0" * 40
SCHEMES = ("light", "dark")
YOURS, FULL = "yours", "full"
"""The brands to choose from: the deployment's settings, and one that leaves nothing out."""
LOGO = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='176' height='32'%3E"
    "%3Crect width='32' height='32' rx='8' fill='%231f5a43'/%3E%3Cpath d='M9 23V9l14 14V9' fill='none'"
    " stroke='%23fff' stroke-width='3'/%3E%3Ctext x='44' y='22' font-family='Arial' font-size='17'"
    " font-weight='700' fill='%237a8591'%3ENorthwind%3C/text%3E%3C/svg%3E"
)
"""A logo in the page itself, since the preview has no other server; grey, so that both schemes show it."""
SNIPPET = 200
"""Characters of a mail's beginning that a list of mails may show where nothing ends the preheader."""
_UNSEEN = re.compile(r"<!--.*?-->|<(head|style|script)\b.*?</\1>|<[^>]+>", re.DOTALL)
_FILLER = "\u034f"
"""The combining grapheme joiner (Unicode, 23.2): what templates fill the rest of the preview line with."""
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


def full_brand() -> Brand:
    """Return an example brand that has everything that a brand can have, with a logo that needs no server."""
    brand = completed(LOCAL_BRAND, "infra/brand.example.json", {})
    return replace(brand, logo_url=LOGO, logo_dark_url="")


def preheader(document: str) -> str:
    """Return what a list of mails shows after the subject: the first words of the mail's body.

    Clients take the body's text as it comes, hidden or not; the filler keeps what follows it out.
    """
    text, filler, _ = html.unescape(_UNSEEN.sub(" ", document)).partition(_FILLER)
    words = " ".join(text.split())
    return words if filler else words[:SNIPPET]


def forget_what_was_built() -> None:
    """Have the render step's modules read anew what is built, which a function never does."""
    for module in (render, addresses, localise, view):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


class Mails:
    """Samples, what is derived of them, and an event of one's own, rendered when asked."""

    def __init__(self, brand: Brand, own: Path | None = None) -> None:
        """Show the event in the file `own` first."""
        self.brands = {YOURS: brand, FULL: full_brand()}
        self.own = own
        self.events: dict[str, Event] = {}
        self.gaps: dict[str, mail.Untranslated] = {}
        self._built = 0.0
        self._lock = Lock()  # The page asks for several things at once.

    @property
    def stamp(self) -> float:
        """When a template, style, text or sample was last changed."""
        # A folder's time tells of a file that is gone.
        sources = (p for p in kinds.FOLDER.rglob("*") if "__pycache__" not in p.parts)
        own = [self.own] if self.own and self.own.exists() else []
        return max(source.stat().st_mtime for source in (*sources, *own))

    def refresh(self) -> None:
        """Build and read anew what has changed since it was.

        Raises:
            EventError: a sample or one's own event is no valid event.
            jinja2.TemplateError, and what else a mistake in a template raises.
        """
        with self._lock:
            if (stamp := self.stamp) > self._built:
                kinds.names.cache_clear()
                mail.build()
                forget_what_was_built()
                self.events = self._read_events()
                self.gaps = mail.untranslated()
                self._built = stamp

    def _read_events(self) -> dict[str, Event]:
        """Return the events by their names: one's own, then each kind's samples and what strains it."""
        own = {self.own.name: read(self.own)} if self.own else {}
        events = own | stress.with_cases(samples())
        for name, event in events.items():
            validated(event, name)
        return events

    def render(self, sample: str, locale: str, brand: str = YOURS) -> Email:
        """Render one mail. An event is as new as it says, so that none is too old."""
        order = validated(self.events[sample] | {"locale": locale}, sample)
        return render.render(order, self.brands[brand], NOTIFICATION_ID)

    @property
    def _own_locale(self) -> str:
        return str(self.events[self.own.name].get("locale", "en-US")) if self.own else ""

    @property
    def locales(self) -> list[str]:
        """The languages to show, finished or not; another one of one's own event comes first."""
        locales, own = sorted({*localise.languages(), *self.gaps}), self._own_locale
        return [own, *locales] if own and own not in locales else locales

    def overview(self) -> dict[str, Any]:
        """Describe what there is to choose, and what is wrong with it.

        Raises: what a mistake in a template raises, in whichever mail.
        """
        for sample in self.events:
            self.render(sample, localise.SOURCE)
        return {
            "samples": {
                name: {"kind": kind_of(event), "warnings": self._warnings(name)}
                for name, event in self.events.items()
            },
            "locales": {locale: self._gap(locale) for locale in self.locales},
            "brands": list(self.brands),
            "chosen": [
                self.own.name if self.own else DEFAULT_EVENT_TYPE,
                self._own_locale or localise.SOURCE,
            ],
            "ofFiles": list(kinds.samples()),
        }

    def _warnings(self, sample: str) -> list[str]:
        event = self.events[sample]
        is_file = sample in kinds.samples() or (self.own and sample == self.own.name)
        unknown = unknown_fields(event) if is_file else []
        return [*unknown, *misspelt_fields(kind_of(event))]

    def _gap(self, locale: str) -> dict[str, Any]:
        """Say which texts of a language wait for a translation, and whether mails are in English meanwhile."""
        language = locale.partition("-")[0].lower()
        gap = self.gaps.get(locale) or self.gaps.get(language)
        is_translated = isinstance(localise.language(locale).texts, GNUTranslations)
        return {
            "inEnglish": not is_translated and language != localise.SOURCE,
            "missing": {shown(file): texts for file, texts in gap.waiting.items()} if gap else {},
        }

    def describe(self, sample: str, locale: str, brand: str, sender: str) -> dict[str, Any]:
        """Describe one mail: what a client shows beside it, its text, its sizes and its event."""
        email = self.render(sample, locale, brand)
        return {
            "row": {
                "sender": email["fromName"],
                "subject": email["subject"],
                "preheader": preheader(email["html"]),
            },
            "headers": {
                "From": from_field(email["fromName"], sender),
                "Reply-To": email["replyTo"],
                "To": email["to"],
                "Subject": email["subject"],
                **email["headers"],
            },
            "text": email["text"],
            "event": json.dumps(self.events[sample], indent=2, ensure_ascii=False),
            "htmlBytes": len(email["html"].encode()),
            "textBytes": len(email["text"].encode()),
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


def _asked(name: str, known: Iterable[str], default: str = "") -> str:
    """Return what the query asks for; 404 where it is not known, and so in no file's name and on no page."""
    value = request.args.get(name, default)
    return value if value in known else abort(404, f"{name} is one of {', '.join(known)}")


def _json(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")


def server(mails: Mails, sender: str, port: int) -> BaseWSGIServer:
    """Return a server on loopback of `mails` as sent by `sender`; `serve_forever` starts it.

    It serves the page, the mails, and the stamp by which the page knows when to reload.
    """
    # The page asks every second: no line for each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = _app(mails, sender)
    return make_server(LOOPBACK, port, app, threaded=True, request_handler=_Handler)


def _app(mails: Mails, sender: str) -> Flask:
    app = Flask(__name__)
    app.register_error_handler(Exception, _mistake)
    app.after_request(_not_kept)

    @app.get("/")
    def page() -> str:
        return PAGE.read_text("utf-8")

    @app.get("/stamp")
    def stamp() -> Response:
        return _json(mails.stamp)

    @app.get("/overview")
    def overview() -> Response:
        mails.refresh()
        return _json(mails.overview())

    def asked() -> tuple[str, str, str]:
        mails.refresh()
        return (
            _asked("sample", mails.events),
            _asked("locale", mails.locales),
            _asked("brand", mails.brands, YOURS),
        )

    @app.get("/description")
    def description() -> Response:
        return _json(mails.describe(*asked(), sender))

    @app.get("/mail")
    def one_mail() -> str:
        scheme = _asked("scheme", SCHEMES)
        return in_scheme(mails.render(*asked())["html"], scheme)

    return app


def _mistake(error: Exception) -> Response | HTTPException:
    """Show a mistake in a template or an event in its place."""
    if isinstance(error, HTTPException):
        return error
    return _json({"error": str(error) if isinstance(error, EventError) else explain(error)})


def _not_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def main() -> None:
    """Serve the previews until interrupted."""
    own = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    try:
        config = Config.from_environment(os.environ, local=True)
        port = int(os.environ.get(PORT_VARIABLE) or PORT)
        if own:
            validated(read(own), own.name)
    except (ConfigError, EventError, ValueError) as error:
        sys.exit(str(error))
    if is_taken(port):
        sys.exit(f"port {port} is taken; choose another one: {PORT_VARIABLE}=8190 make preview")
    httpd = server(Mails(config.brand, own), config.sender, port)
    print(
        f"Previews at http://{LOOPBACK}:{port}; they follow what you edit in steps/kinds. Ctrl+C ends."
    )
    try:
        httpd.serve_forever()
    except KeyboardInterrupt:
        httpd.server_close()


if __name__ == "__main__":
    main()
