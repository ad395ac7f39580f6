"""When what is deployed to a running stack is up to date: after no change of a file or a setting."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from infra.local.deployed import SOURCES, fingerprint
from infra.local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in SOURCES:
        if (ROOT / name).is_dir():
            (tmp_path / name / "deep").mkdir(parents=True)
            (tmp_path / name / "deep" / "module.py").write_text("x = 1\n")
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def add(root: Path) -> None:
    (root / "steps" / "new.py").write_text("")


def change(root: Path) -> None:
    (root / "infra" / "deep" / "module.py").write_text("x = 2\n")


def take_away(root: Path) -> None:
    (root / "statemachines" / "deep" / "module.py").unlink()


def rename(root: Path) -> None:
    (root / "steps" / "deep").rename(root / "steps" / "other")


def change_the_context(root: Path) -> None:
    (root / "cdk.json").write_text("{}")


@pytest.mark.parametrize("edit", [add, change, take_away, rename, change_the_context])
def test_a_change_of_a_file_is_a_change(root: Path, edit: Callable[[Path], None]) -> None:
    before = fingerprint(root)
    edit(root)
    assert fingerprint(root) != before


def test_what_running_it_leaves_behind_is_none(root: Path) -> None:
    before = fingerprint(root)
    for left in ("infra/node_modules/cdk", "steps/deep/__pycache__"):
        (root / left).mkdir(parents=True)
        (root / left / "file").write_text("")
    assert fingerprint(root) == before


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MAILS_A_DAY", "1000000"), ("BRAND_NAME", "Acme"), ("OUTCOME_EVENTS", "false")],
)
def test_a_change_of_a_setting_is_a_change(
    root: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    before = fingerprint(root)
    monkeypatch.setenv(variable, value)
    assert fingerprint(root) != before


def test_so_is_another_python(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle has its wheels and its bytecode."""
    before = fingerprint(root)
    monkeypatch.setattr(sys, "version", "3.99.0")
    assert fingerprint(root) != before


def test_so_is_one_of_what_is_in_the_brand_s_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = root / "brand.json"
    brand.write_text('{"name": "One"}')
    monkeypatch.setenv("BRAND_FILE", str(brand))
    before = fingerprint(root)
    brand.write_text('{"name": "Two"}')
    assert fingerprint(root) != before
