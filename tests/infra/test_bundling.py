"""The bundle: what runs in Lambda, for the machines that Lambda has."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from infra.bundling import AWS_LAMBDA, build_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_the_bundle_has_the_steps_and_their_wheels_for_lambda(tmp_path: Path) -> None:
    asset = build_bundle(AWS_LAMBDA, tmp_path / "asset").directory
    assert (asset / "steps" / "validate.py").is_file()
    assert not list(asset.glob("boto*"))
    (core,) = asset.glob("pydantic_core/*.so")
    assert "cpython-314-aarch64" in core.name
    size = sum(file.stat().st_size for file in asset.rglob("*") if file.is_file())
    assert size < 64 * 1024 * 1024
    shutil.rmtree(asset)
