"""A hundred orders while everything around them fails: none lost, none twice, on a stack of its own."""

from __future__ import annotations

import subprocess
import sys

from infra.local.settings import ROOT


def test_chaos_loses_nothing_and_sends_nothing_twice() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.local.chaos", "--orders", "100", "--seed", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for promise in (
        "│ lost                   │ 0 ",
        "0 unflagged",
        "│ not final              │ 0 ",
    ):
        assert promise in ran.stdout, ran.stdout
