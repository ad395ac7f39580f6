"""Unit tests open no socket, and share one in-memory AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_socket import disable_socket, enable_socket

from steps.contract.handler import metrics
from tests.support.in_memory_aws import mocked_aws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def _no_metrics_left_over() -> Iterator[None]:
    """A function's handler writes its metrics out; what a test calls directly leaves them."""
    yield
    metrics.clear_metrics()


@pytest.fixture
def in_memory_aws() -> Iterator[None]:
    """A tracking table, a verified sender and the functions' environment, all moto's."""
    with mocked_aws():
        yield
