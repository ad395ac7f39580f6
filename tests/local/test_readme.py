"""What the README tells people to type works: its programs run, its targets, files and links exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.costs import markdown

if TYPE_CHECKING:
    from infra.local.running_stack import RunningStack

README = Path("README.md").read_text()
MAKEFILE = Path("Makefile").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(program: str, stack: RunningStack) -> str:
    environment = os.environ | {
        "AWS_ENDPOINT_URL": stack.settings.aws_url,
        "AWS_DEFAULT_REGION": stack.settings.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    program = program.replace("-dev", f"-{stack.settings.environment_suffix}")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_publishing_and_asking_as_the_readme_says(stack: RunningStack) -> None:
    publish, ask = blocks("python")[:2]
    run(publish, stack)
    stack.wait_for_status("ORDER123456", "SENT", "DELIVERED", seconds=30)
    printed = run(ask, stack).split()
    assert printed[0] in ("SENT", "DELIVERED")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", printed[1])
    assert printed[2] == "customer@example.com"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z]+)", README))))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:.*##", MAKEFILE, re.MULTILINE), f"make {target}"


@pytest.mark.parametrize("file", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", README))))
def test_every_file_that_is_linked_exists(file: str) -> None:
    assert Path(file).exists()


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#([^)]+)\)", README))))
def test_every_section_that_is_linked_exists(anchor: str) -> None:
    titles = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    assert anchor in {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("program", sorted(set(re.findall(r"python -m ([a-z_.]+)", README))))
def test_every_program_exists(program: str) -> None:
    path = Path(*program.split("."))
    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_every_setting_is_one_that_the_code_reads() -> None:
    source = "".join(p.read_text() for p in Path("infra").rglob("*.py"))
    section = README.partition("\n## Settings\n")[2].partition("\n## ")[0]
    named = {
        v
        for row in re.findall(r"^\| (`.*?) \|", section, re.M)
        for v in re.findall("[A-Z_]{6,}", row)
    }
    assert "VERIFIED_DOMAIN" in named
    for variable in named - {"BRAND_"}:
        assert f'"{variable}"' in source, variable


def test_the_cost_table_is_what_make_costs_prints() -> None:
    assert markdown() in README
