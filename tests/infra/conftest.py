"""The synthesised app, once for all: every stack's template, with cdk-nag's verdict on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.brand import LOCAL_BRAND
from infra.bundling import AWS_LAMBDA, build_bundle
from tests.infra.judges.deployments import SETTINGS, Deployment
from tests.support.templates import Deployments, Templates

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle for Lambda."""
    folder = tmp_path_factory.mktemp("bundle") / "asset"
    return build_bundle(AWS_LAMBDA, folder, LOCAL_BRAND).directory


@pytest.fixture(scope="session")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Deployment]:
    """A deployment for each choice of settings that the judges look at, by name."""
    folder = tmp_path_factory.mktemp("synth")
    return {name: Deployment.of(name, folder) for name in SETTINGS}


@pytest.fixture(scope="session")
def templates(deployments: dict[str, Deployment]) -> Templates:
    """The templates of a production deployment."""
    return deployments["prod"].templates


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployments:
    """Production deployments with whatever settings a test asks for."""
    return Deployments(tmp_path_factory.mktemp("deployments"))


@pytest.fixture(scope="session")
def templates_with_pausing(deployment: Deployments) -> Templates:
    """The templates of a production deployment that may pause sending by itself."""
    return deployment(AUTO_PAUSE_SENDING="true")
