"""Every module, program and test is typed: mypy finds nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_mypy_finds_nothing() -> None:
    """Without its cache this takes most of a minute, which is why it is a test beside others."""
    done = subprocess.run(["mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
