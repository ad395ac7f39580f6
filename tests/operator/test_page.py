"""Who may see the operators' page and change something on it, what it hides, and how it says no."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.operator.errors import NotFound, OperatorError, Refused
from infra.operator.page.app import create_app, server
from infra.operator.page.calls import Calls
from tests.support.operator_page import (
    ADDRESS,
    ALARM,
    BOUNCED,
    DELIVERED,
    DEPLOYMENT,
    GOES_OUT,
    TOKEN,
    calls,
    finding,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

URL = "http://127.0.0.1:8070"
GETS = ("/", "/find?term=ORDER123456", "/dead", "/dead/0f8c2f9e", "/suppression", "/doctor")
CHANGES: dict[str, tuple[str, dict[str, str]]] = {
    "/pause": ("set_sending", {}),
    "/lift": ("set_sending", {}),
    "/dead/redrive": ("redrive", {}),
    "/dead/drop": ("drop", {"error": "SenderNotReady"}),
    "/suppression/remove": ("remove", {"address": ADDRESS}),
}
"""A path to the call that changes something there, and the fields of its form."""


def client(**planted: Any) -> FlaskClient:
    """Return a browser that has not entered yet."""
    app = create_app(DEPLOYMENT, port=8070, token=TOKEN, calls=calls(**planted))
    return app.test_client()


def entered(**planted: Any) -> FlaskClient:
    """Return a browser in which the link was opened."""
    browser = client(**planted)
    assert browser.get(f"/enter/{TOKEN}", base_url=URL).status_code == 303
    return browser


def csrf(browser: FlaskClient) -> str:
    found = re.search(r'name="csrf" value="([\w-]+)"', browser.get("/", base_url=URL).text)
    assert found
    return found[1]


def post(browser: FlaskClient, path: str, **form: str) -> TestResponse:
    """Send a form of the page's own."""
    return browser.post(path, base_url=URL, data={"csrf": csrf(browser), **form})


class Done(list[str]):
    """What was changed."""

    def by(self, name: str) -> Callable[..., Any]:
        def change(*given: Any, **more: Any) -> Any:
            self.append(f"{name}: {more['why']}")
            return getattr(calls(), name)(*given, **more)

        return change


@pytest.fixture
def done() -> Done:
    return Done()


@pytest.fixture
def browser(done: Done) -> FlaskClient:
    return entered(**{name: done.by(name) for name, _ in CHANGES.values()})


# --- who may see it -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GETS)
def test_nothing_is_shown_without_a_session(path: str) -> None:
    answer = client().get(path, base_url=URL)
    assert answer.status_code == 403
    assert "ORDER" not in answer.text
    assert entered().get(path, base_url=URL).status_code == 200


@pytest.mark.parametrize("path", CHANGES)
def test_nothing_is_changed_without_a_session(path: str) -> None:
    assert client().post(path, base_url=URL, data={"reason": "x"}).status_code == 403


def test_the_link_is_good_for_one_browser() -> None:
    app = create_app(DEPLOYMENT, port=8070, token=TOKEN, calls=calls())
    first, second = app.test_client(), app.test_client()
    assert second.get("/enter/guessed", base_url=URL).status_code == 403
    assert first.get(f"/enter/{TOKEN}", base_url=URL).status_code == 303
    assert second.get(f"/enter/{TOKEN}", base_url=URL).status_code == 403
    assert second.get("/", base_url=URL).status_code == 403
    # Who is in already is not sent away.
    assert first.get(f"/enter/{TOKEN}", base_url=URL).status_code == 303
    assert first.get("/", base_url=URL).status_code == 200


def test_a_session_ends_with_the_process() -> None:
    before, after = entered(), client()
    (cookie,) = (c for c in [before.get_cookie("order-mail-8070", "127.0.0.1")] if c)
    after.set_cookie(cookie.key, cookie.value, domain="127.0.0.1")
    assert after.get("/", base_url=URL).status_code == 403


def test_the_session_s_cookie_is_for_the_page_alone() -> None:
    answer = client().get(f"/enter/{TOKEN}", base_url=URL)
    assert re.fullmatch(
        r"order-mail-8070=[\w.-]+; HttpOnly; Path=/; SameSite=Strict", answer.headers["Set-Cookie"]
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:8070"},
        {"Host": "localhost:8070"},
        {"Host": "127.0.0.1:8071"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://shop.example"},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/", "/static/page.css", "/nothing", f"/enter/{TOKEN}"])
def test_another_page_s_requests_are_refused(
    browser: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = browser.get(path, base_url=URL, headers=headers)
    assert answer.status_code == 403
    assert answer.content_type == "text/plain; charset=utf-8"
    assert DEPLOYMENT.env not in answer.text


@pytest.mark.parametrize("path", [*GETS, "/nothing", "/static/page.css"])
def test_every_answer_tells_the_browser_to_be_careful(browser: FlaskClient, path: str) -> None:
    headers = browser.get(path, base_url=URL, buffered=True).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


# --- what is changed ------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "call", "form"), [(p, *c) for p, c in CHANGES.items()])
def test_a_change_is_asked_about_first_and_needs_a_reason(
    browser: FlaskClient, done: Done, path: str, call: str, form: dict[str, str]
) -> None:
    question = post(browser, path, **form)
    assert question.status_code == 200
    assert 'name="reason" required' in question.text
    for name, value in form.items():
        assert f'name="{name}" value="{value}"' in question.text
    blank = post(browser, path, reason="  ", **form)
    assert blank.status_code == 422
    assert "nothing was changed" in blank.text
    assert done == []
    answer = post(browser, path, reason=" the cause is mended ", **form)
    assert answer.status_code == 303
    assert done == [f"{call}: the cause is mended"]
    assert 'class="done"' in browser.get(answer.location, base_url=URL).text


@pytest.mark.parametrize("path", CHANGES)
def test_nothing_changes_by_a_get_or_another_method(
    browser: FlaskClient, done: Done, path: str
) -> None:
    token = csrf(browser)
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        form = {"reason": "x", "csrf": token}
        answer = browser.open(path, method=method, base_url=URL, data=form)
        # A dead letter's page has such a path, too.
        assert answer.status_code == 405 or (method in {"GET", "HEAD"} and path[:6] == "/dead/")
    assert done == []


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("token", [None, "", "guessed", "gué"])
def test_nothing_changes_without_the_session_s_token(
    browser: FlaskClient, done: Done, path: str, token: str | None
) -> None:
    form = {"reason": "x", "address": ADDRESS, "error": "x"}
    form |= {} if token is None else {"csrf": token}
    answer = browser.post(path, base_url=URL, data=form)
    assert answer.status_code == 403
    assert done == []
    other = csrf(entered())
    assert browser.post(path, base_url=URL, data=form | {"csrf": other}).status_code == 403
    assert done == []


def test_dead_letters_are_not_dropped_all_at_once(browser: FlaskClient, done: Done) -> None:
    assert post(browser, "/dead/drop", reason="x").status_code == 422
    assert post(browser, "/dead/redrive", queue="other", reason="x").status_code == 404
    assert done == []


# --- what is hidden -------------------------------------------------------------------------------


def everywhere(value: Any) -> Any:
    """Return a dataclass with an address in each of its texts."""
    texts = {f.name: ADDRESS for f in fields(value) if isinstance(getattr(value, f.name), str)}
    return replace(value, **texts)


STORY = replace(
    everywhere(DELIVERED),
    status="DELIVERED",
    timeline=[replace(everywhere(m), at=m.at, link=m.link) for m in DELIVERED.timeline],
    details={ADDRESS: ADDRESS},
    part={"shipmentId": ADDRESS},
)


def test_addresses_are_hidden_until_they_are_asked_for() -> None:
    def refused(_: object) -> None:
        raise OperatorError(f"no such sender: {ADDRESS}")

    browser = entered(
        find=lambda _, __: finding(STORY, BOUNCED, notes=[ADDRESS], unasked=[ADDRESS]),
        sending=lambda _: replace(everywhere(GOES_OUT), paused=True, since=ALARM.since),
        alarms=lambda _: [replace(everywhere(ALARM), since=ALARM.since)],
        waiting=refused,
    )
    for path in ("/", "/find?term=ORDER123456", "/dead/0f8c2f9e"):
        assert ADDRESS not in browser.get(path, base_url=URL).text, path
    back = "/find?term=ORDER123456"
    answer = post(browser, "/addresses", show="yes", back=back)
    assert answer.location == back
    assert ADDRESS in browser.get(back, base_url=URL).text
    assert "customerEmail" in browser.get("/dead/0f8c2f9e", base_url=URL).text
    post(browser, "/addresses", show="", back="/")
    assert ADDRESS not in browser.get(back, base_url=URL).text


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example", ""])
def test_the_switch_leads_nowhere_else(browser: FlaskClient, back: str) -> None:
    assert post(browser, "/addresses", show="yes", back=back).location == "/"


def test_an_address_is_in_no_url(browser: FlaskClient) -> None:
    assert post(browser, "/find", term=" ORDER1 ").location == "/find?term=ORDER1"
    assert post(browser, "/find", term=ADDRESS).status_code == 200
    answer = post(browser, "/suppression", address=ADDRESS)
    assert "2026-11-30 09:14:07</time> UTC" in answer.text


# --- how it says no -------------------------------------------------------------------------------


def denied(_: object, __: object) -> None:
    error = {
        "Code": "AccessDeniedException",
        "Message": "not authorized to perform: dynamodb:Query on resource: x",
    }
    raise ClientError({"Error": error}, "Query")  # type: ignore[typeddict-item]


def raising(error: Exception) -> Callable[..., None]:
    def call(*_: object) -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("call", "status", "says"),
    [
        (denied, 403, "dynamodb:Query is denied"),
        (raising(NotFound("no such queue: is it deployed?")), 404, "is it deployed?"),
        (raising(Refused("nobody has heard of that mail")), 409, "nobody has heard"),
        (raising(OperatorError("no AWS credentials: set AWS_PROFILE")), 502, "set AWS_PROFILE"),
        (lambda _, __: finding(), 404, "Nothing was found"),
    ],
)
def test_an_error_is_a_page_with_the_next_step(call: Any, status: int, says: str) -> None:
    answer = entered(find=call).get("/find?term=ORDER1", base_url=URL)
    assert answer.status_code == status
    assert says in answer.text
    assert "<html" in answer.text
    assert 'role="search"' in answer.text
    assert 'value="ORDER1"' in answer.text


def test_what_cannot_be_asked_leaves_the_rest_of_the_first_screen() -> None:
    browser = entered(alarms=raising(OperatorError("you may not do that")))
    answer = browser.get("/", base_url=URL)
    assert answer.status_code == 200
    assert "you may not do that" in answer.text
    assert "Mails go out" in answer.text


def test_a_mistake_of_ours_shows_nothing_of_the_order(caplog: pytest.LogCaptureFixture) -> None:
    browser = entered(find=raising(ValueError(ADDRESS)))
    answer = browser.get("/find?term=ORDER1", base_url=URL)
    assert answer.status_code == 500
    assert ADDRESS not in answer.text
    assert ADDRESS not in caplog.text


def test_it_listens_on_loopback_and_says_when_its_port_is_taken() -> None:
    with server(DEPLOYMENT, port=0, token=TOKEN, calls=calls()) as running:
        assert running.server_address[0] == "127.0.0.1"
        with pytest.raises(OperatorError, match=f"port {running.port} is taken: say another"):
            server(DEPLOYMENT, port=running.port, token=TOKEN, calls=calls())


def test_the_page_calls_what_the_commands_call() -> None:
    assert all(f.default.__module__.startswith("infra.operator.") for f in fields(Calls))


def test_a_status_that_nobody_knows_is_shown_all_the_same() -> None:
    story = replace(DELIVERED, status="NEW")
    answer = entered(find=lambda _, __: finding(story)).get("/find?term=x", base_url=URL)
    assert '<span class="badge bad">NEW</span>' in answer.text


def test_a_form_that_is_too_large_is_a_page_too(browser: FlaskClient) -> None:
    answer = post(browser, "/find", term="x" * 300_000)
    assert answer.status_code == 413
    assert 'role="search"' in answer.text
