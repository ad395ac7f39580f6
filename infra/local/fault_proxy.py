"""Starts microburst in the emulator's environment, mended where MiniStack needs it.

The caller's Host header is left as it is: it is part of the signature, by which MiniStack decides whose
request it is, and with another one each request is refused.

`gate.py` says who may call it.

Of a PublishBatch whose upload is cut (`{"request": {"cut_upload": {"after_messages": 1}}}`), all messages go on
but the one after so many, and SNS's answer says that this one failed. One with fewer messages goes on whole.

Statistics gain `in_flight`, the requests that are held back or forwarded at this moment; `late`, those that
were forwarded although their client had given up; and `late_done`, those of them that the emulator did.
"""

import hashlib
import re
import sys
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from microburst import cli, control, forward
from microburst.core import pipeline
from microburst.core.pipeline import Microburst
from microburst.forward import Upstream

from infra.callers import refusal
from infra.local.gate import NO_PAGE, browser_headers

OK = 200
PORT = cli.build_parser().parse_args().port

_outbound_headers = Upstream._outbound_headers
_handle_proxy = Microburst.handle_proxy
_stream_to_client = forward._stream_to_client
_stats = control._stats
_make_app = cli.make_app
_consume_upload = pipeline.consume_upload
counted: Counter[str] = Counter(in_flight=0, late=0, late_done=0)


def _with_host(self: Any, request: Any) -> Any:
    # The body's hash is signed, too; where it is a header, the emulator does not look at the body.
    signed = {"x-amz-content-sha256": request["signed"]} if "signed" in request else {}
    return _outbound_headers(self, request) | {"host": request.headers["Host"]} | signed


async def _in_flight(self: Any, request: Any) -> Any:
    counted["in_flight"] += 1
    try:
        return await _handle_proxy(self, request)
    finally:
        counted["in_flight"] -= 1


_ENTRY = re.compile(r"(PublishBatchRequestEntries\.member\.)(\d+)(\..*)")


async def _cut_upload(request: Any, body: Any, fault: Any) -> Any:
    if fault.after_messages is None or b"Action=PublishBatch" not in (body or b""):
        return await _consume_upload(request, body, fault)
    kept, taken_out = [], ""
    for name, value in parse_qsl(body.decode(), keep_blank_values=True):
        if not (entry := _ENTRY.fullmatch(name)):
            kept.append((name, value))
            continue
        before, number, after = entry[1], int(entry[2]), entry[3]
        if number == fault.after_messages + 1:
            taken_out = value if after == ".Id" else taken_out
        else:
            kept.append((f"{before}{number - (number > fault.after_messages)}{after}", value))
    if taken_out:
        request["taken_out"], request["signed"] = taken_out, hashlib.sha256(body).hexdigest()
        body = urlencode(kept).encode()
    return body, False


async def _with_failure(chunks: Any, id_: str) -> Any:
    """Yield SNS's answer to a PublishBatch, and that one message failed."""
    answer = b"".join([chunk async for chunk in chunks])
    failure = (
        f"<member><Id>{id_}</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>"
    )
    yield answer.replace(b"</Failed>", failure.encode() + b"</Failed>")


async def _answered(request: Any, status: int, headers: Any, mutator: Any, chunks: Any) -> Any:
    if status == OK and "taken_out" in request:
        chunks = _with_failure(chunks, request["taken_out"])
        headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
    if request.transport is None or request.transport.is_closing():
        counted["late"] += 1
        counted["late_done"] += status == OK
    return await _stream_to_client(request, status, headers, mutator, chunks)


async def _gate(request: Any, handler: Any) -> Any:
    if reason := refusal(request.headers.items(), PORT):
        raise web.HTTPForbidden(text=reason)
    return await handler(request)


async def _tell_browser(_: Any, answer: Any) -> None:
    answer.headers.update(browser_headers(NO_PAGE))


def _make_gated_app(*arguments: Any, **more: Any) -> Any:
    app = _make_app(*arguments, **more)
    app.middlewares.append(web.middleware(_gate))
    app.on_response_prepare.append(_tell_browser)
    return app


cli.make_app = _make_gated_app
Upstream._outbound_headers = _with_host
Microburst.handle_proxy = _in_flight
forward._stream_to_client = _answered
pipeline.consume_upload = _cut_upload
control._stats = lambda microburst: _stats(microburst) | counted
sys.exit(cli.main())
