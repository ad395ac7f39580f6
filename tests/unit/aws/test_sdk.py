"""How often boto3 repeats a request by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from steps.aws.ledger_table import dynamodb
from steps.aws.ses import sesv2
from steps.aws.workflow import stepfunctions

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient


@pytest.mark.usefixtures("in_memory_aws")
@pytest.mark.parametrize(("client", "attempts"), [(sesv2, 1), (stepfunctions, 1), (dynamodb, 2)])
def test_ses_and_step_functions_are_asked_once_and_a_silent_table_twice(
    client: Callable[[], BaseClient], attempts: int
) -> None:
    config: Any = client().meta.config
    assert config.retries["total_max_attempts"] == attempts
