"""The ASL files beside the chains: up to date, and valid by AWS's own rules."""

import subprocess

from statemachines.__main__ import asl


def test_the_asl_files_are_the_chains() -> None:
    for path, text in asl().items():
        assert path.read_text() == text, f"{path.name} is stale: run python -m statemachines"


def test_the_asl_is_valid() -> None:
    for path in asl():
        subprocess.run(
            ["infra/node_modules/.bin/asl-validator", "--json-path", str(path)],
            check=True,
            timeout=60,
        )
