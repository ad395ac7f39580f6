"""The Chromium that the browser tests run on; `python -m tests.browser.chromium` gets it ahead of them.

An installed Chrome, Chromium or Edge; else playwright's own download; else the one in the npm package
`@sparticuz/chromium` (x86-64 Linux), which brings the libraries that a bare machine lacks. Only what
starts counts: on Ubuntu `chromium-browser` may be a script that asks for a snap. Nothing needs root.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import Browser, BrowserType

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
UNPACKED = ROOT / ".local" / "chromium"
COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "msedge",
)
APPS = ("Chromium", "Google Chrome for Testing")
CHANNELS = ("chrome", "msedge")
"""Browsers of which playwright knows where they are installed, on Linux and macOS."""
REBOUND = "rebound.example"
"""A foreign name that resolves to loopback, as in an attack by DNS rebinding."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
]


def launch(browser_type: BrowserType, say: Callable[[str], None] = print) -> Browser:
    """Start the first browser that starts.

    Raises: RuntimeError, which says what was tried.
    """
    tried = []
    for arguments in candidates(say):
        try:
            return browser_type.launch(args=FLAGS, **arguments)
        except Error as error:
            tried.append(error.message.splitlines()[0])
    raise RuntimeError("\n".join(["no browser starts: install Chrome, Chromium or Edge", *tried]))


def candidates(say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Yield launch arguments: of browsers that may be here, then of those that are fetched when asked for."""
    for path in filter(None, map(shutil.which, COMMANDS)):
        yield {"executable_path": path}
    for app in APPS:
        if (program := Path(f"/Applications/{app}.app/Contents/MacOS/{app}")).exists():
            yield {"executable_path": program}
    for channel in CHANNELS:
        yield {"channel": channel}
    own: dict[str, Any] = {}  # playwright's, where no path is given
    yield own
    environment = {
        "LD_LIBRARY_PATH": str(UNPACKED / "al2023" / "lib"),
        "FONTCONFIG_FILE": str(UNPACKED / "fonts" / "fonts.conf"),
    }
    unpacked = {"executable_path": UNPACKED / "chromium", "env": os.environ | environment}
    if UNPACKED.exists():
        yield unpacked

    say("· no Chrome, Chromium or Edge starts here: downloading playwright's Chromium (110 MB)")
    # Where a firewall swallows packets, this many milliseconds pass five times.
    patience = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "4000"}
    if _run("playwright install chromium-headless-shell", say, env=patience):
        yield own
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        say("· taking the Chromium of the npm package @sparticuz/chromium (100 MB)")
        if _unpack(say):
            yield unpacked


def _unpack(say: Callable[[str], None]) -> bool:
    """Unpack the npm package's Chromium, as a whole or not at all; return whether it is there."""
    UNPACKED.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=UNPACKED.parent, prefix="chromium.") as folder:
        fresh = Path(folder, "fresh")
        fresh.mkdir()
        done = _run(
            "npm install --include=dev --no-save --no-fund --no-audit", say, cwd=INFRA
        ) and _run("node tests/browser/unpack_chromium.mjs", say, env={"TMPDIR": str(fresh)})
        if done:
            with suppress(OSError):  # Another run was faster.
                fresh.rename(UNPACKED)
    return done


def _run(
    command: str,
    say: Callable[[str], None],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Run one of the tools in our environment; where it fails, tell the reason that it gives."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command.split(),
        cwd=cwd,
        env=os.environ | {"PATH": path} | dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "rror" in line]
        say(f"  {command}: {errors[0] if errors else done.stderr}")
    return done.returncode == 0


if __name__ == "__main__":
    with sync_playwright() as _playwright:
        try:
            print(f"· browser tests run on Chromium {launch(_playwright.chromium).version}")
        except RuntimeError as error:
            sys.exit(str(error))
