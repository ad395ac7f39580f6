"""The page's views: each asks what a command asks, and shows it; a change is asked about first."""

from __future__ import annotations

import logging
import socket
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, abort, flash, redirect, render_template, request, session, url_for
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.serving import make_server

from infra.operator.audit import without_addresses
from infra.operator.aws import explained
from infra.operator.dead import Choice
from infra.operator.errors import Denied, NotFound, OperatorError, Refused
from infra.operator.find import hidden
from infra.operator.letter_words import lost
from infra.operator.letters import QUEUES
from infra.operator.page.calls import Calls
from infra.operator.page.guard import HOST, guard
from infra.operator.suppression import WARNINGS
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask.typing import ResponseReturnValue
    from werkzeug.serving import BaseWSGIServer

    from infra.operator.aws import Deployment

_SHOWN = "addresses"
"""Of the session: whether addresses are shown."""

_STATUSES = {Denied: 403, NotFound: 404, Refused: 409}
"""HTTP's, of our errors; of all others it is 502."""

_TONES: Mapping[str, str] = {
    Status.CLAIMED: "wait",
    Status.SENDING: "wait",
    Status.DELAYED: "wait",
    Status.SENT: "good",
    Status.DELIVERED: "good",
}
"""The colours of statuses; that of all others is `bad`."""


class Question(NamedTuple):
    """What is asked before a change.

    happens: what will be so afterwards, in sentences. button: what its button says. grave: it cannot be undone.
    """

    title: str
    happens: list[str]
    button: str
    grave: bool = False


class _Page(Flask):
    def __init__(self, deployment: Deployment) -> None:
        super().__init__("infra.operator.page")
        self.deployment = deployment

    def dispatch_request(self) -> ResponseReturnValue:
        with explained(self.deployment):
            return super().dispatch_request()

    def log_exception(self, exc_info: Any) -> None:
        """Log a mistake of ours: what is wrong with an order may be said with a customer's address."""
        text = "".join(traceback.format_exception(*exc_info))
        self.logger.error("%s %s\n%s", request.method, request.endpoint, without_addresses(text))


def create_app(
    deployment: Deployment, *, port: int, token: str, calls: Calls | None = None
) -> Flask:
    """Return the page of an environment, to be served on loopback.

    Args:
        deployment: the environment.
        port: the server's: a request that names another one is refused.
        token: what starts a session, once: `/enter/<token>`.
        calls: what the page asks and does; AWS itself, where they are not given.
    """
    app = _Page(deployment)
    guard(app, port=port, token=token)
    _templates(app, deployment)
    _errors(app)
    calls = calls or Calls()
    _orders(app, deployment, calls)
    _sending(app, deployment, calls)
    _dead_letters(app, deployment, calls)
    _suppression(app, deployment, calls)

    @app.get("/doctor")
    def doctor() -> str:
        return render_template("doctor.html", examination=calls.examine(deployment))

    return app


def server(
    deployment: Deployment, *, port: int, token: str, calls: Calls | None = None
) -> BaseWSGIServer:
    """Return a server of the page on loopback; `serve_forever` starts it. Port 0 is any that is free.

    Raises:
        OperatorError: the port is taken.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise OperatorError(f"port {port} is taken: say another --port") from error
    with listening:
        port = listening.getsockname()[1]
        app = create_app(deployment, port=port, token=token, calls=calls)
        # What is asked for may be a customer's address: no line for each request.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        return make_server(HOST, port, app, threaded=True, fd=listening.fileno())


def _templates(app: Flask, deployment: Deployment) -> None:
    """What templates have: the environment, and how texts of others are shown."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.template_filter()
    def discreet(text: object) -> str:
        """Return a text without addresses, unless they are to be shown."""
        return str(text) if session.get(_SHOWN) else without_addresses(str(text))

    @app.template_filter()
    def foreign(text: object) -> Markup:
        """Return somebody else's text, such as an order id: its writing direction ends with it."""
        return Markup("<bdi>{}</bdi>").format(discreet(text))

    @app.template_filter()
    def moment(at: str) -> Markup:
        """Return a point in time (ISO 8601 UTC) as people read it."""
        shown = at.partition(".")[0].removesuffix("Z").removesuffix("+00:00").replace("T", " ")
        return Markup('<time datetime="{}">{}</time>').format(at, shown)

    @app.template_filter()
    def tone(status: str) -> str:
        """Return the colour of a record's status."""
        return _TONES.get(status, "bad")

    @app.context_processor
    def known() -> dict[str, Any]:
        return {
            "env": deployment.env,
            "region": deployment.region,
            "shown": session.get(_SHOWN, False),
            "here": request.full_path.rstrip("?") if request.method == "GET" else url_for("home"),
        }


def _errors(app: Flask) -> None:
    def page(status: int | None, text: str) -> str:
        try:
            term = request.values.get("term", "")
        except HTTPException:  # That is what is wrong: the form cannot be read.
            term = ""
        return render_template("error.html", status=status, text=text, term=term)

    @app.errorhandler(OperatorError)
    def told(error: OperatorError) -> ResponseReturnValue:
        status = _STATUSES.get(type(error), 502)
        return page(status, str(error)), status

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> ResponseReturnValue:
        text = error.description or error.name
        if isinstance(error, InternalServerError):
            text = "That is a mistake in order-mail: the terminal that it runs in says more."
        return page(error.code, text), error.code or 500


def _confirmed(
    ask: Callable[[], Question], change: Callable[[str], str], back: str
) -> ResponseReturnValue:
    """Ask first: the form of a button that changes something has no reason, the question's own has one.

    Args:
        ask: makes the question.
        change: does it, given the reason; returns what was done, in a sentence without an address.
        back: the endpoint to go to then.
    """
    why = request.form.get("reason")
    if why and why.strip():
        flash(change(why.strip()))
        return redirect(url_for(back), 303)
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in {"csrf", "reason"}
    ]
    missing = why is not None
    page = render_template(
        "confirm.html", question=ask(), fields=fields, missing=missing, back=url_for(back)
    )
    return page, 422 if missing else 200


def _orders(app: Flask, deployment: Deployment, calls: Calls) -> None:
    @app.get("/")
    def home() -> str:
        def known(call: Callable[[Deployment], Any]) -> dict[str, Any]:
            """Return what a part of the page shows: one that may not be asked for leaves the others."""
            try:
                with explained(deployment):
                    return {"value": call(deployment), "error": ""}
            except OperatorError as error:
                return {"value": None, "error": str(error)}

        return render_template(
            "home.html",
            sending=known(calls.sending),
            waiting=known(calls.waiting),
            alarms=known(calls.alarms),
        )

    @app.get("/find")
    def find() -> ResponseReturnValue:
        term = request.args.get("term", "").strip()
        return _found(term) if term else redirect(url_for("home"))

    @app.post("/find")
    def search() -> ResponseReturnValue:
        term = request.form.get("term", "").strip()
        # An address is for no browser's history.
        return _found(term) if "@" in term else redirect(url_for("find", term=term), 303)

    def _found(term: str) -> ResponseReturnValue:
        finding = calls.find(deployment, term)
        shown = finding if session.get(_SHOWN) else hidden(finding)
        page = render_template("find.html", finding=shown, term=term)
        return page, 404 if finding.is_empty else 200

    @app.post("/addresses")
    def addresses() -> ResponseReturnValue:
        session[_SHOWN] = request.form.get("show") == "yes"
        back = request.form.get("back", "")
        # A path of ours: `//` and `/\` begin with another server's name.
        own = back.startswith("/") and back[1:2] not in {"/", "\\"}
        return redirect(back if own else url_for("home"), 303)


def _sending(app: Flask, deployment: Deployment, calls: Calls) -> None:
    @app.post("/pause")
    def pause() -> ResponseReturnValue:
        def change(why: str) -> str:
            calls.set_sending(deployment, enabled=False, why=why)
            return "Sending is paused."

        question = Question(
            f"Pause all order mails of {deployment.env}?",
            [
                "No order mail goes out until the pause is lifted.",
                "Orders wait on the queue. None is lost.",
            ],
            "Pause sending",
        )
        return _confirmed(lambda: question, change, "home")

    @app.post("/lift")
    def lift() -> ResponseReturnValue:
        def change(why: str) -> str:
            calls.set_sending(deployment, enabled=True, why=why)
            return "Mails go out again."

        question = Question(
            f"Let the order mails of {deployment.env} go out?",
            ["All orders that wait get their mails now, at the rate that SES permits."],
            "Lift the pause",
        )
        return _confirmed(lambda: question, change, "home")


def _dead_letters(app: Flask, deployment: Deployment, calls: Calls) -> None:
    @app.get("/dead")
    def dead() -> str:
        return render_template("dead.html", listing=calls.listing(deployment))

    @app.get("/dead/<letter>")
    def one_letter(letter: str) -> str:
        address = session.get(_SHOWN, False)
        found = calls.show_letter(deployment, letter, address=address)
        return render_template("letter.html", found=found)

    def chosen() -> Choice:
        said = {name: request.form.get(name, "") for name in ("order", "error", "letter")}
        queue = request.form.get("queue") or None
        if queue not in {None, *QUEUES}:
            abort(404, "There is no such queue.")
        return Choice(**said, queue=queue)

    @app.post("/dead/redrive")
    def redrive() -> ResponseReturnValue:
        choice, fresh_only = chosen(), request.form.get("fresh_only") == "yes"

        def ask() -> Question:
            would = calls.rehearse(deployment, choice, fresh_only=fresh_only)
            return Question(
                f"Send {_letters(would.redriven)} through again?",
                [
                    "Each goes to where it was to go, and leaves the dead letters.",
                    "What was sent before is a duplicate, and no second mail.",
                    *_when(would.rejected, "Not valid any more, recorded as rejected: {}."),
                    *(f"{left.letter.kind}, left as it is: {left.why}." for left in would.reasons),
                    *would.notes,
                ],
                "Send through again",
            )

        def change(why: str) -> str:
            done = calls.redrive(deployment, choice, fresh_only=fresh_only, why=why)
            lines = [
                f"Sent through again: {done.redriven}.",
                *_when(done.rejected, "Recorded as rejected: {}."),
                *_when(done.left, "Left: {}."),
                *(f"{left.letter.kind}: {left.why}." for left in done.reasons),
                *done.notes,
            ]
            return " ".join(lines)

        return _confirmed(ask, change, "dead")

    @app.post("/dead/drop")
    def drop() -> ResponseReturnValue:
        choice = chosen()
        if not (choice.order or choice.error or choice.letter):
            abort(422, "Say which letters: all at once are not deleted here.")

        def ask() -> Question:
            chosen_now = calls.choose(deployment, choice)
            letters = chosen_now.letters
            orders = sorted({letter.order_id for letter in letters} - {""})
            return Question(
                f"Delete {_letters(len(letters))}?",
                [
                    *(f"Lost is {what}." for what in lost(letters)),
                    *_when(", ".join(orders[:_NAMED]), "Orders: {}."),
                    *_when(len(orders[_NAMED:]), "And {} orders more."),
                    *chosen_now.notes,
                ],
                "Delete for good",
                grave=True,
            )

        def change(why: str) -> str:
            return f"Deleted: {_letters(calls.drop(deployment, choice, why=why).dropped)}."

        return _confirmed(ask, change, "dead")


_NAMED = 10
"""Orders that a question names, at most."""


def _when(value: object, sentence: str) -> list[str]:
    """Return a sentence about a value, where there is one."""
    return [sentence.format(value)] if value else []


def _suppression(app: Flask, deployment: Deployment, calls: Calls) -> None:
    # An address is in no URL: browsers keep those.
    def address() -> str:
        return request.form.get("address", "").strip() or abort(422, "Which address?")

    @app.get("/suppression")
    def suppression() -> str:
        return render_template("suppression.html", address="", found=None)

    @app.post("/suppression")
    def suppressed() -> str:
        asked = address()
        found = calls.look_up(deployment, asked)
        return render_template("suppression.html", address=asked, found=found)

    @app.post("/suppression/remove")
    def unsuppress() -> ResponseReturnValue:
        asked = address()

        def change(why: str) -> str:
            calls.remove(deployment, asked, why=why)
            return "The address is off the list."

        def ask() -> Question:
            entries = calls.look_up(deployment, asked).entries
            return Question(
                "Take this address off the suppression list?",
                [
                    asked,
                    *(WARNINGS[why] for why in sorted({entry.reason for entry in entries})),
                    "SES sends to it again, for the whole account.",
                    "Mails that were kept back meanwhile are not sent again.",
                ],
                "Take it off the list",
            )

        return _confirmed(ask, change, "suppression")


def _letters(count: int) -> str:
    return "1 letter" if count == 1 else f"{count} letters"
