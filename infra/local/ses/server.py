"""HTTP in front of the laptop's SES.

The standard library's threading server: dropping an answer means closing the connection without a
byte, which WSGI has no way to say, and a laptop's load is a few hundred calls a second.
"""

import json
import re
import uuid
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import ValidationError

from infra.local.gate import NO_PAGE, GatedHandler, page
from infra.local.ses.account import Json, SesError
from infra.local.ses.core import Dropped, Ses
from infra.local.ses.settings import SesSettings
from infra.local.ses.upstream import Answer

_PAGE = Path(__file__).with_name("page.html")
_SUPPRESSION = "/v2/email/suppression/addresses"
_OK = 200


class Server(ThreadingHTTPServer):
    """Serves one `Ses` on loopback."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, ses: Ses) -> None:
        self.ses = ses
        super().__init__(("127.0.0.1", port), Handler)


class Handler(GatedHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Headers and body in one segment.
    wbufsize = -1

    @property
    def _ses(self) -> Ses:
        return cast("Server", self.server).ses

    def policy(self, path: str) -> str:
        """Return the page's own policy."""
        return page(_PAGE.read_text("utf-8")) if path == "/" else NO_PAGE

    def log_message(self, *_: object) -> None:
        """Stay silent: request lines hold addresses."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = urlsplit(self.path)
        try:
            if target.path == "/":
                self._answer(_OK, _PAGE.read_bytes(), "text/html; charset=utf-8")
            elif target.path.startswith("/_laptop/"):
                self._json(self._laptop(target.path.removeprefix("/_laptop/"), body))
            else:
                self._api(target.path, target.query, body)
        except Dropped:
            self.close_connection = True
        except SesError as error:
            self._json({"message": error.message}, error.status, error.code)
        except (ValidationError, ValueError) as error:
            self._json({"message": str(error)}, 400, "BadRequestException")

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server looks for them

    def _answer(self, status: int, body: bytes, kind: str, error: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _json(self, value: Any, status: int = _OK, error: str = "") -> None:
        self._answer(status, json.dumps(value).encode(), "application/json", error)

    def _pass_on(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in {"server", "date"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _api(self, path: str, query: str, body: bytes) -> None:
        upstream = self._ses.upstream
        sends = (self.command, path) == ("POST", "/v2/email/outbound-emails")
        self._ses.count(*["calls"] * sends)
        if not sends:
            self._ses.account.admit_action()
        # The emulator checks the signature and asks IAM. What else it says to a mail is ignored.
        answer = upstream.forward(self.command, self.path, dict(self.headers.items()), body)
        if answer.refused:
            self._ses.count(*["denied"] * sends)
            self._pass_on(answer)
        elif sends:
            self._send_email(body)
        elif path == "/v2/email/outbound-bulk-emails":
            raise SesError("BadRequestException", "The local SES plays SendEmail only.")
        elif (played := self._play(path, query, body)) is not None:
            self._json(played)
        else:
            if self.command != "GET":
                upstream.forget()
            self._pass_on(answer)

    def _send_email(self, body: bytes) -> None:
        key = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        message_id, afterwards = self._ses.send_email(
            body,
            # SES shows the role's or user's name; the emulator tells nobody whose a key is.
            caller="root" if key is None or key[1] == "test" else key[1],
            source_ip=str(self.client_address[0]),
        )
        try:
            self._json({"MessageId": message_id})
        finally:  # the caller may be gone: the mail is not
            afterwards()

    def _play(self, path: str, query: str, body: bytes) -> Json | None:
        """Answer what the account answers itself; None for what is the emulator's."""
        account = self._ses.account
        asked = json.loads(body) if body else {}
        match self.command, path:
            case "GET", "/v2/email/account":
                return self._ses.get_account()
            case "PUT", "/v2/email/account/sending":
                self._ses.configure({"paused": not asked.get("SendingEnabled", False)})
            case "PUT", "/v2/email/account/suppression":
                account.suppressed_reasons = asked.get("SuppressedReasons") or []
            case "GET", "/v2/email/suppression/addresses":
                return account.list_suppressed(parse_qs(query))
            case "PUT", "/v2/email/suppression/addresses":
                account.suppress(asked["EmailAddress"], asked["Reason"])
            case method, _ if path.startswith(_SUPPRESSION + "/"):
                address = unquote(path.removeprefix(_SUPPRESSION + "/"))
                if method == "DELETE":
                    account.unsuppress(address)
                else:
                    entry = account.suppressed(address)
                    detail = {"Attributes": entry.attributes} if entry.attributes else {}
                    return {"SuppressedDestination": entry.summary() | detail}
            case _:
                return None
        return {}

    def _reset(self, _: Json) -> Json:
        self._ses.reset()
        return self._ses.account.settings.model_dump()

    def _by_hand(self, asked: Json) -> Any:
        missing = {"messageId", "eventType"} - asked.keys()
        if missing:
            raise SesError("BadRequestException", f"Missing: {', '.join(sorted(missing))}.")
        detail = asked.get("detail") or {}
        return self._ses.publish_by_hand(asked["messageId"], asked["eventType"], detail)

    _CONTROL: ClassVar[dict[tuple[str, str], Callable[["Handler", Json], Any]]] = {
        ("GET", "settings"): lambda self, _: self._ses.account.settings.model_dump(),
        ("PUT", "settings"): lambda self, asked: self._ses.configure(asked).model_dump(),
        ("GET", "schema"): lambda _, __: SesSettings.model_json_schema(),
        ("POST", "reset"): _reset,
        ("GET", "stats"): lambda self, _: self._ses.stats(),
        ("GET", "messages"): lambda self, _: self._ses.messages(),
        ("POST", "events"): _by_hand,
    }

    def _laptop(self, name: str, body: bytes) -> Any:
        control = self._CONTROL.get((self.command, name))
        if control is None:
            known = ", ".join(f"{method} /_laptop/{path}" for method, path in self._CONTROL)
            raise SesError("NotFoundException", f"There are: {known}.")
        return control(self, json.loads(body) if body else {})
