"""Starts microburst in the emulator's environment, mended where MiniStack needs it.

The caller's Host header is left as it is: it is part of the signature, by which MiniStack decides whose
request it is, and with another one each request is refused.

`gate.py` says who may call it.

Statistics gain `in_flight`, the requests that are held back or forwarded at this moment; `late`, those that
were forwarded although their client had given up; and `late_done`, those of them that the emulator did.
"""

import sys
from collections import Counter
from typing import Any

from aiohttp import web
from microburst import cli, control, forward
from microburst.core.pipeline import Microburst
from microburst.forward import Upstream

from infra.local.gate import NO_PAGE, browser_headers, refusal

OK = 200
PORT = cli.build_parser().parse_args().port

_outbound_headers = Upstream._outbound_headers
_handle_proxy = Microburst.handle_proxy
_stream_to_client = forward._stream_to_client
_stats = control._stats
_make_app = cli.make_app
counted: Counter[str] = Counter(in_flight=0, late=0, late_done=0)


def _with_host(self: Any, request: Any) -> Any:
    return _outbound_headers(self, request) | {"host": request.headers["Host"]}


async def _in_flight(self: Any, request: Any) -> Any:
    counted["in_flight"] += 1
    try:
        return await _handle_proxy(self, request)
    finally:
        counted["in_flight"] -= 1


async def _answered(request: Any, status: int, *rest: Any) -> Any:
    if request.transport is None or request.transport.is_closing():
        counted["late"] += 1
        counted["late_done"] += status == OK
    return await _stream_to_client(request, status, *rest)


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
control._stats = lambda microburst: _stats(microburst) | counted
sys.exit(cli.main())
