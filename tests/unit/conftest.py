"""Unit tests open no socket, and share one in-memory AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_socket import disable_socket, enable_socket

from steps.aws.ledger_table import LedgerTable
from steps.contract.handler import metrics
from tests.support.in_memory_aws import STEP_SETTINGS, mocked_aws, set_environment
from tests.support.table_in_memory import MEMORY

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


@pytest.fixture
def ledger_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every `LedgerTable` keep to `MEMORY`, which is a hundred times as fast as moto's table."""
    MEMORY.items.clear()

    def put_in_place_of(method: str) -> None:
        def in_memory(table: LedgerTable, *arguments: object, **named: object) -> object:
            assert table.name == MEMORY.name
            return getattr(MEMORY, method)(*arguments, **named)

        monkeypatch.setattr(LedgerTable, method, in_memory)

    for method in ("write", "read", "find_overdue", "scan_segment"):
        put_in_place_of(method)
    set_environment(monkeypatch, *STEP_SETTINGS)
