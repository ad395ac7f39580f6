"""A web page that a person visits while the stack runs can neither read nor change anything of it.

The same servers take the same requests from programs: `tests/local/test_gate.py`.
"""

from __future__ import annotations

import base64
import json
import smtplib
from contextlib import closing
from email.message import EmailMessage
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.config import Config
from infra.local import preview
from infra.local.loopback import LOOPBACK, fetch
from infra.local.running_stack import until
from tests.browser.chromium import REBOUND
from tests.local.emulator import ACCOUNT, REGION, client, lambda_asset
from tests.local.servers import READS, WEBSOCKETS, all_servers, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from infra.local.programs import Plan

Json = dict[str, Any]
ATTACK = """
async ({url, read, requests, pictures, posts, sockets}) => {
  const until = (start) => new Promise((done) => start(() => done(true), () => done(false)));
  const failed = () => null;
  const result = {read: await fetch(url + read).then((answer) => answer.text()).catch(failed)};
  await fetch(url + read, {mode: "no-cors"}).catch(failed);
  for (const {path, ...options} of requests) await fetch(url + path, options).catch(failed);
  for (const picture of pictures) await until((yes, no) => {
    Object.assign(new Image(), {onload: yes, onerror: no, src: url + picture});
  });
  for (const [path, enctype] of posts) await until((yes) => {
    const frame = Object.assign(document.createElement("iframe"), {name: "sink"});
    const form = Object.assign(document.createElement("form"),
      {method: "POST", action: url + path, target: "sink", enctype});
    form.append(Object.assign(document.createElement("input"), {name: "x", value: "y"}));
    document.body.append(frame, form);
    frame.onload = () => { frame.remove(); form.remove(); yes(); };
    form.submit();
  });
  await until((yes) => {
    const frame = Object.assign(document.createElement("iframe"), {src: url + "/", onload: yes});
    document.body.append(frame);
  });
  result.opened = [];
  for (const path of sockets) {
    const opened = await until((yes, no) => {
      const socket = new WebSocket(url.replace("http", "ws") + path);
      Object.assign(socket, {onopen: yes, onerror: no});
    });
    if (opened) result.opened.push(path);
  }
  return result;
}
"""
"""What a page can try at one server; returns what it learnt: the body it read, the websockets it opened."""


class Visited(BaseHTTPRequestHandler):
    """The page that a person visits, of somebody else's."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Kittens</title><body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def visited() -> Iterator[int]:
    """The port of a web page that is not ours."""
    with ThreadingHTTPServer((LOOPBACK, 0), Visited) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def deliver(plan: Plan, message: EmailMessage) -> None:
    """Put a mail into the inbox."""
    with smtplib.SMTP(LOOPBACK, plan.smtp_port) as smtp:
        smtp.send_message(message, "orders@shop.example", ["customer@example.com"])


def order(html: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Order"
    message.set_content(html, subtype="html")
    return message


@pytest.fixture(scope="module")
def plan_and_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Plan, dict[str, str]]]:
    with all_servers(tmp_path_factory.mktemp("gate") / "stack") as (plan, servers):
        client("sns", servers["aws"]).create_topic(Name="kept")
        role = {"RoleName": "x", "AssumeRolePolicyDocument": "{}"}
        client("iam", servers["aws"]).create_role(**role)
        fetch(f"{servers['ses']}/_laptop/settings", {"paused": True}, "PUT")
        deliver(plan, order("<p>Thank you</p>"))
        until(partial(fetch, f"{servers['inbox']}/api/email"), what="the mail")
        yield plan, servers


@pytest.fixture(scope="module")
def servers(plan_and_servers: tuple[Plan, dict[str, str]]) -> dict[str, str]:
    return plan_and_servers[1]


def create_function(url: str) -> Json:
    """Return the request that creates a function, signed as anybody can: the credentials are test/test."""
    code = {
        "FunctionName": "evil",
        "Runtime": "provided.al2023",
        "Handler": "x",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/x",
        "Code": {"ZipFile": base64.b64encode(lambda_asset("", "#!/bin/sh")).decode()},
    }
    request = AWSRequest("POST", f"{url}/2015-03-31/functions")
    SigV4QueryAuth(Credentials("test", "test"), "lambda", REGION).add_auth(request)
    return {
        "path": str(request.url).removeprefix(url),
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(code),
    }


def attacks(servers: dict[str, str]) -> dict[str, Json]:
    """Return what is tried at each server, in the terms of ATTACK."""
    plain = {"method": "POST", "mode": "no-cors", "headers": {"Content-Type": "text/plain"}}
    to_json = {"Content-Type": "application/json"}
    topic: str = client("sns", servers["aws"]).generate_presigned_url(
        "create_topic", Params={"Name": "evil"}, HttpMethod="GET"
    )
    mail = fetch(f"{servers['inbox']}/api/email")[0]
    rule = json.dumps([{"service": "dynamodb", "error": {"code": "InternalServerError"}}])
    endpoint = json.dumps({"name": "evil", "url": "http://evil.example"})
    tried: dict[str, Json] = {
        "aws": {
            "requests": [
                create_function(servers["aws"]),
                plain | {"path": "/_ministack/reset", "body": ""},
            ],
            "pictures": [topic.removeprefix(servers["aws"])],
            "posts": [["/_ministack/reset", "text/plain"]],
        },
        "inbox": {
            "requests": [
                {"path": "/api/email/all", "method": "DELETE"},
                {"path": "/api/email/read-all", "method": "PATCH"},
            ],
            "pictures": [f"/api/email/{mail['id']}", "/api/reloadMailsFromDirectory"],
        },
        "console": {
            "requests": [
                {
                    "path": "/api/endpoints",
                    "method": "POST",
                    "body": endpoint,
                    "headers": to_json,
                },
                plain | {"path": "/api/endpoints", "body": endpoint},
            ],
        },
        "ses": {
            "requests": [
                plain | {"path": "/_laptop/reset", "body": ""},
                {"path": "/_laptop/settings", "method": "PUT", "body": '{"rate": 1}'},
            ],
            "posts": [["/_laptop/reset", "text/plain"]],
        },
        "costs": {"requests": [plain | {"path": "/moto-api/reset", "body": ""}]},
        "faults": {
            "requests": [
                plain | {"path": "/_microburst/rules", "body": rule},
                {"path": "/_microburst/rules", "method": "DELETE"},
            ],
        },
        "preview": {},
    }
    nothing: Json = {"requests": [], "pictures": ["/"], "posts": [["/", "text/plain"]]}
    return {
        name: nothing
        | more
        | {"url": servers[name], "read": READS[name], "sockets": WEBSOCKETS.get(name, [])}
        for name, more in tried.items()
    }


def state(servers: dict[str, str]) -> Json:
    """Return what the attacks would change."""
    aws = servers["aws"]
    return {
        "topics": client("sns", aws).list_topics()["Topics"],
        "functions": client("lambda", aws).list_functions()["Functions"],
        "mails": fetch(f"{servers['inbox']}/api/email"),
        "endpoints": fetch(f"{servers['console']}/api/endpoints"),
        "settings": fetch(f"{servers['ses']}/_laptop/settings"),
        "rules": fetch(f"{servers['faults']}/_microburst/rules"),
    }


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"], ids=["another port", "another site"])
def test_another_page_reads_and_changes_nothing(
    browser: Browser, visited: int, servers: dict[str, str], host: str
) -> None:
    before = state(servers)
    tried = attacks(servers)
    answered: dict[str, list[tuple[str, int]]] = {url: [] for url in servers.values()}
    with closing(browser.new_page()) as page:
        page.goto(f"http://{host}:{visited}/")
        page.on(
            "response",
            lambda r: answered["/".join(r.url.split("/")[:3])].append((r.url, r.status)),
        )
        learnt = {name: page.evaluate(ATTACK, attack) for name, attack in tried.items()}
    assert learnt == {name: {"read": None, "opened": []} for name in tried}
    assert [(url, code) for all_ in answered.values() for url, code in all_ if code != 403] == []
    # One read, the forms and the frame have answers for certain: Chromium tells those of others as failures.
    assert min(map(len, answered.values())) >= 3
    assert state(servers) == before


def test_a_name_that_was_rebound_to_loopback_is_refused(
    browser: Browser, servers: dict[str, str]
) -> None:
    answered: dict[str, int] = {}
    with closing(browser.new_page()) as page:
        for name, url in servers.items():
            answer = page.goto(f"http://{REBOUND}:{urlsplit(url).port}{READS[name]}")
            answered[name] = answer.status if answer else 0
    assert answered == dict.fromkeys(servers, 403)


def opened(page: Page, url: str) -> list[str]:
    """Open a page; return the list of what it complains of, which grows."""
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(url)
    return complaints


def test_the_page_of_the_console_works(browser: Browser, servers: dict[str, str]) -> None:
    with closing(browser.new_page()) as page:
        complaints = opened(page, servers["console"])
        page.get_by_text("Live").wait_for()  # its websocket is open
    assert complaints == []


def test_the_page_of_the_inbox_hears_of_new_mail(
    browser: Browser, plan_and_servers: tuple[Plan, dict[str, str]]
) -> None:
    plan, servers = plan_and_servers
    with closing(browser.new_page()) as page:
        complaints = opened(page, servers["inbox"])
        page.get_by_text("Thank you").wait_for()
        deliver(plan, order("<p>Shipped</p>"))
        page.get_by_text("Shipped").wait_for()
    # MailDev 3 misses an icon of its own.
    assert [text for text in complaints if "404" not in text] == []


HOSTILE = (
    "<p>Hello</p><script>top.document.title = 'owned'</script>"
    "<img src='data:,' onerror='top.document.title = \"owned\"'>"
)


def test_what_a_mail_to_the_inbox_brings_runs_nothing(
    browser: Browser, plan_and_servers: tuple[Plan, dict[str, str]]
) -> None:
    plan, servers = plan_and_servers
    message = EmailMessage()
    message["Subject"] = "Hostile"
    message.set_content("See the attachment.")
    message.add_attachment(HOSTILE, subtype="html", filename="page.html")
    deliver(plan, message)

    def hostile() -> Json | None:
        mails = fetch(f"{servers['inbox']}/api/email")
        return next((mail for mail in mails if mail["subject"] == "Hostile"), None)

    mail = until(hostile, what="the mail")
    name = mail["attachments"][0]["generatedFileName"]
    with closing(browser.new_page()) as page:
        page.goto(f"{servers['inbox']}/api/email/{mail['id']}/attachment/{name}")
        page.get_by_text("Hello").wait_for()
        assert page.title() == ""


def test_a_mail_in_the_preview_runs_nothing(browser: Browser) -> None:
    class Hostile(preview.Mails):
        def render(self, sample: str, locale: str, brand: str = preview.YOURS) -> Any:
            return super().render(sample, locale, brand) | {"html": HOSTILE}

    config = Config.from_environment({}, local=True)
    with serving(Hostile(config.brand), config.sender) as url, closing(browser.new_page()) as page:
        opened(page, url)
        page.frame_locator("iframe").first.get_by_text("Hello").wait_for()
        assert page.title() == "Mail previews"
        mail = page.locator("iframe").first.get_attribute("src")
        page.goto(f"{url}{mail}")
        page.get_by_text("Hello").wait_for()
        assert page.title() == ""


def test_a_fault_is_set_on_the_page_of_the_laptops_ses(
    browser: Browser, servers: dict[str, str]
) -> None:
    def sandbox() -> bool:
        return bool(fetch(f"{servers['ses']}/_laptop/settings")["sandbox"])

    with closing(browser.new_page()) as page:
        complaints = opened(page, servers["ses"])
        page.get_by_label("sandbox").check()
        until(sandbox, what="the sandbox")
        page.get_by_label("sandbox").uncheck()
        until(lambda: not sandbox(), what="production")
    assert complaints == []
