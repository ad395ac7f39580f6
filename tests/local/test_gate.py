"""Who may call the stack's servers: programs, and a server's own page; never another web page."""

from __future__ import annotations

import http.client
import json
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest

from infra.local.loopback import LOOPBACK
from infra.local.programs import programs
from tests.local.emulator import client, create_function
from tests.local.servers import PAGES, READS, WEBSOCKETS, all_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.programs import Plan

Headers = list[tuple[str, str]]
FORBIDDEN = 403

UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


def foreign(port: int) -> dict[str, Headers]:
    """Return what another page's request has, where the server listens on this port."""
    own = ("Host", f"{LOOPBACK}:{port}")
    hosts = {
        "no Host": "",
        "DNS rebinding": f"evil.example:{port}",
        "a foreign name that begins as ours": f"{LOOPBACK}.evil.example:{port}",
        "a foreign name that ends as ours": f"evil-localhost:{port}",
        "our name as a user": f"localhost:{port}@evil.example",
        "an address of the network": f"192.168.1.2:{port}",
        "no port": LOOPBACK,
    }
    origins = {
        "another page": "https://evil.example",
        "another port": f"http://{LOOPBACK}:{port - 1}",
        "another name of ours": f"http://localhost:{port}",
        "another scheme": f"https://{LOOPBACK}:{port}",
        "a sandboxed frame": "null",
        "an empty origin": "",
    }
    return {
        **{name: [("Host", host)] if host else [] for name, host in hosts.items()},
        "two Hosts": [own, ("Host", f"evil.example:{port}")],
        **{name: [own, ("Origin", origin)] for name, origin in origins.items()},
        "two origins": [own, ("Origin", f"http://{LOOPBACK}:{port}"), ("Origin", "null")],
        "another site's picture": [own, ("Sec-Fetch-Site", "cross-site")],
        "another port's picture": [own, ("Sec-Fetch-Site", "same-site")],
    }


def own(port: int) -> dict[str, Headers]:
    """Return what a request has that is no other page's."""
    return {
        "a program": [("Host", f"{LOOPBACK}:{port}")],
        "a name": [("Host", f"localhost:{port}")],
        "IPv6": [("Host", f"[::1]:{port}")],
        "a bucket": [("Host", f"my.bucket.localhost:{port}")],
        "an address that is typed": [("Host", f"localhost:{port}"), ("Sec-Fetch-Site", "none")],
        "the page itself": [
            ("Host", f"localhost:{port}"),
            ("Origin", f"http://localhost:{port}"),
            ("Sec-Fetch-Site", "same-origin"),
        ],
    }


def status(url: str, path: str, headers: Headers, method: str = "GET") -> int:
    """Make a request with these headers and no others; 0 where the server hung up."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for header in headers:
            connection.putheader(*header)
        connection.endheaders()
        return connection.getresponse().status
    except ConnectionError:
        return 0
    finally:
        connection.close()


@pytest.fixture(scope="module")
def plan_and_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Plan, dict[str, str]]]:
    with all_servers(tmp_path_factory.mktemp("gate") / "stack") as running:
        yield running


@pytest.fixture(scope="module")
def servers(plan_and_servers: tuple[Plan, dict[str, str]]) -> dict[str, str]:
    return plan_and_servers[1]


def test_every_server_of_the_stack_is_tested(
    plan_and_servers: tuple[Plan, dict[str, str]],
) -> None:
    plan, servers = plan_and_servers
    serving = {program.name for program in programs(plan) if program.ready}
    assert serving | {"preview"} == {*servers} == {*READS}


@pytest.mark.parametrize("name", READS)
def test_what_another_page_asks_for_is_refused(servers: dict[str, str], name: str) -> None:
    port = urlsplit(servers[name]).port or 0
    answered = {
        f"{method} of {what}": status(servers[name], READS[name], headers, method)
        for what, headers in foreign(port).items()
        for method in ("GET", "POST", "OPTIONS")
    }
    # Without a Host, Node and aiohttp say 400 before anybody is asked.
    refused = {what: code in (400, FORBIDDEN) for what, code in answered.items()}
    assert all(refused.values()), {w: c for w, c in answered.items() if not refused[w]}


@pytest.mark.parametrize("name", READS)
def test_a_program_and_the_own_page_are_served(servers: dict[str, str], name: str) -> None:
    port = urlsplit(servers[name]).port or 0
    answered = {
        what: status(servers[name], READS[name], headers) for what, headers in own(port).items()
    }
    assert answered == dict.fromkeys(answered, 200)


@pytest.mark.parametrize("name", [name for name in READS if name != "aws"])
def test_a_host_names_the_servers_own_port(servers: dict[str, str], name: str) -> None:
    """The emulator takes any: the laptop's SES and the fault proxy pass on what was signed for them."""
    headers = [("Host", f"{LOOPBACK}:1")]
    assert status(servers[name], READS[name], headers) == FORBIDDEN


@pytest.mark.parametrize("name", READS)
def test_the_body_of_a_refused_request_is_no_request(servers: dict[str, str], name: str) -> None:
    host = urlsplit(servers[name]).netloc
    smuggled = f"GET {READS[name]} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    refused = (
        f"POST {READS[name]} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.example\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(smuggled)}\r\n\r\n"
    )
    last = f"GET {READS[name]} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = b""
    with socket.create_connection((LOOPBACK, urlsplit(servers[name]).port or 0), 10) as connection:
        connection.sendall((refused + smuggled + last).encode())
        with suppress(ConnectionResetError):  # where it hangs up, with the body unread
            while data := connection.recv(65_536):
                answer += data
    assert re.findall(rb"^HTTP/1.1 (\d+)", answer, re.MULTILINE) in ([b"403"], [b"403", b"200"])


@pytest.mark.parametrize("name", WEBSOCKETS)
def test_a_websocket_is_for_the_own_page(servers: dict[str, str], name: str) -> None:
    port = urlsplit(servers[name]).port or 0
    host = ("Host", f"{LOOPBACK}:{port}")
    for path in WEBSOCKETS[name]:
        for what, headers in foreign(port).items():
            code = status(servers[name], path, [*headers, *UPGRADE])
            assert code in (400, FORBIDDEN), (path, what)
        page = [host, ("Origin", f"http://{LOOPBACK}:{port}"), *UPGRADE]
        assert status(servers[name], path, page) == 101, path


@pytest.mark.parametrize("name", READS)
def test_no_answer_is_a_page_of_another_kind_or_in_a_frame(
    servers: dict[str, str], name: str
) -> None:
    for path in {READS[name], "/"} if name in PAGES else {READS[name]}:
        connection = http.client.HTTPConnection(urlsplit(servers[name]).netloc, timeout=10)
        connection.request("GET", path, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.getheader("X-Content-Type-Options") == "nosniff", path
        policy = answer.getheader("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        scripts = policy.partition("script-src")[2].partition(";")[0]
        assert "unsafe" not in scripts, path


def test_the_inbox_takes_mail_from_no_page(
    plan_and_servers: tuple[Plan, dict[str, str]],
) -> None:
    plan, servers = plan_and_servers
    url = f"http://{LOOPBACK}:{plan.smtp_port}"
    mail = (
        "HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
    )
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    with suppress(ConnectionError):
        connection.request("POST", "/", mail, {"Content-Type": "text/plain"})
    with pytest.raises((http.client.BadStatusLine, ConnectionError)):
        connection.getresponse()
    connection.close()
    inbox = http.client.HTTPConnection(urlsplit(servers["inbox"]).netloc, timeout=10)
    inbox.request("GET", "/api/email")
    assert json.load(inbox.getresponse()) == []
    inbox.close()


def test_a_functions_runtime_api_serves_its_runtime_alone(
    plan_and_servers: tuple[Plan, dict[str, str]],
) -> None:
    plan, servers = plan_and_servers
    source = "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_RUNTIME_API']\n"
    create_function(plan, "tells", source, Timeout=20)
    functions = client("lambda", servers["aws"])
    address = json.load(functions.invoke(FunctionName="tells")["Payload"])
    port = int(address.rpartition(":")[2])
    for what, headers in foreign(port).items():
        # `next` would take the next order away from the function.
        code = status(f"http://{address}", "/2018-06-01/runtime/invocation/x", headers)
        assert code == FORBIDDEN, what
    function = client("lambda", servers["aws"]).invoke(FunctionName="tells")
    assert json.load(function["Payload"]) == address


KNOWN = {"sample": "order.confirmed", "locale": "en", "scheme": "light"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"scheme": "light}</style><script>alert(1)</script>"},
        {"scheme": ""},
        {"locale": "en<b>"},
        {"sample": "../../../../tmp"},
        {"sample": "order_confirmed"},
    ],
)
def test_the_preview_shows_only_what_it_knows(
    servers: dict[str, str], wrong: dict[str, str]
) -> None:
    def mail(asked: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(urlsplit(servers["preview"]).netloc, timeout=10)
        connection.request("GET", f"/mail?{urlencode(asked)}")
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode()
        connection.close()
        return status, text

    assert mail(KNOWN)[0] == 200
    code, text = mail(KNOWN | wrong)
    assert code == 404
    (value,) = wrong.values()
    assert not value or value not in text
