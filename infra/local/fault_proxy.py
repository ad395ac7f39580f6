"""Starts microburst, in the emulator's environment, with the caller's Host header left as it is.

The header is part of the signature, by which MiniStack decides whose request it is: with another one
each request is refused.
"""

import sys
from typing import Any

from microburst.cli import main
from microburst.forward import Upstream

_outbound_headers = Upstream._outbound_headers


def _with_host(self: Any, request: Any) -> Any:
    return _outbound_headers(self, request) | {"host": request.headers["Host"]}


Upstream._outbound_headers = _with_host
sys.exit(main())
