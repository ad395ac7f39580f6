"""moto's AWS with a Step Functions that runs what is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.in_memory_aws import mocked_aws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def in_memory_aws() -> Iterator[None]:
    """A tracking table, a verified sender and the functions' environment, all moto's."""
    with mocked_aws(runs_workflows=True):
        yield
