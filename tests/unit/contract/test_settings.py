"""A function reads from its environment what the stack that deployed it wrote."""

from __future__ import annotations

from decimal import Decimal

import pytest

from steps.bounce_rate import BounceRateSettings
from steps.contract.settings import FunctionSettings
from steps.cost_monitoring import CostSettings
from steps.dedup import DedupSettings
from steps.dispatch import DispatchSettings
from steps.feedback import FeedbackSettings
from steps.outcomes import OutcomesSettings
from steps.overdue import OverdueSettings
from steps.pause import PauseSettings
from steps.record import RecordSettings
from steps.send import SendSettings
from tests.support.reports import (
    CANARY_SETTINGS,
    RECONCILIATION_SETTINGS,
    REJECTIONS_SETTINGS,
)

SETTINGS: list[FunctionSettings] = [
    BounceRateSettings(
        reports_table="r",
        configuration_set="c",
        metrics_namespace="m",
        auto_pause=False,
        dashboard_url="https://d",
    ),
    CANARY_SETTINGS,
    REJECTIONS_SETTINGS,
    CostSettings(
        reports_table="r",
        system="s",
        region="eu-west-1",
        metrics_namespace="m",
        budget=Decimal("9.26"),
        dashboard_url="https://d",
    ),
    DedupSettings(tracking_table="t", in_doubt_grace_seconds=300),
    DispatchSettings(
        order_workflow="w",
        order_queue="q",
        dead_letter_queue="d",
        tracking_table="t",
        tracing_rate=Decimal("0.01"),
        dispatcher_concurrency=5,
    ),
    FeedbackSettings(tracking_table="t", configuration_set="c", dead_letter_queue="d"),
    OutcomesSettings(outcomes_topic="t", dead_letter_queue="d", release="1"),
    OverdueSettings(tracking_table="t"),
    PauseSettings(configuration_set="", reports_table="t"),
    RECONCILIATION_SETTINGS,
    RecordSettings(tracking_table="t"),
    SendSettings(
        tracking_table="t",
        sender="orders@example.com",
        configuration_set="c",
        attachments_prefix="s3://b/p/",
        attachment_types="pdf",
    ),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: type(settings).__name__)
def test_settings_come_out_of_the_environment_as_they_went_in(settings: FunctionSettings) -> None:
    environment = settings.to_env()
    assert all(isinstance(text, str) for text in environment.values())
    assert type(settings).from_env(environment) == settings


def test_the_settings_of_every_function_are_tested() -> None:
    assert {type(settings) for settings in SETTINGS} == set(FunctionSettings.__subclasses__())


@pytest.mark.parametrize("text", ["True", "", "yes", "1"])
def test_a_switch_is_true_or_false_and_nothing_else(text: str) -> None:
    environment = SETTINGS[0].to_env() | {"AUTO_PAUSE": text}
    with pytest.raises(KeyError):
        BounceRateSettings.from_env(environment)


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(KeyError, match="TRACKING_TABLE"):
        RecordSettings.from_env({})
