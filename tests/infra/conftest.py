"""The synthesised app, once for all: every stack's template, with cdk-nag's verdict on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.templates import Templates, synth

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a production deployment."""
    return synth(tmp_path_factory.mktemp("synth") / "out")


@pytest.fixture(scope="session")
def templates_with_pausing(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a production deployment that may pause sending by itself."""
    return synth(tmp_path_factory.mktemp("pause") / "out", AUTO_PAUSE_SENDING="true")


@pytest.fixture(scope="session")
def template_files(tmp_path_factory: pytest.TempPathFactory, templates: Templates) -> list[Path]:
    """The same templates as files."""
    folder = tmp_path_factory.mktemp("templates")
    files = []
    for name, template in templates.items():
        file = folder / f"{name}.template.json"
        file.write_text(json.dumps(template))
        files.append(file)
    return files
