"""The page's views: each asks what a command asks, and shows it; a change is asked about first."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, abort, flash, redirect, render_template, request, session, url_for
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.serving import make_server

from infra.operator.audit import without_addresses
from infra.operator.aws import explained
from infra.operator.errors import Denied, NotFound, OperatorError, Refused
from infra.operator.letters import QUEUES
from infra.operator.page.calls import Calls
from infra.operator.page.guard import HOST, guard
from steps.ledger.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue
    from werkzeug.serving import BaseWSGIServer

    from infra.operator.aws import Deployment

_SHOWN = "addresses"
"""Of the session: whether addresses are shown."""

_STATUSES = {Denied: 403, NotFound: 404, Refused: 409}
"""HTTP's, of our errors; of all others it is 502."""

_TONES = {
    Status.CLAIMED: "wait",
    Status.SENDING: "wait",
    Status.DELAYED: "wait",
    Status.SENT: "good",
    Status.DELIVERED: "good",
}
"""The colours of statuses; that of all others is `bad`."""


class Question(NamedTuple):
    """What is asked before a change.

    happens: what will be so afterwards, in sentences. button: what its button says. back: where to go then, a
    path. grave: it cannot be undone.
    """

    title: str
    happens: list[str]
    button: str
    back: str
    grave: bool = False


class _Page(Flask):
    def __init__(self, deployment: Deployment) -> None:
        super().__init__("infra.operator.page")
        self.deployment = deployment

    def dispatch_request(self) -> ResponseReturnValue:
        with explained(self.deployment):
            return super().dispatch_request()


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
        return render_template("doctor.html", examination=calls.doctor(deployment))

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
        shown = at.partition(".")[0].removesuffix("Z").replace("T", " ")
        return Markup('<time datetime="{}">{}</time>').format(at, shown)

    @app.template_filter()
    def tone(status: str) -> str:
        """Return the colour of a record's status."""
        return _TONES.get(Status(status), "bad")

    @app.context_processor
    def known() -> dict[str, Any]:
        return {
            "env": deployment.env,
            "region": deployment.region,
            "shown": session.get(_SHOWN, False),
            "here": request.full_path.rstrip("?") if request.method == "GET" else url_for("home"),
        }


def _errors(app: Flask) -> None:
    @app.errorhandler(OperatorError)
    def told(error: OperatorError) -> ResponseReturnValue:
        status = _STATUSES.get(type(error), 502)
        return render_template("error.html", status=status, text=str(error)), status

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> ResponseReturnValue:
        text = error.description or error.name
        if isinstance(error, InternalServerError):
            text = "That is a mistake in order-mail: the terminal that it runs in says more."
        return render_template("error.html", status=error.code, text=text), error.code or 500


def _confirmed(question: Question, change: Callable[[str], str]) -> ResponseReturnValue:
    """Ask first: the form of a button that changes something has no reason, the question's own has one.

    Args:
        question: what is asked.
        change: does it, given the reason; returns what was done, in a sentence without an address.
    """
    why = request.form.get("reason")
    if why is None or not why.strip():
        fields = [
            (name, value)
            for name, value in request.form.items(multi=True)
            if name not in {"csrf", "reason"}
        ]
        page = render_template(
            "confirm.html", question=question, fields=fields, missing=why is not None
        )
        return page, 200 if why is None else 422
    flash(change(why.strip()))
    return redirect(question.back, 303)


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
        nothing = not (finding.stories or finding.elsewhere)
        return render_template("find.html", finding=finding), 404 if nothing else 200

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
            url_for("home"),
        )
        return _confirmed(question, change)

    @app.post("/lift")
    def lift() -> ResponseReturnValue:
        def change(why: str) -> str:
            calls.set_sending(deployment, enabled=True, why=why)
            return "Mails go out again."

        question = Question(
            f"Let the order mails of {deployment.env} go out?",
            ["All orders that wait get their mails now, at the rate that SES permits."],
            "Lift the pause",
            url_for("home"),
        )
        return _confirmed(question, change)


def _dead_letters(app: Flask, deployment: Deployment, calls: Calls) -> None:
    @app.get("/dead")
    def dead() -> str:
        return render_template("dead.html", waiting=calls.waiting(deployment))

    def known(queue: str) -> str:
        return queue if queue in QUEUES else abort(404, "There is no such queue.")

    def chosen() -> list[str]:
        form = request.form
        ids = form["every"].split() if "all" in form else form.getlist("letter")
        return ids or abort(422, "No letter is chosen. Go back, and choose one at least.")

    @app.get("/dead/<queue>")
    def letters(queue: str) -> str:
        found = calls.peek(deployment, known(queue))
        return render_template("letters.html", queue=queue, letters=found)

    @app.post("/dead/<queue>/redrive")
    def redrive(queue: str) -> ResponseReturnValue:
        ids = chosen()

        def change(why: str) -> str:
            done = calls.redrive(deployment, known(queue), ids, why=why)
            return f"{_letters(done)} sent through again."

        question = Question(
            f"Send {_letters(len(ids))} of {queue} through again?",
            [
                "Each goes back to where it came from, and is taken out of the dead letters.",
                "An order whose mail went out is not sent twice.",
            ],
            "Send through again",
            url_for("letters", queue=known(queue)),
        )
        return _confirmed(question, change)

    @app.post("/dead/<queue>/drop")
    def drop(queue: str) -> ResponseReturnValue:
        ids = chosen()

        def change(why: str) -> str:
            return f"{_letters(calls.drop(deployment, known(queue), ids, why=why))} deleted."

        question = Question(
            f"Delete {_letters(len(ids))} of {queue}?",
            ["They are gone for good: no mail comes of them, and nobody can read them any more."],
            "Delete for good",
            url_for("letters", queue=known(queue)),
            grave=True,
        )
        return _confirmed(question, change)


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
        found = calls.suppressed(deployment, asked)
        return render_template("suppression.html", address=asked, found=found)

    @app.post("/suppression/remove")
    def unsuppress() -> ResponseReturnValue:
        asked = address()

        def change(why: str) -> str:
            calls.unsuppress(deployment, asked, why=why)
            return "The address is off SES's suppression list. What was sent meanwhile is not sent again."

        question = Question(
            "Take this address off SES's suppression list?",
            [
                asked,
                "SES sends to it again, for the whole account.",
                "If it bounces or complains again, that counts against the account, and SES puts it back.",
            ],
            "Take it off",
            url_for("suppression"),
        )
        return _confirmed(question, change)


def _letters(count: int) -> str:
    return "1 letter" if count == 1 else f"{count} letters"
