"""What all tests share: the real event files, and the clock they are read by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

EVENTS = Path(__file__).parent / "events"


def load_event(name: str) -> dict[str, Any]:
    """Read `tests/events/<name>.json`."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@pytest.fixture
def order() -> dict[str, Any]:
    """The contract's example event."""
    return load_event("order")
