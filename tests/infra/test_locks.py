"""The locks are made by a command that Renovate can repeat; without one it leaves a lock as it is, silently."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

LOCKS = Path("infra/locks")
RENOVATE = Path(".github/renovate.json")
OPTIONS = {"--universal", "--generate-hashes", "--python-version=3.11"}
"""Of all of uv's options Renovate takes a few, and a value only after `=`."""


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda lock: lock.stem)
def test_a_lock_says_how_it_was_made(lock: Path) -> None:
    header = re.match(r"#.*\n#    uv pip compile (.+)\n", lock.read_text())
    assert header, "run `make lock`"
    arguments = header[1].split()
    sources = [argument for argument in arguments if not argument.startswith("-")]
    groups = {argument for argument in arguments if argument.startswith("--group=")}
    assert set(arguments) - set(sources) - groups == OPTIONS | {f"--output-file={lock}"}
    assert sources
    assert all(Path(source).is_file() for source in sources)


def test_each_source_has_its_lock() -> None:
    sources = {path.stem for path in LOCKS.glob("*.in")} | {"lambda", "laptop"}
    assert {path.stem for path in LOCKS.glob("*.txt")} == sources


def test_renovate_s_settings_are_valid() -> None:
    check = [".local/judges/bin/check-jsonschema", "--builtin-schema", "vendor.renovate"]
    done = subprocess.run(
        [*check, str(RENOVATE)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_renovate_finds_every_lock() -> None:
    (pattern,) = re.findall(r'"managerFilePatterns": \["/(.+)/"\]', RENOVATE.read_text())
    for lock in LOCKS.glob("*.txt"):
        assert re.match(pattern.replace("\\\\", "\\"), str(lock))
