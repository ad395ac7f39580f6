"""Starts StackPort, in the emulator's environment, behind the gate: `python -m infra.local.console PORT`."""

import sys
from pathlib import Path

import uvicorn
from backend.main import app, ui_dist

from infra.local.gate import foreign_page, gated
from infra.local.loopback import LOOPBACK

if __name__ == "__main__":
    _port = int(sys.argv[1])
    _policy = foreign_page(Path(ui_dist, "index.html").read_text("utf-8"))
    uvicorn.run(gated(app, _port, _policy), host=LOOPBACK, port=_port, log_level="warning")
